"""The optional parts of voxline, and the command that adds one to the running environment."""

import sys
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).parents[1]  # of the checkout, where voxline runs from one


def install_command(*extras: str, root: Path = ROOT, executable: str = sys.executable) -> str:
    """The command that installs these extras of pyproject.toml: in a checkout, whose folder it is to be run in, at the
    versions that voxline is tested with; elsewhere their packages by name, since no index has voxline."""
    python = Path(executable)
    pip = f"{python.relative_to(root).parent}/pip" if python.is_relative_to(root) else "python -m pip"
    if (root / "constraints.txt").is_file():
        return f"{pip} install -c constraints.txt -e '.[{','.join(extras)}]'"
    return f"{pip} install " + " ".join(f"'{package}'" for extra in extras for package in packages(extra))


def packages(extra: str) -> list[str]:
    """What an extra requires, such as "matplotlib>=3.9"."""
    return [text.partition(";")[0].strip() for text in requires("voxline") or () if f'extra == "{extra}"' in text]
