"""The path of a 20 ms frame through the line, part by part: CPU time, no socket. A part of `make bench-line`."""

import base64
import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import onnxruntime

from agent import events as e
from agent.listening import silero
from agent.listening.silero import CONTEXT, STATE, WINDOW
from agent.listening.vad import Vad
from agent.session import Session
from audio import g711
from audio.rate import FRAME_MS, RATE, WINDOW_MS
from bench.machine import table
from config.settings import Settings
from telephony.lines.playout import Mark, Playout
from telephony.lines.twilio.protocol import MediaStream


def frame_parts() -> dict[str, float]:
    """CPU microseconds per 20 ms frame of each part, both ways."""
    pcm = (np.random.default_rng(0).standard_normal(160) * 100).astype("<i2").tobytes()
    inbound = {
        "protocol: JSON, base64, order": _receive_us(),
        "G.711 decode": _cpu_us(lambda: g711.decode(b"\xff" * 160)),
        "session: audio": _session_us(pcm),
        "session: probability": _probability_us() * FRAME_MS / WINDOW_MS,
    }
    windows = FRAME_MS / WINDOW_MS  # in a frame
    vad = {f"voice detector, {calls} calls": _vad_us(calls) * windows for calls in (1, 16, 64, 256)}
    vad |= {f"the same as published, {calls} calls": _published_us(calls) * windows for calls in (1, 16, 64)}
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
    form = {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1}
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
    """Time for one window of one call, with all calls in one run."""
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
    """The same with Silero's own file: the network alone."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    network = onnxruntime.InferenceSession(str(silero.model_path()), options, providers=["CPUExecutionProvider"])
    sound = np.random.default_rng(0).standard_normal((calls, CONTEXT + WINDOW)).astype(np.float32) * 0.02
    feed = {"input": sound, "state": np.zeros((2, calls, STATE), np.float32), "sr": np.array(RATE)}
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
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1},
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
            for _ in range(30):  # ticks of 10 ms, as long as the word
                now += 10
                if playout.due_ms > now:
                    continue
                for item in playout.take(now):
                    if isinstance(item, Mark):
                        stream.mark(item.name)
                        playout.returned(item.name, now)
                    else:
                        stream.media(g711.encode(item))
                        frames += len(item) // 320
        times.append((time.process_time() - begun) / frames * 1e6)
    return median(times)
