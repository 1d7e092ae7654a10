"""`voxline doctor`: says whether calls will come in."""

import argparse

from telephony.cli.options import Commands, add_config, add_set, overrides


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "doctor",
        help="check whether calls will come in",
        description="Check the settings and this machine, change nothing, and say what keeps calls from coming in and "
        "being answered. Exit status 1 if there is a problem.",
    )
    add_config(parser)
    add_set(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the findings; 1 if one of them is a problem."""
    from config.settings import load_settings
    from telephony.doctor import diagnose
    from telephony.doctor.finding import as_json, as_text

    findings = diagnose(load_settings(options.config, overrides(options.set)))
    print(as_json(findings) if options.json else as_text(findings))
    return 1 if any(finding.level == "problem" for finding in findings) else 0
