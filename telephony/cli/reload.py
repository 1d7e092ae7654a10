"""`voxline reload`: has the running server read its agents anew."""

import argparse
import sys
from contextlib import closing
from pathlib import Path

from telephony.cli.options import DEFAULT_URL, Commands, add_config


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "reload",
        help="have the running server read its agents anew",
        description="Have the running server read its agents' files anew. Calls that are on keep their agents as they "
        "are. A file with a mistake is refused, and its agent stays as it was. Exit status 0: none was refused; 1: one "
        "was, or there is no server.",
    )
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the server (default {DEFAULT_URL})")
    add_config(parser, "its settings, in YAML")
    parser.add_argument("--data", type=Path, help="its data folder, with the token (default: server.data of --config)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Have it read them, and print what came of it."""
    from config.logging import printable
    from config.settings import load_settings
    from telephony.cli.control_client import ControlClient, DialFailed

    data = options.data or load_settings(options.config).server.data
    try:
        with closing(ControlClient(options.url, data)) as client:
            outcome = client.reload_agents()
    except DialFailed as error:
        print(f"voxline: {error}", file=sys.stderr)
        return 1
    for what in ("read", "unchanged", "removed"):
        if names := getattr(outcome, what):
            print(printable(f"{what}: {', '.join(names)}"))
    for refused in outcome.refused:
        print("refused:", "\n  ".join(map(printable, refused.error.split("\n"))))
    return 1 if outcome.refused else 0
