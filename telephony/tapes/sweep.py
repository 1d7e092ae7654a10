"""`voxline replay --set` and `voxline sweep`: how taped calls would have gone with other settings."""

import itertools
import statistics
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent.tape.whatif import Experience, what_if
from config import strict_yaml
from config.exceptions import SettingsError, TapeError
from config.extras import install_command
from telephony.tapes.replay import SHOWN, Tape, find_tapes, open_tape

MAX_POINTS = 400
PLOTS = (".png", ".svg", ".pdf")


def compare(paths: Iterable[Path], changes: dict[str, Any], *, everything: bool = False) -> int:
    """Print what all calls were and would have been, and then each that would have been another, or, when `everything`
    is wanted, each. Status 2 if a tape cannot be tried again."""
    found = find_tapes(paths)
    before, after = Experience(), Experience()
    rows, left_out = [], []
    for path in found:
        try:
            head, steps = open_tape(path)
            was, would = what_if(head, steps), what_if(head, steps, changes)
        except TapeError as error:
            left_out.append(f"{error}" if str(path) in str(error) else f"{path}: {error}")
            continue
        before.add(was)
        after.add(would)
        if everything or len(found) == 1 or was != would:
            rows.append([head.call[:12], *_before_and_after(was, would)])
    _say_left_out(left_out)
    calls = len(found) - len(left_out)
    if not calls:
        raise TapeError("none of the tapes can be tried again")
    shown = rows if everything else rows[:SHOWN]
    _table(["call", *COLUMNS], [["all", *_before_and_after(before, after)], *shown])
    print(f"{calls} calls; {len(rows)} shown" if everything else f"{calls} calls, {len(rows)} of them different")
    if len(rows) > len(shown):
        print(f"and {len(rows) - len(shown)} more; --all shows each")
    return 2 if left_out else 0


def _before_and_after(was: Experience, would: Experience) -> list[str]:
    return [f"{a} → {b}" for a, b in zip(_figures(was), _figures(would), strict=True)]


def _say_left_out(left_out: list[str]) -> None:
    for text in left_out[:SHOWN]:
        print(text, file=sys.stderr)
    if len(left_out) > SHOWN:
        print(f"and {len(left_out) - SHOWN} more tapes that cannot be tried again", file=sys.stderr)


def sweep(paths: Iterable[Path], ranges: dict[str, list[Any]], plot: Path | None = None) -> int:
    """Print the figures of every combination of settings over all tapes, the best of them marked; plot the frontier of
    gap against cut-offs. SettingsError for too many combinations, and for a plot that cannot be drawn."""
    if plot:
        _plotting(plot)
    points = list(itertools.product(*ranges.values()))
    if len(points) > MAX_POINTS:
        raise SettingsError(f"{len(points)} combinations; {MAX_POINTS} at most")
    tapes = [open_tape(path) for path in find_tapes(paths)]
    tapes = [(head, steps) for head, steps in tapes if head.mode == "full"]
    if not tapes:
        raise TapeError("none of the tapes is full (tape.mode), so none can be tried again")
    found = [(point, _total(tapes, dict(zip(ranges, point, strict=True)))) for point in points]
    best = frontier([(share(experience), median(experience)) for _, experience in found])
    rows = [
        [*point, *_figures(experience), "*" if number in best else ""]
        for number, (point, experience) in enumerate(found)
    ]
    _table([*ranges, *COLUMNS, "best"], rows)
    print(f"{len(tapes)} calls; * nothing else has both a shorter gap and fewer cut-offs")
    if plot:
        _plot(plot, list(ranges), found, best)
        print(f"written to {plot}")
    return 0


def parse_range(text: str) -> tuple[str, list[Any]]:
    """KEY=VALUE, KEY=A,B,C or KEY=FROM:TO:STEP (both ends included). SettingsError for anything else."""
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise SettingsError(f"--set {text}: expected KEY=VALUE, KEY=A,B,C or KEY=FROM:TO:STEP")
    parts = value.split(":")
    if len(parts) == 3:
        try:
            first, last, step = (float(part) for part in parts)
        except ValueError:
            raise SettingsError(f"--set {text}: FROM:TO:STEP are numbers") from None
        if step <= 0 or last < first or (last - first) / step > MAX_POINTS:
            raise SettingsError(f"--set {text}: an empty range, or too long a one")
        values = [first + number * step for number in range(int((last - first) / step + 1e-9) + 1)]
        return key, [int(item) if item.is_integer() else item for item in values]
    return key, [strict_yaml.load(item) for item in value.split(",")]


def frontier(points: Sequence[tuple[float, float]]) -> set[int]:
    """The points that no other is at least as good as in both figures, and better in one."""
    return {
        number
        for number, (share_, gap) in enumerate(points)
        if not any((s <= share_ and g <= gap) and (s < share_ or g < gap) for s, g in points)
    }


def median(experience: Experience) -> float:
    """The median gap in ms; infinite without any."""
    return statistics.median(experience.gaps) if experience.gaps else float("inf")


def share(experience: Experience) -> float:
    """Turns that were cut off, 0..1."""
    return experience.cut_offs / experience.turns if experience.turns else 0.0


COLUMNS = ["turns", "gap p50 ms", "p95", "cut off", "pauses", "interruptions", "resumed", "wasted"]


def _total(tapes: list[Tape], changes: dict[str, Any]) -> Experience:
    total = Experience()
    for head, steps in tapes:
        total.add(what_if(head, steps, changes))
    return total


def _figures(experience: Experience) -> list[Any]:
    gaps = sorted(experience.gaps)
    p95 = round(gaps[int(0.95 * (len(gaps) - 1))]) if gaps else "-"
    p50 = round(median(experience)) if gaps else "-"
    counts = [
        experience.cut_offs,
        experience.pauses,
        experience.interruptions,
        experience.resumes,
        experience.discarded,
    ]
    return [experience.turns, p50, p95, *counts]


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    cells = [list(map(str, row)) for row in [columns, *rows]]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _plotting(path: Path) -> None:
    """See that a plot can be drawn and written, before anything is computed."""
    if find_spec("matplotlib") is None:
        raise SettingsError(f"--plot needs matplotlib: {install_command('plot')}")
    if path.suffix not in PLOTS:
        raise SettingsError(f"--plot {path}: expected a name that ends in {', '.join(PLOTS)}")
    if not path.parent.is_dir():
        raise SettingsError(f"--plot {path}: there is no folder {path.parent}")


def _plot(path: Path, names: list[str], found: list[tuple[tuple[Any, ...], Experience]], best: set[int]) -> None:
    import matplotlib  # noqa: PLC0415 (an extra)

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(8, 5.5), layout="constrained")
    shown = [(100 * share(o), median(o), point, number in best) for number, (point, o) in enumerate(found) if o.gaps]
    axes.scatter([s for s, *_ in shown], [g for _, g, *_ in shown], s=28, color="#9aa5b1", label="combinations")
    line = sorted((s, g, point) for s, g, point, good in shown if good)
    axes.plot([s for s, *_ in line], [g for _, g, _ in line], "o-", color="#0b7285", label="frontier")
    for s, g, point in line:
        axes.annotate(", ".join(map(str, point)), (s, g), xytext=(6, 6), textcoords="offset points", fontsize=8)
    axes.set(xlabel="turns cut off, %", ylabel="gap before the answer, median ms", title=", ".join(names))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
