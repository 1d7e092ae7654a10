"""Finds a tape; deletes it in every form in which it may lie in its folder, and the page that was made of it."""

from pathlib import Path

INDEX = "index.html"  # of `voxline report` on the folder
ENDINGS = (".jsonl", ".jsonl.gz.part", ".jsonl.gz", ".html")


def remove_tape(folder: Path, name: str) -> None:
    """Delete the tape of this name, such as 20260501-090000-CA1.jsonl.gz, and the folder's index of pages, which quotes
    it. What is not there is fine. Raises OSError, or ValueError if that is no name of a tape."""
    stem = stem_of(name)
    for ending in ENDINGS:
        (folder / f"{stem}{ending}").unlink(missing_ok=True)
    index = folder / INDEX
    if index.exists() and stem in index.read_text(encoding="utf-8", errors="replace"):
        index.unlink(missing_ok=True)


def find_tape(folder: Path, name: str) -> Path | None:
    """The finished tape of this name; None where there is none, or the name is none of a tape."""
    try:
        path = folder / f"{stem_of(name)}.jsonl.gz"
    except ValueError:
        return None
    return path if path.is_file() else None


def stem_of(name: str) -> str:
    """The name without its ending. Raises ValueError."""
    stem = name.removesuffix(".gz").removesuffix(".jsonl")
    if not stem or stem == name or Path(stem).name != stem:
        raise ValueError(f"{name[:80]!r} is no name of a tape")
    return stem
