"""Files about calls are for the server's user alone: 0600, in folders of 0700. What was there before keeps its mode."""

import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """The folder and those above it, where they are missing. Raises OSError."""
    if not path.parent.exists():
        make_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def opener(path: str, flags: int) -> int:
    """For `open(..., opener=opener)`."""
    return os.open(path, flags, 0o600)


def write_all(file: int, data: bytes) -> None:
    """All of it: a full disk takes a part, and fails only when it is given the rest. Raises OSError."""
    while data:
        data = data[os.write(file, data) :]


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file, and its folder where that is missing. Raises OSError."""
    make_folder(path.parent)
    with open(path, "wb", opener=opener) as file:
        file.write(data)
