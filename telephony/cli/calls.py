"""`voxline calls`: the calls on record, and those that are on (live_calls.py)."""

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telephony.cli.live_calls import add_actions
from telephony.cli.options import DEFAULT_URL, Commands, add_config, add_set, overrides

if TYPE_CHECKING:
    from config.settings import Settings
    from telephony.records.call_filter import CallFilter
    from telephony.records.store import Row

# By option: the filter's key, and its help.
FILTERS = {
    "--agent": ("agent", "the agent"),
    "--line": ("line", "twilio, sip or browser"),
    "--trunk": ("trunk", "the trunk"),
    "--direction": ("direction", "inbound or outbound"),
    "--status": ("status", "active, ended or broken_off"),
    "--outcome": ("outcome", "hangup, transfer or failed; of unanswered calls busy, declined, unanswered or cancelled"),
    "--ended-by": ("ended_by", "caller, called, agent, operator, server or line"),
    "--caller": ("caller", "the caller's number or address, as it is stored"),
    "--called": ("called", "the called number or address, as it is stored"),
    "--since": ("since", "from this date or time on, in UTC unless it says otherwise; such as 2026-05-01"),
    "--until": ("until", "before this date or time"),
    "--min-latency-ms": ("min_latency_ms", "an answer took this many ms or more"),
    "--min-barge-ins": ("min_barge_ins", "the caller interrupted this often or more"),
}


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "calls",
        help="list, search, show, export and delete the calls on record, and act on those that are on",
        description="List, search, show, export and delete the calls on record, and act on those that are on. Exit "
        "status 1: there is no such call, or what is asked for cannot be done now.",
    )
    actions = parser.add_subparsers(required=True, metavar="action")
    _add_list(actions)
    _add_search(actions)
    _add_show(actions)
    _add_export(actions)
    _add_delete(actions)
    add_actions(actions)


def _add_list(actions: Commands) -> None:
    parser = actions.add_parser(
        "list", help="list calls, the latest first", description="List calls, the latest first."
    )
    _add_filters(parser)
    _add_page(parser)
    _add_place(parser, _list)


def _add_search(actions: Commands) -> None:
    parser = actions.add_parser(
        "search",
        help="find calls by words, numbers or names",
        description="List the calls that have all of these words in their transcript, tools, numbers, names or end. "
        "Words that were said are on record only if log.words is true.",
    )
    parser.add_argument(
        "q", nargs="+", metavar="WORD", help="a whole word; of a number the last 3, 4 or 7 digits will do"
    )
    _add_filters(parser)
    _add_page(parser)
    _add_place(parser, _list)


def _add_show(actions: Commands) -> None:
    parser = actions.add_parser("show", help="show one call", description="Show everything on record about one call.")
    parser.add_argument("id", metavar="ID", help="its id as listed, or its id in the log")
    _add_place(parser, _show)


def _add_export(actions: Commands) -> None:
    parser = actions.add_parser(
        "export",
        help="write calls as CSV or JSON",
        description="Write calls with all that is on record about them, as CSV or JSON. Cells that a spreadsheet would "
        "run begin with an apostrophe.",
    )
    parser.add_argument("--format", choices=("csv", "json"), default="json", help="default: json")
    parser.add_argument("-o", "--out", type=Path, help="the file to write (default: standard output)")
    parser.add_argument("--q", default="", metavar="WORDS", help="with all of these words")
    _add_filters(parser)
    _add_place(parser, _export)


def _add_delete(actions: Commands) -> None:
    parser = actions.add_parser(
        "delete",
        help="delete calls with their tapes, recordings and words",
        description="Delete calls: tape, recording, words and row. A running server is asked to do it.",
    )
    parser.add_argument("ids", nargs="+", metavar="ID", help="ids as listed, or ids in the log")
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the server, if it runs (default {DEFAULT_URL})")
    _add_place(parser, _delete)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    for option, (key, text) in FILTERS.items():
        parser.add_argument(option, dest=key, default="", help=text)


def _add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", default="", help="at most this many, up to 200 (default: 50)")
    parser.add_argument("--before", default="", metavar="ID", help="only calls before this one: the next page")


def _add_place(parser: argparse.ArgumentParser, run: Any) -> None:
    add_config(parser, "the server's settings, in YAML")
    add_set(parser, "one of its settings, e.g. --set server.data=/var/lib/voxline")
    parser.set_defaults(run=run)


def _list(options: argparse.Namespace) -> int:
    from telephony.records.offline import opened

    settings, wanted = _settings(options), _filter(options)

    async def found() -> list["Row"]:
        async with opened(settings) as store:
            return await store.find(wanted)

    rows = asyncio.run(found())
    for row in rows[: wanted.limit]:
        print(_line(row))
    if len(rows) > wanted.limit:
        from telephony.records import call_id

        print(f"more: --before {call_id.show(rows[wanted.limit - 1]['id'])}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from telephony.records.offline import opened

    settings = _settings(options)

    async def found() -> list["Row"]:
        async with opened(settings) as store:
            return await store.get(_name(options.id))

    rows = asyncio.run(found())
    for row in rows:
        for line in _lines(row):
            print(line)
    return 0 if rows else _unknown(options.id)


def _export(options: argparse.Namespace) -> int:
    from config import private
    from telephony.records.export import export
    from telephony.records.offline import opened

    settings, wanted = _settings(options), _filter(options)

    async def texts() -> AsyncGenerator[str, None]:
        async with opened(settings) as store:
            async for text in export(store.page, wanted, options.format):
                yield text

    async def write() -> None:
        if options.out is None:
            async for text in texts():
                sys.stdout.write(text)
            return
        with open(options.out, "w", encoding="utf-8", newline="", opener=private.opener) as file:  # noqa: ASYNC230 (alone here)
            async for text in texts():
                file.write(text)

    asyncio.run(write())
    return 0


def _delete(options: argparse.Namespace) -> int:
    from config.exceptions import VoxlineError
    from config.logging import printable
    from telephony.cli.control_client import ControlClient
    from telephony.records import offline

    settings, status = _settings(options), 0
    served = offline.is_served(settings)
    for text in options.ids:
        try:
            if served:
                with closing(ControlClient(options.url, settings.server.data)) as client:
                    count = client.delete_calls(text)
            else:
                count = asyncio.run(offline.delete(settings, _name(text)))
        except VoxlineError as error:
            print(f"voxline: {printable(str(error))}", file=sys.stderr)
            status = 1
            continue
        print(f"{printable(text)}: deleted" if count else f"{printable(text)}: there is no such call")
        status = status if count else 1
    return status


def _settings(options: argparse.Namespace) -> "Settings":
    from config.settings import load_settings

    return load_settings(options.config, overrides(options.set))


def _filter(options: argparse.Namespace) -> "CallFilter":
    """Raises SettingsError naming the option."""
    from config.exceptions import SettingsError
    from telephony.records.call_filter import KEYS, FilterError, parse

    given = {key: value for key in KEYS if (value := getattr(options, key, ""))}
    if isinstance(given.get("q"), list):
        given["q"] = " ".join(given["q"])
    try:
        return parse(given)
    except FilterError as error:
        raise SettingsError(str(error)) from None


def _name(text: str) -> int | str:
    from telephony.records import call_id
    from telephony.records.text import clean

    number = call_id.parse(text)
    return clean(text) if number is None else number


def _unknown(text: str) -> int:
    from config.logging import printable

    print(f"voxline: there is no call {printable(text)}", file=sys.stderr)
    return 1


def _line(row: "Row") -> str:
    """A call in a list. What strangers wrote is shown as text."""
    from config.logging import printable
    from telephony.records.export import shown

    call = shown(row)
    who = f"{call['caller'] or '?'} > {call['called'] or '?'}"
    end = call["outcome"] or call["status"]
    slowest = "" if call["latency_max"] is None else f"  slowest {call['latency_max']} ms"
    head = f"{call['id']}  {call['started']}  {call['direction']:8}  {call['line']:6}  {call['agent']}"
    return printable(f"{head}  {who}  {end}  turns {call['turns']}{slowest}")


def _lines(row: "Row") -> list[str]:
    """All of a call."""
    from config.logging import printable
    from telephony.records.call_record import TEXTS
    from telephony.records.export import shown
    from telephony.records.text import json_text

    call = shown(row)
    width = max(map(len, call))
    others = (*TEXTS, "acts")
    known = {name: value for name, value in call.items() if name not in others and value not in (None, "")}
    lines = [f"{name:{width}}  {value}" for name, value in known.items()]
    lines += [f"tool at {tool['at_ms'] / 1000:.1f} s  {json_text(tool)}" for tool in call["tools"]]
    lines += [f"{act['at']}  {act['who']}: {act['act']} {json_text(act['details'])}" for act in call["acts"]]
    for turn in call["transcript"]:
        cut = " (interrupted)" if turn["interrupted"] else ""
        lines.append(f"{turn['at_ms'] / 1000:8.1f} s  {turn['role']}: {turn['text']}{cut}")
    return [printable(line) for line in lines]
