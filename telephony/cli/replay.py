"""`voxline replay`: feeds tapes to fresh sessions and compares."""

import argparse

from telephony.cli.options import Commands, add_set, add_tapes, overrides


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "replay",
        help="replay tapes and compare the decisions",
        description="Feed tapes to fresh sessions: the same decisions, or the first difference (exit status 1; "
        "2: one cannot be replayed). Many tapes get a summary, then those that differ.",
    )
    add_tapes(parser)
    parser.add_argument("--vad", action="store_true", help="compute the speech probabilities again from the audio")
    parser.add_argument("--all", action="store_true", help="show every call, not just a summary and those that differ")
    add_set(parser, "show what would have happened with this setting")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Replay as it was, or compare with what other settings would have done."""
    if options.set:
        from telephony.tapes.sweep import compare

        return compare(options.tapes, overrides(options.set), everything=options.all)
    from telephony.tapes.replay import replay_all

    return replay_all(options.tapes, recompute=options.vad, everything=options.all)
