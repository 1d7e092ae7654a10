"""`voxline calls live`, `say`, `hangup` and `transfer`: the calls that are on, by way of the running server."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from telephony.cli.options import DEFAULT_URL, Commands, add_config, add_set, overrides

if TYPE_CHECKING:
    from telephony.cli.control_client import ControlClient

CLEAR = "\x1b[H\x1b[J"  # the screen of a terminal


def add_actions(actions: Commands) -> None:
    """Their options."""
    live = actions.add_parser(
        "live", help="list the calls that are on", description="List the calls that are on, the oldest first."
    )
    live.add_argument("--follow", action="store_true", help="go on, and list them anew as they change; Ctrl-C ends it")
    _add_server(live, _live)
    say = actions.add_parser(
        "say",
        help="have the agent of a live call say something",
        description="Have the agent of a live call say something as soon as nobody speaks.",
    )
    _add_call(say)
    say.add_argument("text", nargs="+", help="the words")
    say.add_argument("--uninterruptible", action="store_true", help="to its end, even if the caller talks over it")
    _add_server(say, _say)
    hang_up = actions.add_parser("hangup", help="end a live call", description="End a live call at once.")
    _add_call(hang_up)
    _add_server(hang_up, lambda options: _act(options, "hangup", {}))
    transfer = actions.add_parser(
        "transfer", help="transfer a live call", description="Connect the caller of a live call with somebody else."
    )
    _add_call(transfer)
    transfer.add_argument("to", help="one of the agent's transfers, a number in E.164 or a SIP address")
    _add_server(transfer, lambda options: _act(options, "transfer", {"to": options.to}))


def _add_call(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the call's id as listed, or its id in the log")


def _add_server(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the server (default {DEFAULT_URL})")
    add_config(parser, "its settings, in YAML")
    add_set(parser, "one of its settings, e.g. --set server.data=/var/lib/voxline")
    parser.set_defaults(run=run)


def _live(options: argparse.Namespace) -> int:
    def show(client: "ControlClient") -> None:
        calls: dict[str, dict[str, Any]] = {}
        clear = CLEAR if options.follow and sys.stdout.isatty() else ""
        for news in client.live():
            calls |= {call["id"]: call for call in news["calls"]}
            for gone in news["gone"]:
                calls.pop(gone, None)
            print("\n".join([clear + f"{len(calls)} calls", *_lines(calls.values())]), flush=True)
            if not options.follow:
                return

    with suppress(KeyboardInterrupt):
        return _ask(options, show)
    return 0


def _lines(calls: Iterable[dict[str, Any]]) -> list[str]:
    """What strangers wrote is shown as text."""
    from config.logging import printable

    lines = []
    for call in sorted(calls, key=lambda call: str(call["id"])):
        lasted_s = max(0, round(time.time() - call["started"] / 1000))
        who = f"{call['caller'] or '?'} > {call['called'] or '?'}"
        state = "on hold" if call["held"] else call["state"]
        state = f"taken over by {call['operator']}" if call["taken_over"] else state
        last = f"  {call['last']['role']}: {call['last']['text']}" if call["last"] else ""
        head = f"{call['id']}  {lasted_s // 60}:{lasted_s % 60:02}  {call['line']:6}  {call['agent']}  {who}"
        lines.append(printable(f"{head}  {state}  turns {call['turns']}{last}"))
    return lines


def _say(options: argparse.Namespace) -> int:
    body = {"text": " ".join(options.text), "interruptible": not options.uninterruptible}
    return _act(options, "say", body)


def _act(options: argparse.Namespace, act: str, body: dict[str, Any]) -> int:
    return _ask(options, lambda client: client.act(options.id, act, body))


def _ask(options: argparse.Namespace, ask: Callable[["ControlClient"], None]) -> int:
    """Exit status 1: it was refused, or nobody answers."""
    from config.logging import printable
    from config.settings import load_settings
    from telephony.cli.control_client import ControlClient, DialFailed

    try:
        data = load_settings(options.config, overrides(options.set)).server.data
        with closing(ControlClient(options.url, data)) as client:
            ask(client)
    except DialFailed as error:
        print(f"voxline: {printable(str(error))}", file=sys.stderr)
        return 1
    return 0
