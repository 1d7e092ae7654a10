"""`voxline replay`: tapes from files, fed to fresh sessions."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.replay import judged_anew, replay
from agent.tape import Header, Step, read, settings_of
from agent.vad import Vad
from config.exceptions import TapeError
from telephony.tape import read_lines

TAPES_AT_ONCE = 32


def find_tapes(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, of folders every tape in them. TapeError for what is not there."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")])
        elif path.is_file():
            found.append(path)
        else:
            raise TapeError(f"{path}: there is no such file or folder")
    if not found:
        raise TapeError("no tapes there; they end in .jsonl or .jsonl.gz")
    return found


def open_tape(path: Path) -> tuple[Header, list[Step]]:
    """A tape, whole; without steps where it holds metadata only. TapeError names the file."""
    try:
        head, steps = read(read_lines(path))
        return head, list(steps) if head.mode == "full" else []  # without audio no step is whole
    except (TapeError, OSError) as error:
        raise TapeError(f"{path}: {error}") from None


def replay_all(paths: Iterable[Path], *, recompute: bool = False) -> int:
    """Replay every tape and print what became of it; 0 when all gave the same commands. With `recompute` the speech
    probabilities are computed anew."""
    different = 0
    for batch in batched(find_tapes(paths), TAPES_AT_ONCE):
        tapes = [open_tape(path) for path in batch]
        begin = time.perf_counter()
        judged = _judged(tapes) if recompute else [steps for _, steps in tapes]
        judging_s = (time.perf_counter() - begin) / len(tapes)
        for path, (head, _), steps in zip(batch, tapes, judged, strict=True):
            different += _replay_one(path, head, steps, judging_s)
    return 1 if different else 0


def _judged(tapes: list[tuple[Header, list[Step]]]) -> list[list[Step]]:
    """All of them with probabilities computed anew, by detectors that forget when those of the calls did."""
    resets = [settings_of(head).turn.vad_reset_ms for head, _ in tapes]
    judged: dict[int, list[Step]] = {}
    for reset in set(resets):
        places = [place for place, each in enumerate(resets) if each == reset]
        judged.update(zip(places, judged_anew([tapes[place][1] for place in places], Vad(reset)), strict=True))
    return [judged[place] for place in range(len(tapes))]


def _replay_one(path: Path, head: Header, steps: list[Step], judging_s: float) -> bool:
    """Replay and print; True when something differs."""
    begin = time.perf_counter()
    done = replay(head, steps)
    seconds = time.perf_counter() - begin + judging_s
    speed = done.media_ms / 1000 / max(seconds, 1e-9)
    figures = f"{done.events} events, {done.commands} commands, {done.media_ms / 1000:.1f} s at {speed:.0f} x"
    figures += ", incomplete" if head.incomplete else ""
    if done.difference:
        print(f"DIFFERENT  {path.name}  {figures}\n{done.difference}", file=sys.stderr)
        return True
    print(f"identical  {path.name}  {figures}")
    return False


def batched(items: list[Path], size: int) -> Iterator[list[Path]]:
    """In lists of at most `size`."""
    for at in range(0, len(items), size):
        yield items[at : at + size]
