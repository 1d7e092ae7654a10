"""`voxline load`: makes many simulated calls at once."""

import argparse
from pathlib import Path

from telephony.cli.options import Commands, add_caller, caller


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser("load", help="make many simulated calls at once", description="Load a running server.")
    add_caller(parser, "load.yaml")
    parser.add_argument("--calls", type=int, default=10, metavar="N", help="concurrent calls (default 10)")
    parser.add_argument(
        "--ramp", type=float, default=5.0, metavar="S", help="seconds over which calls are started (default 5)"
    )
    parser.add_argument("--duration", type=float, metavar="S", help="keep starting calls for this many seconds")
    parser.add_argument("--out", type=Path, help="write the report here as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the calls and print their report as JSON; 1 if any of them failed."""
    import msgspec
    import uvloop

    from config import private
    from telephony.simulator.load import run_load
    from telephony.simulator.script import load_script

    report = uvloop.run(
        run_load(
            options.url,
            load_script(options.script),
            calls=options.calls,
            ramp_s=options.ramp,
            duration_s=options.duration,
            **caller(options),
        )
    )
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    print(text)
    if options.out:
        private.write_bytes(options.out, text.encode() + b"\n")
    return 0 if not report.failed else 1
