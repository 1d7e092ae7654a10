"""The command line: one file a command."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

from config.exceptions import VoxlineError
from telephony.cli import (
    api_token,
    call,
    calls,
    check,
    console_password,
    demo,
    dial,
    doctor,
    hooks,
    import_config,
    load,
    monitor,
    reload,
    replay,
    report,
    serve,
    sweep,
    test,
    try_dialogue,
)

COMMANDS = (
    serve,
    doctor,
    check,
    try_dialogue,
    demo,
    call,
    load,
    test,
    monitor,
    dial,
    reload,
    calls,
    hooks,
    replay,
    sweep,
    report,
    api_token,
    import_config,
    console_password,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. What the user got wrong ends in one line and status 2."""
    options = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except VoxlineError as error:
        from config.logging import printable

        lines = str(error).split("\n")  # a peer's words may be among them
        print("voxline:", "\n".join(map(printable, lines)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command's options."""
    parser = argparse.ArgumentParser(prog="voxline", description="A self-hosted phone voice agent.")
    parser.add_argument("--version", action="version", version=f"voxline {version('voxline')}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
