"""`voxline monitor`: how fast a running server answers, whether its targets are met, and what its GPU does."""

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telephony.cli.options import DEFAULT_URL, Commands, add_config, add_set, overrides

if TYPE_CHECKING:
    from rich.table import Table

    from telephony.timing.status import Status

EVERY_S = 1.0


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "monitor",
        help="watch how fast a running server answers",
        description="Show how fast a running server answers, and whether its targets are met.",
    )
    parser.add_argument("url", nargs="?", default=DEFAULT_URL, help=f"the server (default {DEFAULT_URL})")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--check", action="store_true", help="look once (the default)")
    ways.add_argument("--monitor", type=float, metavar="S", help="go on for S seconds, live in the terminal")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write what was seen last to a file, as JSON")
    add_config(parser, "the server's settings, in YAML")
    add_set(parser, "one of its settings, e.g. --set server.data=/var/lib/voxline")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look, once or for some time; 1 if the median of the last five minutes misses a target."""
    import msgspec
    from rich.console import Console
    from rich.live import Live

    from config import private
    from config.exceptions import SettingsError
    from config.settings import load_settings
    from telephony.cli.control_client import ControlClient
    from telephony.cli.gpu import gpus

    settings = load_settings(options.config, overrides(options.set))
    console, end = Console(), time.monotonic() + (options.monitor or 0)
    with closing(ControlClient(options.url, settings.server.data)) as client:
        status, found = client.status(), gpus()
        if options.monitor:
            with Live(_table(status, found), console=console, auto_refresh=False) as live:
                while (left := end - time.monotonic()) > 0:
                    time.sleep(min(EVERY_S, left))
                    status, found = client.status(), gpus()
                    live.update(_table(status, found), refresh=True)
        else:
            console.print(_table(status, found))
    missed = misses(status)
    seen = {"ok": not missed, "missed": missed, "gpus": found, "status": msgspec.to_builtins(status)}
    if options.output:
        try:
            private.write_bytes(options.output, msgspec.json.format(msgspec.json.encode(seen), indent=2) + b"\n")
        except OSError as error:
            raise SettingsError(f"cannot write {options.output}: {error.strerror}") from None
    console.print(f"missed: {', '.join(missed)}" if missed else "no target is missed")
    return 1 if missed else 0


def misses(status: "Status") -> list[str]:
    """The kinds of time whose median over the last five minutes is above the target."""
    recent = status.last_5_minutes
    return [
        kind
        for kind, target in status.targets.items()
        if (median := recent[kind].p50) is not None and median > target.target_ms
    ]


def _table(status: "Status", found: list[dict[str, Any]]) -> "Table":
    from rich.table import Table

    counts, missed = status.counts, misses(status)
    off = [name for name, on in status.switches.items() if not on]
    lines = [
        f"{counts['conversations']:.0f} conversations, {counts['concurrent_tts_share']:.0%} of them with speech while "
        f"the model still wrote, {counts['partial_transcripts_received']:.0f} partial transcripts",
        f"off: {', '.join(off)}" if off else "all switches are on",
        *(f"{gpu['name']}: {gpu['load']} % busy, {gpu['used_mb']} of {gpu['total_mb']} MB" for gpu in found),
    ]
    table = Table(title="voxline, ms over the last five minutes", caption="\n".join(lines))
    for column in ("", "of", "median", "p95", "longest", "target", "missed since start"):
        table.add_column(column, justify="left" if not column else "right")
    for kind, spread in status.last_5_minutes.items():
        target = status.targets.get(kind)
        since = f"{target.missed} of {target.measured}" if target else ""
        figures = [_ms(spread.p50), _ms(spread.p95), _ms(spread.max), str(target.target_ms) if target else ""]
        style = "red" if kind in missed else "green" if target and spread.count else ""
        table.add_row(kind.replace("_", " "), str(spread.count), *figures, since, style=style)
    return table


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
