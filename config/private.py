"""Files about calls are private to the server's user: 0600, in folders with 0700. Existing ones keep their mode."""

import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """Create the folder and its missing parents. Raises OSError."""
    if not path.parent.exists():
        make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def opener(path: str, flags: int) -> int:
    """For `open(..., opener=opener)`."""
    return os.open(path, flags, 0o600)


def write_all(file: int, data: bytes) -> None:
    """Write everything: a full disk takes a part, and fails only when given the rest. Raises OSError."""
    while data:
        data = data[os.write(file, data) :]


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file, creating its folder if missing. Raises OSError."""
    make_folder(path.parent)
    with open(path, "wb", opener=opener) as file:
        file.write(data)
