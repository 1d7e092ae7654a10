"""`voxline call`: makes one simulated phone call."""

import argparse
from pathlib import Path

from telephony.cli.options import Commands, add_caller, caller


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "call", help="make one simulated phone call", description="Call a running server as Twilio would, or over SIP."
    )
    add_caller(parser, "demo.yaml")
    parser.add_argument("--out", type=Path, default=Path("out/call"), help="folder for call.wav and report.json")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the call and show it as it happens; 1 if it did not go as its script says."""
    import uvloop

    from telephony.simulator.call import run_call
    from telephony.simulator.script import load_script
    from telephony.simulator.timeline import Timeline

    with Timeline(print) as timeline:
        call = run_call(
            options.url, load_script(options.script), out=options.out, on_line=timeline.add, **caller(options)
        )
        report = uvloop.run(call)
    return 0 if report.ok else 1
