"""`voxline replay`: tapes from files, fed to fresh sessions."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from agent import replay, tape
from agent.vad import Vad
from telephony.tape import read_lines


def find_tapes(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, of folders every tape in them. TapeError for what is not there."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")])
        elif path.is_file():
            found.append(path)
        else:
            raise tape.TapeError(f"{path}: there is no such file or folder")
    if not found:
        raise tape.TapeError("no tapes there; they end in .jsonl or .jsonl.gz")
    return found


def open_tape(path: Path) -> tuple[tape.Header, list[tape.Step]]:
    """A tape, whole. TapeError names the file."""
    try:
        head, steps = tape.read(read_lines(path))
        return head, list(steps)
    except (tape.TapeError, OSError) as error:
        raise tape.TapeError(f"{path}: {error}") from None


def replay_all(paths: Iterable[Path], *, recompute: bool = False) -> int:
    """Replay every tape and print what became of it; 0 when all gave the same commands. With `recompute` the speech
    probabilities are computed anew."""
    vad = Vad() if recompute else None
    different = 0
    for path in find_tapes(paths):
        head, steps = open_tape(path)
        begin = time.perf_counter()
        done = replay.replay(head, steps, vad)
        speed = done.media_ms / 1000 / max(time.perf_counter() - begin, 1e-9)
        figures = f"{done.events} events, {done.commands} commands, {done.media_ms / 1000:.1f} s at {speed:.0f} x"
        if done.difference:
            different += 1
            print(f"DIFFERENT  {path.name}  {figures}\n{done.difference}", file=sys.stderr)
        else:
            print(f"identical  {path.name}  {figures}")
    return 1 if different else 0
