"""Finds and deletes the recording of a call in every form in which it may lie in its folder."""

import re
from itertools import product
from pathlib import Path

ENDINGS = (".ogg", ".wav")
PART = ".part"  # ends the name of a file that is being written
INCOMPLETE = ".incomplete"  # before the ending of the names of recordings that lack something

_NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}")


def is_name(name: str) -> bool:
    """Whether a recording may have this name, such as 20260501-090000-0123456789abcdef."""
    return bool(_NAME.fullmatch(name))


def find_recording(folder: Path, name: str) -> Path | None:
    """The finished file of this name; None where there is none, or the name is none of a recording."""
    if not is_name(name):
        return None
    candidates = (folder / f"{name}{mark}{ending}" for ending in ENDINGS for mark in ("", INCOMPLETE))
    return next((path for path in candidates if path.is_file()), None)


def remove_recording(folder: Path, name: str) -> bool:
    """Delete the recording of this name; False if there was none. Raises OSError, or ValueError if that is no name of a
    recording."""
    if not is_name(name):
        raise ValueError(f"{name[:80]!r} is no name of a recording")
    forms = product(("", INCOMPLETE), ENDINGS, ("", PART))
    present = [path for form in forms if (path := folder / (name + "".join(form))).exists()]
    for path in present:
        path.unlink(missing_ok=True)
    return bool(present)
