"""What the line costs and how it holds under load. `make bench-line`, or python -m bench.line --help.

Three parts, each in one run on one machine: the parts of a 20 ms frame's way (CPU time, no socket); a real server on
one core under more and more simulated calls from another core; a caller with real human speech who interrupts.
Prints tables and writes bench/results/line-DATE.json.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from agent.engine.embedded.synthesizer import say
from bench.frame import FRAME_MS, frame_parts
from bench.machine import keep, table
from telephony.caller.call import run_call
from telephony.caller.report import CallReport, distribution
from telephony.caller.script import Script
from telephony.process import ServerProcess

SCRIPT = Path(__file__).parent.parent / "telephony" / "caller" / "scripts" / "load.yaml"
SPEECH = Path(os.environ.get("VOXLINE_SPEECH", Path(__file__).parent.parent.parent / "shared" / "speech"))
SERVER_CORE, CALLER_CORE = 0, 1


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--calls", default="1,10,50,100,200,300", help="calls at once, one run each (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=30, help="length of each run (default %(default)s)")
    parser.add_argument("--reps", type=int, default=5, help="interruptions by each recording (default %(default)s)")
    options = parser.parse_args()
    parts = frame_parts()
    load = [under_load(int(calls), options.seconds) for calls in options.calls.split(",")]
    show_load(load)
    results = {"frame_us": parts, "load": load, "embedded": first_audio(), "speech": human_speech(options.reps)}
    print(f"\nwritten to {keep('line', results)}")


# Many calls on one core


def under_load(calls: int, seconds: float) -> dict[str, Any]:
    """One run: a fresh server on its core, `calls` callers on the other."""
    settings = {
        "engine.profile": "simulated",
        "engine.simulated.words": 8,
        "call.capacity": 2 * calls + 10,
    }
    with ServerProcess(settings) as server, tempfile.TemporaryDirectory() as folder:
        process = psutil.Process(server.process.pid)
        process.cpu_affinity([SERVER_CORE])
        idle_mb = process.memory_info().rss / 1e6
        report_file = Path(folder) / "load.json"
        ramp = max(2.0, calls / 40)
        options = {"script": SCRIPT, "calls": calls, "ramp": ramp, "duration": ramp + seconds, "out": report_file}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        caller = subprocess.Popen(
            [sys.executable, "-m", "telephony.cli", "load", server.url, *arguments], stdout=subprocess.DEVNULL
        )
        psutil.Process(caller.pid).cpu_affinity([CALLER_CORE])
        _wait_for_calls(server.url, calls, ramp + 20)
        begun, cpu, frames = time.monotonic(), process.cpu_times(), _frames(server.url)
        time.sleep(max(5.0, seconds - 8))
        wall, used, received = time.monotonic() - begun, process.cpu_times(), _frames(server.url) - frames
        memory_mb = process.memory_info().rss / 1e6
        late = _tick_late_ms(server.url)
        caller.wait(seconds + 60)
        report = json.loads(report_file.read_text())
    cpu_s = used.user + used.system - cpu.user - cpu.system
    return {
        "calls": calls,
        "cpu_share": cpu_s / wall,
        "cpu_us_per_frame": cpu_s / received * 1e6,
        "cpu_s_per_call_minute": cpu_s / (received * FRAME_MS / 60_000),
        "memory_mb": memory_mb,
        "idle_mb": idle_mb,
        "mb_per_call": (memory_mb - idle_mb) / calls,
        "tick_late_p99_ms": late,
        "report": report,
    }


def _wait_for_calls(url: str, calls: int, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if httpx.get(url + "/readyz").json()["active"] >= calls:
            return
        time.sleep(0.2)


def _frames(url: str) -> float:
    return next(_samples(url, "voxline_frames_total"))[1]


def _samples(url: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
    for family in text_string_to_metric_families(httpx.get(url + "/metrics").text):
        for sample in family.samples:
            if sample.name == name:
                yield sample.labels, sample.value


def _tick_late_ms(url: str) -> float:
    """The bucket's bound below which 99 % of the ticks were late."""
    buckets = sorted(
        (float(labels["le"]), count) for labels, count in _samples(url, "voxline_tick_late_seconds_bucket")
    )
    return 1000 * next(bound for bound, count in buckets if count >= 0.99 * buckets[-1][1])


def show_load(runs: list[dict[str, Any]]) -> None:
    """The runs side by side."""
    columns: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
        "calls": lambda run, _: run["calls"],
        "core %": lambda run, _: 100 * run["cpu_share"],
        "µs/frame": lambda run, _: run["cpu_us_per_frame"],
        "CPU-s/call-min": lambda run, _: f"{run['cpu_s_per_call_minute']:.3f}",
        "MB/call": lambda run, _: f"{run['mb_per_call']:.2f}",
        "tick late p99 ms": lambda run, _: run["tick_late_p99_ms"],
        "underruns": lambda _, report: report["underruns"],
        "failed": lambda _, report: report["failed"],
        "clear p50": lambda _, report: report["barge_in_to_clear_ms"]["p50"],
        "p95 ms": lambda _, report: report["barge_in_to_clear_ms"]["p95"],
        "voice to voice p50": lambda _, report: report["voice_to_voice_ms"]["p50"],
        "p95": lambda _, report: report["voice_to_voice_ms"]["p95"],
        "start→audio p95": lambda _, report: report["start_to_first_audio_ms"]["p95"],
        "caller kept up": lambda _, report: "yes" if report["generator"]["kept_up"] else "no",
    }
    rows = [[show(run, run["report"]) for show in columns.values()] for run in runs]
    title = "A real server on one core, callers on another (engine: 100 ms to the first word, 100 ms to its audio)"
    table(title, list(columns), rows)


# One caller


def first_audio() -> dict[str, Any]:
    """`start` → first audio with the embedded engine, for several calls one after another."""
    script = Script(name="greeting", steps=["wait", "hang_up"])
    with ServerProcess({}) as server:
        reports = [asyncio.run(run_call(server.url, script, speak=say)) for _ in range(5)]
    values = distribution(report.start_to_first_audio_ms for report in reports if report.start_to_first_audio_ms)
    table(
        "Embedded engine: start → first audio", ["calls", "p50 ms", "max ms"], [[values.count, values.p50, values.max]]
    )
    return {"start_to_first_audio_ms": {"p50": values.p50, "max": values.max, "count": values.count}}


def human_speech(reps: int) -> dict[str, Any]:
    """Every recording talks over the agent `reps` times: onset of speech → `clear`."""
    recordings = sorted(SPEECH.glob("*.wav"))
    if not recordings:
        print(f"\nno human speech in {SPEECH}: that part is left out (set VOXLINE_SPEECH)")
        return {}
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
    return await asyncio.gather(*(run_call(url, script, speak=say) for script in scripts))


if __name__ == "__main__":
    main()
