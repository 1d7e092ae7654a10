"""`voxline demo`: starts a server, makes one call to it, and shows what happened."""

import argparse
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telephony.cli.options import SCRIPTS, Commands

if TYPE_CHECKING:
    from telephony.server.process import LogLine
    from telephony.simulator.report import CallReport

PUBLIC_URL = "https://voice.example.com"  # signed for, as behind a proxy; the call itself stays on this machine
BOOKINGS = "bookings.jsonl"  # what the shipped agent's tool writes
FADE_MS = 20  # after `clear` the agent's voice fades out


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "demo",
        help="start a server and make one call to it",
        description="Start a server, make one call, show what happened.",
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the recording and the report")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Play the shipped script."""
    return demo(options.out, SCRIPTS / "demo.yaml")


def demo(out: Path, script: Path) -> int:
    """Write the recording, the report and the bookings to `out`; 0 only if a booking and a barge-in succeeded."""
    import uvloop

    from config import private
    from telephony.server.process import ServerProcess
    from telephony.simulator.call import run_call
    from telephony.simulator.script import load_script
    from telephony.simulator.timeline import Timeline

    private.make_folder(out)
    bookings = out / BOOKINGS
    bookings.unlink(missing_ok=True)
    token = secrets.token_hex(16)
    settings = {"server.public_url": PUBLIC_URL, "server.data": str(out.resolve()), "log.words": True}
    settings |= {"tape.mode": "full", "recording.mode": "all"}  # for the console

    def add_words(line: "LogLine") -> None:
        if line.get("message") == "said":
            timeline.add(_words(line))

    with (
        Timeline(print) as timeline,
        ServerProcess(settings, environment={"TWILIO_AUTH_TOKEN": token}, on_line=add_words) as server,
    ):
        print(f"server on {server.url}, signatures checked for {PUBLIC_URL}\n")
        report = uvloop.run(
            run_call(
                server.url,
                load_script(script),
                auth_token=token,
                public_url=PUBLIC_URL,
                out=out,
                on_line=timeline.add,
            )
        )
    booked = [json.loads(line) for line in bookings.read_text().splitlines()] if bookings.exists() else []
    code = _conclude(report, booked)
    print(f"to look at it    voxline serve --set server.data={out}   and open the link that it prints", file=sys.stderr)
    return code


def _words(line: "LogLine") -> str:
    """The words of the conversation, as they go into its history."""
    cut = " … (interrupted here)" if line["interrupted"] else ""
    verb = "understood" if line["role"] == "caller" else "said"
    return f"{line['at_ms'] / 1000:7.2f}  voxline ▸ {verb}: {line['text']}{cut}"


def _conclude(report: "CallReport", booked: list[dict[str, Any]]) -> int:
    import msgspec

    from telephony.simulator.report import describe

    summary = report.summary
    stopped = summary.stray_ms <= FADE_MS * len(report.interruptions)
    barge_in = summary.barge_in_to_clear_ms.count > 0 and summary.unheard_barge_ins == 0 and stopped
    booking = booked[0]["arguments"] if booked else None
    good = report.ok and booking is not None and barge_in
    print("", *describe(report), f"booked           {booking or 'nothing'}", "", sep="\n")
    figures = {
        "ok": good,
        "booking": booking,
        "barge_in": barge_in,
        "caller_turns": len(report.turns),
        "outcome": report.outcome,
        "start_to_first_audio_ms": report.start_to_first_audio_ms,
        "voice_to_voice_ms": msgspec.to_builtins(summary.voice_to_voice_ms),
        "barge_in_to_clear_ms": msgspec.to_builtins(summary.barge_in_to_clear_ms),
        "underruns": summary.underruns,
        "stray_ms": summary.stray_ms,
        "recording": report.recording,
    }
    print(json.dumps(figures))
    return 0 if good else 1
