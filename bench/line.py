"""What the line costs, and how it holds up under load. `make bench-line`, or python -m bench.line --help.

Four parts, each in one run on one machine: the stages of a 20 ms frame's path (CPU time, no socket); a real server on
one core under more and more simulated calls from another core, by Twilio's socket and by SIP; the first audio of the
embedded engine; a caller with real human speech who interrupts. Prints tables and writes bench/results/line-DATE.json.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.frame import frame_parts
from bench.load import Columns, show, under_load
from bench.machine import keep, table
from bench.sip import show_sip, sip_in_silence, sip_under_load
from bench.sounds import SPEECH
from telephony.server.process import ServerProcess
from telephony.simulator.call import run_call
from telephony.simulator.report import CallReport, distribution
from telephony.simulator.script import Script


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--calls", default="1,10,50,100,200,300", help="calls at once, one run each (default %(default)s)"
    )
    parser.add_argument("--sip-calls", default="1,50,100,200", help="the same by SIP (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="length of each run (default %(default)s)")
    parser.add_argument("--reps", type=int, default=5, help="interruptions by each recording (default %(default)s)")
    options = parser.parse_args(arguments)
    parts = frame_parts()
    load = [under_load(calls, options.seconds, {}, lambda server: server.url) for calls in _numbers(options.calls)]
    show_load(load)
    sip = [sip_under_load(calls, options.seconds) for calls in _numbers(options.sip_calls)]
    silent = [sip_in_silence(calls, options.seconds) for calls in _numbers(options.sip_calls)]
    show_sip(sip, silent)
    speech = human_speech(options.reps) if options.reps else {}
    results = {"frame_us": parts, "load": load, "sip": sip, "sip_in_silence": silent}
    results |= {"embedded": first_audio(), "speech": speech}
    print(f"\nwritten to {keep('line', results)}")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


# Many calls on one core


def show_load(runs: list[dict[str, Any]]) -> None:
    """The runs side by side."""
    columns: Columns = {
        "clear p50": lambda _, report: report["barge_in_to_clear_ms"]["p50"],
        "p95 ms": lambda _, report: report["barge_in_to_clear_ms"]["p95"],
        "voice to voice p50": lambda _, report: report["voice_to_voice_ms"]["p50"],
        "p95": lambda _, report: report["voice_to_voice_ms"]["p95"],
        "start→audio p95": lambda _, report: report["start_to_first_audio_ms"]["p95"],
    }
    title = "A real server on one core, callers on another (engine: 100 ms to the first word, 100 ms to its audio)"
    show(title, runs, columns)


# One caller


def first_audio() -> dict[str, Any]:
    """`start` → first audio with the embedded engine, for several calls one after another."""
    script = Script(name="greeting", steps=["wait", "hang_up"])
    with ServerProcess({}) as server:
        reports = [asyncio.run(run_call(server.url, script)) for _ in range(5)]
    values = distribution(report.start_to_first_audio_ms for report in reports if report.start_to_first_audio_ms)
    table(
        "Embedded engine: start → first audio", ["calls", "p50 ms", "max ms"], [[values.count, values.p50, values.max]]
    )
    return {"start_to_first_audio_ms": {"p50": values.p50, "max": values.max, "count": values.count}}


def human_speech(reps: int) -> dict[str, Any]:
    """Each recording interrupts the agent `reps` times: onset of speech → `clear`."""
    recordings = sorted(SPEECH.glob("*.wav"))
    settings = {"engine.profile": "simulated", "engine.simulated.words": 60}
    with ServerProcess(settings) as server:
        reports = asyncio.run(_interrupt_with(server.url, recordings, reps))
    found = [item for report in reports for item in report.interruptions]
    wire = distribution(item.clear_ms for item in found if item.clear_ms is not None)
    audio = distribution(item.clear_audio_ms for item in found if item.clear_audio_ms is not None)
    missed = sum(item.clear_ms is None for item in found)
    table(
        f"Human speech over the agent, {len(recordings)} recordings: onset → clear, ms",
        ["measured", "count", "p50", "p95", "max", "missed"],
        [
            ["on the wire", wire.count, wire.p50, wire.p95, wire.max, missed],
            ["in audio time", audio.count, audio.p50, audio.p95, audio.max, missed],
        ],
    )
    return {
        "wire_ms": {"count": wire.count, "p50": wire.p50, "p95": wire.p95, "max": wire.max},
        "audio_ms": {"count": audio.count, "p50": audio.p50, "p95": audio.p95, "max": audio.max},
        "missed": missed,
    }


async def _interrupt_with(url: str, recordings: list[Path], reps: int) -> list[CallReport]:
    scripts = [
        Script(
            name=recording.stem,
            steps=[{"interrupt": {"after_ms": 900 + 37 * rep, "wav": str(recording.resolve())}} for rep in range(reps)],
        )
        for recording in recordings
    ]
    return await asyncio.gather(*(run_call(url, script) for script in scripts))


if __name__ == "__main__":
    main()
