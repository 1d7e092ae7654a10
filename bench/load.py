"""A real server on one core under simulated calls from another core: what it costs, and what the callers report."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from audio.rate import FRAME_MS
from bench.machine import table
from telephony.server.process import ServerProcess

SCRIPT = Path(__file__).parent.parent / "telephony" / "simulator" / "scripts" / "load.yaml"
SERVER_CORE, CALLER_CORE = 0, 1
RAMP_S, CALLS_A_SECOND = 2.0, 40  # how calls begin
TAIL_S = 8.0  # at a run's end, not measured: calls end
LEAST_S = 3.0  # measured at least

Columns = dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]]  # of a table: (run, report) → cell


def under_load(
    calls: int,
    seconds: float,
    settings: Mapping[str, Any],
    address: Callable[[ServerProcess], str],
    script: Path = SCRIPT,
) -> dict[str, Any]:
    """One run: a fresh server with these extra settings on one core, `calls` callers of `address` on the other."""
    simulated = {"engine.profile": "simulated", "engine.simulated.words": 8, "call.capacity": 2 * calls + 10}
    simulated["engine.embedded.recognizer"] = "pocketsphinx"  # the line alone: nobody hears what is said over the agent
    with ServerProcess({**simulated, **settings}) as server, tempfile.TemporaryDirectory() as folder:
        process = psutil.Process(server.process.pid)
        _pin(process, SERVER_CORE)
        idle_mb = process.memory_info().rss / 1e6
        report_file = Path(folder) / "load.json"
        ramp = max(RAMP_S, calls / CALLS_A_SECOND)
        options = {"script": script, "calls": calls, "ramp": ramp, "duration": ramp + seconds, "out": report_file}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        caller = subprocess.Popen(
            [sys.executable, "-m", "telephony.cli", "load", address(server), *arguments], stdout=subprocess.DEVNULL
        )
        _pin(psutil.Process(caller.pid), CALLER_CORE)
        _wait_for_calls(server.url, calls, ramp + 20)
        begun, cpu, frames = time.monotonic(), process.cpu_times(), _frames(server.url)
        time.sleep(max(min(LEAST_S, seconds), seconds - TAIL_S))
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


def _costs() -> Columns:
    """The first columns of every table of loads."""
    return {
        "calls": lambda run, _: run["calls"],
        "core %": lambda run, _: 100 * run["cpu_share"],
        "µs/frame": lambda run, _: run["cpu_us_per_frame"],
        "CPU-s/call-min": lambda run, _: f"{run['cpu_s_per_call_minute']:.3f}",
        "MB/call": lambda run, _: f"{run['mb_per_call']:.2f}",
        "tick late p99 ms": lambda run, _: run["tick_late_p99_ms"],
        "underruns": lambda _, report: report["underruns"],
        "failed": lambda _, report: report["failed"],
    }


def show(title: str, runs: list[dict[str, Any]], columns: Columns) -> None:
    """Show the runs side by side: what each load costs, these columns, and whether the figures mean anything."""
    every = _costs() | columns | {"caller kept up": _kept_up}
    table(title, list(every), [[cell(run, run["report"]) for cell in every.values()] for run in runs])


def _kept_up(_: dict[str, Any], report: dict[str, Any]) -> str:
    return "yes" if report["generator"]["kept_up"] else "no"


def _pin(process: psutil.Process, core: int) -> None:
    """Pin the process to one core, if there are two and the system supports that."""
    if hasattr(process, "cpu_affinity") and core in process.cpu_affinity():
        process.cpu_affinity([core])


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
    """The bound of the bucket that holds the 99th percentile of the ticks' lateness."""
    buckets = sorted(
        (float(labels["le"]), count) for labels, count in _samples(url, "voxline_tick_late_seconds_bucket")
    )
    return 1000 * next(bound for bound, count in buckets if count >= 0.99 * buckets[-1][1])
