"""Options that several commands share."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from config.exceptions import SettingsError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DEFAULT_URL = "http://127.0.0.1:8080"
SCRIPTS = Path(__file__).parents[1] / "simulator" / "scripts"


def add_config(parser: argparse.ArgumentParser, text: str = "a YAML file of settings") -> None:
    """`--config`."""
    parser.add_argument("--config", type=Path, default=os.environ.get("VOXLINE_CONFIG"), help=text)


def add_set(parser: argparse.ArgumentParser, text: str = "one setting, e.g. --set turn.endpoint_ms=500") -> None:
    """`--set`, as often as one likes."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)


def overrides(texts: Iterable[str]) -> dict[str, Any]:
    """The settings that `--set` gives, by key. Raises SettingsError."""
    return dict(map(_override, texts))


def _override(text: str) -> tuple[str, Any]:
    import yaml

    from config import strict_yaml

    key, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--set {text}: expected KEY=VALUE")
    try:
        return key, strict_yaml.load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {text}: the value is not valid YAML: {error}") from None


def add_tapes(parser: argparse.ArgumentParser) -> None:
    """The tapes to read, one or several."""
    parser.add_argument("tapes", type=Path, nargs="+", metavar="TAPE", help="a tape, or a folder of them")


def add_caller(parser: argparse.ArgumentParser, script: str) -> None:
    """Whom the simulated caller calls, what it does, and its credentials."""
    parser.add_argument(
        "url", nargs="?", default=DEFAULT_URL, help=f"server, webhook or SIP address (default {DEFAULT_URL})"
    )
    parser.add_argument(
        "--script",
        type=Path,
        default=SCRIPTS / script,
        help=f"what the caller does, in YAML (default: the shipped {script})",
    )
    parser.add_argument(
        "--auth-token",
        default=os.environ.get("TWILIO_AUTH_TOKEN"),
        help="sign requests with this token (default: TWILIO_AUTH_TOKEN)",
    )
    parser.add_argument("--public-url", help="sign for this address, the server's server.public_url")
    parser.add_argument("--user", default="", help="SIP: the user name, where the server asks for one")
    parser.add_argument(
        "--password", default=os.environ.get("SIP_PASSWORD", ""), help="SIP: the password (default: SIP_PASSWORD)"
    )
    parser.add_argument(
        "--codec", choices=("opus", "PCMU", "PCMA"), default="", help="SIP: the only one to offer (default: G.711)"
    )

    parser.add_argument(
        "--line", choices=("browser",), default="", help="call as a web page does (default: by the address)"
    )
    parser.add_argument(
        "--control-token",
        type=Path,
        metavar="FILE",
        help="browser: the server's control-token, in server.data, where it answers no page of its own",
    )


def caller(options: argparse.Namespace) -> dict[str, Any]:
    """The caller's line, credentials and codec, as `run_call` and `run_load` take them. Raises SettingsError."""
    names = ("auth_token", "public_url", "user", "password", "codec", "line")
    return {name: getattr(options, name) for name in names} | {"control_token": _control_token(options.control_token)}


def _control_token(file: Path | None) -> str:
    try:
        return file.read_text(encoding="ascii").strip() if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--control-token: cannot read {file}: {error}") from None
