"""Voxtral's parts alone, beside the least time the hardware could take: hear, read a prompt, write a token of many."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from agent.engine.voxtral.checkpoint import load
from agent.engine.voxtral.decoder import Decoder, Row
from bench.machine import table
from config.engine import VoxtralSettings

CONTEXT = 500  # tokens of each row
PROMPT = 435  # tokens: a short text and a turn's audio
# Arithmetic for one H200 (4.3 TB/s, 790 TFLOP/s in bf16) and the real size, in ms.
FLOORS = {"hear 30 s": 2.9, f"read {PROMPT} tokens": 3.6, "write 1": 1.69, "write 16": 1.91, "write 64": 2.59}


@torch.inference_mode()
def steps(settings: VoxtralSettings, rows: list[int]) -> dict[str, Any]:
    """Milliseconds of each part, and tokens a second; the floors are those of the real size on an H200."""
    checkpoint = load(settings)
    decoder = Decoder(checkpoint, max(rows), 1024)
    decoder.warm_up()
    cases: dict[str, Callable[[], Any]] = {
        # Audio that was heard before is not heard again.
        "hear 30 s": lambda: decoder.hear(time.perf_counter_ns().to_bytes(8, "little") * 30_000),
        f"read {PROMPT} tokens": lambda: decoder.prefill(0, [1] * PROMPT, b"", 0),
    }
    for count in rows:
        cases[f"write {count}"] = lambda count=count: decoder.step(  # type: ignore[misc]
            [Row(slot, 1, CONTEXT, 0.3, 0.9, 0.5) for slot in range(count)]
        )
    found = {name: _milliseconds(case, checkpoint.device) for name, case in cases.items()}
    table(
        "Voxtral's parts, ms",
        ["part", "median", "tokens/s", "floor (H200, real size)"],
        [[name, value, _rate(name, value), FLOORS.get(name, "")] for name, value in found.items()],
    )
    return found


def _rate(name: str, value: float) -> str:
    return f"{1000 * int(name.split()[1]) / value:.0f}" if name.startswith("write") else ""


def _milliseconds(call: Callable[[], Any], device: torch.device, least_s: float = 1.0) -> float:
    """Median of at least 5 runs, for at least a second."""
    times: list[float] = []
    call()
    while len(times) < 5 or sum(times) < 1000 * least_s:
        begin = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(1000 * (time.perf_counter() - begin))
    return median(times)
