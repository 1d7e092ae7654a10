"""`voxline replay`: tapes from files, fed to fresh sessions."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from agent.listening.vad import Vad
from agent.tape.file import read_lines
from agent.tape.format import Header, settings_of
from agent.tape.reader import Step, read
from agent.tape.replay import Difference, judged_anew, replay
from config.exceptions import TapeError

TAPES_AT_ONCE = 32
SHOWN = 20  # of calls that differ, or tapes that cannot be read, unless all are wanted

Tape = tuple[Header, list[Step]]


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


def open_tape(path: Path) -> Tape:
    """A tape, whole; without steps where it holds metadata only. TapeError names the file."""
    try:
        head, steps = read(read_lines(path))
        return head, list(steps) if head.mode == "full" else []  # without audio no step is whole
    except (TapeError, OSError) as error:
        raise TapeError(f"{path}: {error}") from None


class _Done(msgspec.Struct, frozen=True):
    """What became of one tape: the same, a difference, or an error."""

    path: Path
    figures: str = ""
    media_s: float = 0.0
    difference: Difference | None = None
    error: str = ""

    def show(self) -> None:
        if self.error:
            print(self.error, file=sys.stderr)
        elif self.difference:
            print(f"DIFFERENT  {self.path.name}  {self.figures}\n{self.difference}", file=sys.stderr)
        else:
            print(f"identical  {self.path.name}  {self.figures}")


def replay_all(paths: Iterable[Path], *, recompute: bool = False, everything: bool = False) -> int:
    """Replay every tape and print what became of it; 0 when all gave the same commands, 1 when one did not, 2 when one
    cannot be replayed. Of many it prints a summary and only those that differ, unless `everything` is wanted. With
    `recompute` the speech probabilities are computed anew."""
    found = find_tapes(paths)
    begin = time.perf_counter()
    done = [each for batch in batched(found, TAPES_AT_ONCE) for each in _replay(batch, recompute=recompute)]
    if len(done) == 1 and done[0].error:
        raise TapeError(done[0].error)
    if len(done) > 1:
        _summary(done, time.perf_counter() - begin)
    odd = [each for each in done if each.error or each.difference]
    shown = done if everything or len(done) == 1 else odd[:SHOWN]
    for each in shown:
        each.show()
    if len(odd) > len(shown):
        print(f"and {len(odd) - len(shown)} more; --all shows each", file=sys.stderr)
    return 2 if any(each.error for each in odd) else 1 if odd else 0


def _summary(done: list[_Done], seconds: float) -> None:
    failed = sum(bool(each.error) for each in done)
    different = sum(each.difference is not None for each in done)
    media_s = sum(each.media_s for each in done)
    parts = [f"{len(done) - failed - different} identical", f"{different} different"]
    parts += [f"{failed} cannot be replayed"] * bool(failed)
    print(f"{len(done)} tapes: {', '.join(parts)}; {media_s:.1f} s at {media_s / max(seconds, 1e-9):.0f} x", flush=True)


def _replay(batch: list[Path], *, recompute: bool) -> Iterator[_Done]:
    tapes: dict[Path, Tape] = {}
    errors: dict[Path, str] = {}
    for path in batch:
        try:
            tapes[path] = open_tape(path)
        except TapeError as error:
            errors[path] = str(error)
    begin = time.perf_counter()
    judged = dict(zip(tapes, _judged(list(tapes.values())), strict=True)) if recompute else {}
    judging_s = (time.perf_counter() - begin) / len(batch)
    for path in batch:
        if path in errors:
            yield _Done(path, error=errors[path])
        else:
            head, steps = tapes[path]
            yield _replay_one(path, head, judged.get(path, steps), judging_s)


def _judged(tapes: list[Tape]) -> list[list[Step]]:
    """All of them with probabilities computed anew, by detectors that forget when those of the calls did."""
    resets = [settings_of(head).turn.vad_reset_ms for head, _ in tapes]
    judged: dict[int, list[Step]] = {}
    for reset in set(resets):
        places = [place for place, each in enumerate(resets) if each == reset]
        judged.update(zip(places, judged_anew([tapes[place][1] for place in places], Vad(reset)), strict=True))
    return [judged[place] for place in range(len(tapes))]


def _replay_one(path: Path, head: Header, steps: list[Step], judging_s: float) -> _Done:
    begin = time.perf_counter()
    try:
        done = replay(head, steps)
    except TapeError as error:
        return _Done(path, error=f"{path}: {error}")
    seconds = time.perf_counter() - begin + judging_s
    media_s = done.media_ms / 1000
    figures = f"{done.events} events, {done.commands} commands, {media_s:.1f} s at {media_s / max(seconds, 1e-9):.0f} x"
    figures += ", incomplete" if head.incomplete else ""
    if done.left_out_ms is not None:
        figures += f"; from {done.left_out_ms / 1000:.1f} s on a part is left out, which was private"
    return _Done(path, figures, media_s, done.difference)


def batched(items: list[Path], size: int) -> Iterator[list[Path]]:
    """In lists of at most `size`."""
    for at in range(0, len(items), size):
        yield items[at : at + size]
