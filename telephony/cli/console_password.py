"""`voxline console-password`: makes the hash of a password, for console.users."""

import argparse
import sys

from telephony.cli.options import Commands

SHORTEST = 10  # characters


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "console-password",
        help="make the hash of a password, for console.users",
        description="Ask for a password twice, or read it from standard input where that is no terminal, and print its "
        f"hash as it belongs in console.users. It must have at least {SHORTEST} characters.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the hash."""
    from config.exceptions import SettingsError
    from config.password_hash import PasswordHash

    password = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if len(password) < SHORTEST:
        raise SettingsError(f"the password must have at least {SHORTEST} characters")
    try:
        print(PasswordHash.of(password))
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return 0


def _asked() -> str:
    from getpass import getpass

    from config.exceptions import SettingsError

    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise SettingsError("these are two different passwords")
    return password
