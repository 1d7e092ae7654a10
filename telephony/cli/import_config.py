"""`voxline import-config`: settings of another streaming voice agent, written as ours."""

import argparse
import sys
from pathlib import Path

from telephony.cli.options import Commands


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "import-config",
        help="translate another agent's YAML of settings",
        description="Translate a YAML with speech_to_speech.streaming.* or voice_agent.* into settings for --config.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the other agent's YAML")
    parser.add_argument("--out", type=Path, help="where to write ours (default: the terminal)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the settings, and name on stderr what has no counterpart here."""
    import yaml

    from config import private
    from config.exceptions import SettingsError
    from config.foreign import translated
    from config.settings import from_sources
    from config.sources import SettingsSource, nested

    found = translated(options.file)
    from_sources([SettingsSource(str(options.file), nested(found.settings))])  # what is out of bounds is named here
    ours = yaml.safe_dump(nested(found.settings), sort_keys=False)
    text = f"# From {options.file.name}, by voxline import-config.\n{ours}"
    for key, reason in found.left_out.items():
        print(f"left out: {key}: {reason}", file=sys.stderr)
    if options.out is None:
        print(text, end="")
        return 0
    try:
        private.write_bytes(options.out, text.encode())
    except OSError as error:
        raise SettingsError(f"cannot write {options.out}: {error.strerror}") from None
    print(f"written to {options.out}: voxline serve --config {options.out}")
    return 0
