"""`voxline api-token`: makes, lists and revokes tokens for programs that use the API."""

import argparse
import sys
import time
from datetime import UTC, datetime

from telephony.cli.options import Commands, add_config, add_set, overrides


def add_parser(commands: Commands) -> None:
    """Its options."""
    from telephony.server.sign_in.scope import OPENS

    scopes = "\n".join(f"  {scope:<16}{text}" for scope, text in OPENS.items())
    parser = commands.add_parser(
        "api-token",
        help="make, list and revoke tokens for programs that use the API",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make, list and revoke tokens for programs that use the API (docs/api.md). A running server\n"
        "notices within a second or two.",
        epilog=f"scopes:\n{scopes}",
    )
    actions = parser.add_subparsers(required=True, metavar="action")
    creating = actions.add_parser(
        "create",
        help="make a token and print it; it cannot be shown again",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"scopes:\n{scopes}",
    )
    creating.add_argument("name", metavar="NAME", help="of the program; what it does goes on record as token NAME")
    creating.add_argument("--scopes", required=True, metavar="SCOPE,...", help="what it is good for, with commas")
    creating.add_argument("--days", type=int, help="it expires after this many (default: never)")
    _add_place(creating)
    creating.set_defaults(run=_create)
    listing = actions.add_parser("list", help="list them, with scopes, and when each was used last, to the hour")
    _add_place(listing)
    listing.set_defaults(run=_list)
    revoking = actions.add_parser("revoke", help="make tokens useless; exit status 1: there was none of such a name")
    revoking.add_argument("names", nargs="+", metavar="NAME")
    _add_place(revoking)
    revoking.set_defaults(run=_revoke)


def _add_place(parser: argparse.ArgumentParser) -> None:
    add_config(parser, "the server's settings, in YAML")
    add_set(parser, "one of its settings, e.g. --set server.data=/var/lib/voxline")


def _create(options: argparse.Namespace) -> int:
    from config.exceptions import SettingsError
    from config.settings import load_settings
    from telephony.server.sign_in import api_tokens, scope

    try:
        scopes = scope.parse(options.scopes)
    except ValueError as error:
        raise SettingsError(f"--scopes: {error}") from None
    data = load_settings(options.config, overrides(options.set)).server.data
    print(api_tokens.create(data, options.name, scopes, options.days, time.time()))
    return 0


def _list(options: argparse.Namespace) -> int:
    from config.settings import load_settings
    from telephony.server.sign_in import api_tokens
    from telephony.server.sign_in.token_file import read_used

    data = load_settings(options.config, overrides(options.set)).server.data
    used = read_used(data)
    for token in api_tokens.read(data):
        last = f"used {_hour(used[token.hash])}" if token.hash in used else "never used"
        ends = "never expires" if token.expires is None else f"expires {_day(token.expires)}"
        ends = f"expired {_day(token.expires)}" if token.expires and token.is_over(time.time()) else ends
        print("  ".join([token.name, ",".join(token.scopes), f"created {_day(token.created)}", ends, last]))
    return 0


def _revoke(options: argparse.Namespace) -> int:
    from config.logging import printable
    from config.settings import load_settings
    from telephony.server.sign_in import api_tokens

    data = load_settings(options.config, overrides(options.set)).server.data
    missing = [name for name in options.names if not api_tokens.revoke(data, name)]
    for name in missing:
        print(f"voxline: there is no token {printable(name)}", file=sys.stderr)
    return 1 if missing else 0


def _day(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"


def _hour(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:00Z}"
