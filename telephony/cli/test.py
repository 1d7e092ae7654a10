"""`voxline test`: one call to a running server, and whether it was as fast as wanted."""

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from telephony.cli.options import DEFAULT_URL, SCRIPTS, Commands, add_config, add_set, overrides

if TYPE_CHECKING:
    from telephony.cli.control_client import ControlClient
    from telephony.simulator.report import CallReport
    from telephony.timing.verdict import Measured, Verdict

MODES = ("full", "response", "interruption", "long")


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "test",
        help="test how fast a running server answers",
        description="Make one simulated call to a running server and compare its times with its `targets`.",
    )
    parser.add_argument("url", nargs="?", default=DEFAULT_URL, help=f"the server (default {DEFAULT_URL})")
    parser.add_argument("--mode", choices=MODES, default="full", help="what is tried (default: full, all of it)")
    parser.add_argument("--duration", type=float, default=120, metavar="S", help="the longest call, in s (default 120)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON and nothing else")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report to a file, as JSON")
    add_config(parser, "the server's settings, in YAML")
    add_set(parser, "one of its settings, e.g. --set server.data=/var/lib/voxline")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the call, and print what was found."""
    import msgspec
    import uvloop

    from config import private
    from config.exceptions import SettingsError
    from config.settings import load_settings
    from telephony.cli.control_client import ControlClient

    settings = load_settings(options.config, overrides(options.set))
    signed = {
        "auth_token": settings.twilio.auth_token.get_secret_value(),
        "public_url": settings.server.public_url or None,
    }
    with closing(ControlClient(options.url, settings.server.data)) as client:
        client.status()  # no call is made for nothing
        report = uvloop.run(_call(options, signed))
        found = _verdict(client, report, tries_long=options.mode in ("full", "long"))
    text = msgspec.json.format(msgspec.json.encode(found), indent=2)
    if options.output:
        try:
            private.write_bytes(options.output, text + b"\n")
        except OSError as error:
            raise SettingsError(f"cannot write {options.output}: {error.strerror}") from None
    print(text.decode() if options.json else "\n".join(_lines(found)), file=sys.stdout)
    return 0 if found.ok else 1


async def _call(options: argparse.Namespace, signed: dict[str, str | None]) -> "CallReport":
    import asyncio

    from config.exceptions import SettingsError
    from telephony.simulator.call import run_call
    from telephony.simulator.script import load_script

    script = load_script(SCRIPTS / f"test_{options.mode}.yaml")
    try:
        async with asyncio.timeout(options.duration):
            return await run_call(
                options.url, script, auth_token=signed["auth_token"] or None, public_url=signed["public_url"]
            )
    except TimeoutError:
        raise SettingsError(f"the call took longer than {options.duration:g} s") from None


def _verdict(client: "ControlClient", report: "CallReport", *, tries_long: bool) -> "Verdict":
    import msgspec

    from telephony.timing.verdict import Verdict, long_reply, measured

    status = client.status(report.call_sid)
    call = next((call for call in status.calls if call.call == report.call_sid), None)
    error = report.error or ("" if report.ok and call else f"the call ended as {report.outcome}, and not as it should")
    times = measured(call, status.targets) if call else {}
    long = long_reply(call, by_model=status.by_model) if call else None
    met = [time.met for time in times.values()] + ([long.met] if long and tries_long else [])
    return Verdict(
        report.call_sid,
        not error and False not in met,
        error,
        times,
        long,
        msgspec.to_builtins(report.summary.voice_to_voice_ms),
        call.concurrent_tts_triggers if call else 0,
        call.partial_transcripts if call else 0,
    )


def _lines(found: "Verdict") -> list[str]:
    lines = [f"{name.replace('_', ' '):24}{_spell(time)}" for name, time in found.times.items()]
    if found.long_reply:
        by_model = "" if found.long_reply.met is not None else "; this agent's replies are written down"
        lines.append(f"{'longest reply':24}{found.long_reply.words} words{by_model}")
    heard = found.voice_to_voice_ms
    if heard["count"]:
        lines.append(
            f"{'voice to voice':24}median {heard['p50']:.0f} ms, longest {heard['max']:.0f} ms, as the caller heard it"
        )
    return [*lines, *([f"failed: {found.error}"] if found.error else []), "ok" if found.ok else "not ok"]


def _spell(time: "Measured") -> str:
    if time.median_ms is None:
        return "not tried"
    met = "" if time.met else "  MISSED"
    return (
        f"median {time.median_ms:.0f} ms, longest {time.max_ms:.0f} ms of {time.count}; target {time.target_ms} ms{met}"
    )
