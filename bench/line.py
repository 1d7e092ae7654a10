"""What the line costs and how it holds under load. `make bench-line`, or python -m bench.line --help.

Three parts, each in one run on one machine: the parts of a 20 ms frame's way (CPU time, no socket); a real server on
one core under more and more simulated calls from another core; a caller with real human speech who interrupts.
Prints tables and writes bench/results/line-DATE.json.
"""

import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
import onnxruntime
import psutil
from prometheus_client.parser import text_string_to_metric_families

from agent import events as e
from agent import silero
from agent.engine.embedded.synthesizer import say
from agent.session import Session
from agent.silero import CONTEXT, STATE, WINDOW
from agent.vad import Vad
from bench.machine import keep, table
from config.settings import Settings
from telephony.audio import g711
from telephony.caller.call import run_call
from telephony.caller.report import CallReport, distribution
from telephony.caller.script import Script
from telephony.playout import Mark, Playout
from telephony.process import ServerProcess
from telephony.twilio.media_stream import MediaStream

SCRIPT = Path(__file__).parent.parent / "telephony" / "caller" / "scripts" / "load.yaml"
SPEECH = Path(os.environ.get("VOXLINE_SPEECH", Path(__file__).parent.parent.parent / "shared" / "speech"))
SERVER_CORE, CALLER_CORE = 0, 1
FRAME_MS = 20


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", default="1,50,100,200,300", help="calls at once, one run each (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="length of each run (default %(default)s)")
    parser.add_argument("--reps", type=int, default=5, help="interruptions by each recording (default %(default)s)")
    options = parser.parse_args()
    parts = frame_parts()
    load = [under_load(int(calls), options.seconds) for calls in options.calls.split(",")]
    show_load(load)
    results = {"frame_us": parts, "load": load, "embedded": first_audio(), "speech": human_speech(options.reps)}
    print(f"\nwritten to {keep('line', results)}")


# A frame's way, part by part


def frame_parts() -> dict[str, float]:
    """CPU microseconds per 20 ms frame of each part, both ways."""
    pcm = (np.random.default_rng(0).standard_normal(160) * 100).astype("<i2").tobytes()
    inbound = {
        "protocol: JSON, base64, order": _receive_us(),
        "G.711 decode": _cpu_us(lambda: g711.decode(b"\xff" * 160)),
        "session: audio": _session_us(pcm),
        "session: probability": _probability_us() * FRAME_MS / 32,
    }
    vad = {f"voice detector, {calls} calls": _vad_us(calls) * FRAME_MS / 32 for calls in (1, 16, 64, 256)}
    vad |= {f"the same as published, {calls} calls": _published_us(calls) * FRAME_MS / 32 for calls in (1, 16, 64)}
    outbound = {"playout, G.711 encode, base64, JSON": _send_us()}
    table(
        "CPU µs per 20 ms frame",
        ["part", "µs"],
        [[name, value] for name, value in (inbound | vad | outbound).items()]
        + [
            [
                "both ways with 64 calls' detector, no socket",
                sum(inbound.values()) + vad["voice detector, 64 calls"] + sum(outbound.values()),
            ]
        ],
    )
    return inbound | vad | outbound


def _cpu_us(call: Callable[[], object], count: int = 5000, repeats: int = 5) -> float:
    """Median CPU time of one call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(count):
            call()
        times.append((time.process_time() - start) / count * 1e6)
    return median(times)


def _receive_us() -> float:
    sid = "MZ" + "0" * 32
    head = {"streamSid": sid, "accountSid": "AC" + "0" * 32, "callSid": "CA" + "0" * 32, "tracks": ["inbound"]}
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = json.dumps({"event": "start", "streamSid": sid, "start": {**head, "mediaFormat": form}})
    payload = base64.b64encode(b"\xff" * 160).decode()
    messages = [
        json.dumps(
            {
                "event": "media",
                "sequenceNumber": str(number + 2),
                "streamSid": sid,
                "media": {
                    "track": "inbound",
                    "chunk": str(number + 1),
                    "timestamp": str(20 * number),
                    "payload": payload,
                },
            }
        )
        for number in range(5000)
    ]
    times = []
    for _ in range(5):
        stream = MediaStream()
        stream.receive(start)
        begun = time.process_time()
        for message in messages:
            stream.receive(message)
        times.append((time.process_time() - begun) / len(messages) * 1e6)
    return median(times)


def _listening() -> Session:
    session = Session("CA1", "bench", Settings())
    session.start()
    session.handle(e.ReplyEnded(1))
    return session


def _session_us(pcm: bytes) -> float:
    session, stream = _listening(), Vad().open()

    def frame() -> None:
        stream.feed(pcm)
        session.handle(e.CallerAudio(pcm))

    return _cpu_us(frame)


def _probability_us() -> float:
    session = _listening()
    windows = iter(range(10_000_000))
    return _cpu_us(lambda: session.handle(e.SpeechProbability(0.01, 32 * next(windows))))


def _vad_us(calls: int) -> float:
    """For one window of one call, all calls in one run."""
    detector = Vad()
    streams = [detector.open() for _ in range(calls)]
    windows = [
        (np.random.default_rng(call).standard_normal(WINDOW) * 500).astype("<i2").tobytes() for call in range(calls)
    ]

    def run() -> None:
        for stream, pcm in zip(streams, windows, strict=True):
            stream.feed(pcm)
        detector.run()

    return _cpu_us(run, count=max(5, 400 // calls)) / calls


def _published_us(calls: int) -> float:
    """For one window of one call in Silero's own file, all calls in one run; the network alone."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    network = onnxruntime.InferenceSession(str(silero.model_path()), options, providers=["CPUExecutionProvider"])
    sound = np.random.default_rng(0).standard_normal((calls, CONTEXT + WINDOW)).astype(np.float32) * 0.02
    feed = {"input": sound, "state": np.zeros((2, calls, STATE), np.float32), "sr": np.array(g711.RATE)}
    return _cpu_us(lambda: network.run(None, feed), count=max(5, 400 // calls)) / calls


def _send_us() -> float:
    settings = Settings().playout
    stream = MediaStream()
    stream.receive(
        json.dumps(
            {
                "event": "start",
                "streamSid": "MZ" + "0" * 32,
                "start": {
                    "callSid": "CA" + "0" * 32,
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                },
            }
        )
    )
    word = bytes(16 * 300)  # a word of 300 ms with its mark
    times = []
    for _ in range(5):
        playout, now, frames = Playout(settings), 0.0, 0
        begun = time.process_time()
        for number in range(500):
            playout.add(1, word, [300.0 * number + 280])
            while playout.due_ms <= (now := now + 10) and frames < 15 * (number + 1):
                for item in playout.take(now):
                    if isinstance(item, Mark):
                        stream.mark(item.name)
                        playout.returned(item.name)
                    else:
                        stream.media(g711.encode(item))
                        frames += len(item) // 320
        times.append((time.process_time() - begun) / frames * 1e6)
    return median(times)


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


def _samples(url: str, name: str) -> Any:
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
