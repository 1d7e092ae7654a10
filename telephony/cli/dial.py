"""`voxline dial`: has the running server call somebody, and reports how the call goes."""

import argparse
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from telephony.cli.options import DEFAULT_URL, Commands, add_config

if TYPE_CHECKING:
    from telephony.cli.control_client import ControlClient
    from telephony.lines.outbound_call import CallRequest, OutboundCall

POLL_S = 0.2
END_S = 10.0  # within which a call that was given up is over


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "dial",
        help="have the running server call somebody",
        description="Have the running server call somebody over SIP, and report how the call goes. Ctrl-C gives it up. "
        "Exit status 0: it was answered and ended well; 1: anything else.",
    )
    parser.add_argument("to", help="a SIP address, such as sip:bob@example.com, or with --trunk a number")
    parser.add_argument(
        "--agent", default="", help="the agent that talks (default: the trunk's agent, else call.agent)"
    )
    parser.add_argument("--trunk", default="", help="one of sip.trunks, whose credentials to use (default: directly)")
    parser.add_argument(
        "--keys",
        default="",
        help="keys to press once it is answered, before the agent speaks: 0-9 * # A-D; w waits half a second, W a "
        "whole one; such as ww104# for an extension",
    )
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the server (default {DEFAULT_URL})")
    add_config(parser, "its settings, in YAML")
    parser.add_argument("--data", type=Path, help="its data folder, with the token (default: server.data of --config)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Have it call."""
    from config.settings import load_settings
    from telephony.lines.outbound_call import CallRequest

    data = options.data or load_settings(options.config).server.data
    return dial(CallRequest(options.to, options.agent, options.trunk, options.keys), options.url, data)


def dial(request: "CallRequest", url: str, data: Path) -> int:
    """Call, print how it goes, and wait until it is over; Ctrl-C gives the call up. Returns the exit status: 0 for a
    call that was answered and has ended well, else 1."""
    from telephony.cli.control_client import ControlClient, DialFailed

    try:
        with closing(ControlClient(url, data)) as client:
            call = client.originate(request)
            print(f"calling {call.to} (call {call.id})", flush=True)
            try:
                call = _follow(client, call)
            except KeyboardInterrupt:
                client.give_up(call)
                call = _follow(client, call, END_S)
    except DialFailed as error:
        print(f"voxline: {error}", file=sys.stderr)
        return 1
    return 0 if call.state == "ended" and call.outcome != "failed" else 1


def _follow(client: "ControlClient", call: "OutboundCall", most_s: float = float("inf")) -> "OutboundCall":
    """Print every new state until the last one."""
    from telephony.cli.control_client import DialFailed

    begin, told = time.monotonic(), call.state
    while True:
        call = client.look_up(call)
        if call.state != told:
            told = call.state
            print(_line(call), flush=True)
        if call.over:
            return call
        if time.monotonic() - begin > most_s:
            raise DialFailed(f"the call has not ended in {most_s:g} s")
        time.sleep(POLL_S)


def _line(call: "OutboundCall") -> str:
    from config.logging import printable

    status = str(call.status) if call.status else ""
    why = " ".join(part for part in (status, call.reason, f"({call.outcome})" if call.outcome else "") if part)
    return printable(f"{call.state}: {why}" if why else call.state)  # the reason is the other side's
