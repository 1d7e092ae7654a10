"""The files that draw the page of a call, joined for a page that is one file. The console serves the same ones."""

import re
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
STYLES = ("base", "page")
SCRIPTS = ("format", "sound", "view", "lanes", "chart", "panels", "main", "standalone")  # each imports those before it

_IMPORT = re.compile(r"^import [^;\n]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async |function |const )", re.MULTILINE)


def style() -> str:
    """All styles as one."""
    return "\n".join(read(f"{name}.css") for name in STYLES)


def script() -> str:
    """All modules as one: what they import from each other then is its own."""
    joined = "\n".join(read(f"{name}.js") for name in SCRIPTS)
    return _EXPORT.sub("", _IMPORT.sub("", joined))


def read(name: str) -> str:
    """One of the files."""
    return (ASSETS / name).read_text(encoding="utf-8")
