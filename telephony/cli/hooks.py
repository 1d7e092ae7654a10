"""`voxline hooks`: what hooks.after_call was told, and what failed."""

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from telephony.cli.options import Commands, add_config, add_set, overrides

if TYPE_CHECKING:
    from config.settings import Settings
    from telephony.records.outbox import Delivery

USUAL_PAGE = 50


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "hooks",
        help="list what hooks.after_call was told, and send it again",
        description="List what hooks.after_call was told of calls, and send it again. A running server looks once a "
        "second what is to be sent. Exit status 1: there is no such delivery, or its call is on.",
    )
    actions = parser.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", help="list deliveries, the latest calls first")
    listing.add_argument(
        "--status",
        choices=("open", "pending", "delivered", "failed"),
        default="",
        help="only these (open: the call is on)",
    )
    listing.add_argument("--limit", type=int, default=USUAL_PAGE, help=f"at most this many (default {USUAL_PAGE})")
    listing.add_argument("--before", default="", metavar="ID", help="only those before this one: the next page")
    _add_place(listing, _list)
    again = actions.add_parser("resend", help="have deliveries sent again")
    again.add_argument("ids", nargs="+", metavar="ID", help="ids as listed, or ids of calls")
    _add_place(again, _resend)


def _add_place(parser: argparse.ArgumentParser, run: Any) -> None:
    add_config(parser, "the server's settings, in YAML")
    add_set(parser, "one of its settings, e.g. --set server.data=/var/lib/voxline")
    parser.set_defaults(run=run)


def _settings(options: argparse.Namespace) -> "Settings":
    from config.settings import load_settings

    return load_settings(options.config, overrides(options.set))


def _list(options: argparse.Namespace) -> int:
    from config.exceptions import SettingsError
    from telephony.records.deliveries import call_of, delivery_id
    from telephony.records.offline import opened
    from telephony.records.outbox import MAX_PAGE

    before = call_of(options.before) if options.before else None
    if options.before and before is None:
        raise SettingsError("--before: the id of a delivery is wanted")
    if not 1 <= options.limit <= MAX_PAGE:
        raise SettingsError(f"--limit: a number from 1 to {MAX_PAGE} is wanted")
    settings = _settings(options)

    async def found() -> list["Delivery"]:
        async with opened(settings) as store:
            return await store.outbox.find(options.status, before, options.limit)

    deliveries = asyncio.run(found())
    for delivery in deliveries[: options.limit]:
        print(_line(delivery))
    if len(deliveries) > options.limit:
        print(f"more: --before {delivery_id(deliveries[options.limit - 1].id)}")
    return 0


def _line(delivery: "Delivery") -> str:
    """One delivery. What a receiver has answered is shown as text."""
    from config.logging import printable
    from telephony.records.deliveries import shown

    known = shown(delivery)
    parts = [known["id"], known["created"], known["status"], f"attempts {known['attempts']}"]
    parts += [f"next {known['due']}"] if known["due"] else []
    parts += [known["error"]] if known["error"] else []
    return printable("  ".join(parts))


def _resend(options: argparse.Namespace) -> int:
    from config.logging import printable
    from telephony.records.deliveries import call_of
    from telephony.records.offline import opened

    settings = _settings(options)

    async def order() -> list[bool]:
        now_ms = round(1000 * time.time())
        async with opened(settings) as store:
            numbers = map(call_of, options.ids)
            return [number is not None and await store.outbox.resend(number, now_ms) for number in numbers]

    ordered = asyncio.run(order())
    for text, there in zip(options.ids, ordered, strict=True):
        if there:
            print(f"{printable(text)}: is sent again")
        else:
            print(f"voxline: there is no delivery {printable(text)}, or its call is on", file=sys.stderr)
    return 0 if all(ordered) else 1
