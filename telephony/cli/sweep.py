"""`voxline sweep`: tries ranges of settings on tapes."""

import argparse
from pathlib import Path

from telephony.cli.options import Commands, add_tapes


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "sweep",
        help="try ranges of settings on tapes",
        description="Try every combination of settings on taped calls: gaps before answers against turns cut off.",
    )
    add_tapes(parser)
    parser.add_argument(
        "--set",
        action="append",
        required=True,
        metavar="KEY=RANGE",
        help="a setting and its values: turn.endpoint_ms=250:600:50, or turn.adapt_words=true,false",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw gap against cut-offs (PNG, SVG or PDF)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Try them all and print a table."""
    from telephony.tapes.sweep import parse_range, sweep

    return sweep(options.tapes, dict(map(parse_range, options.set)), options.plot)
