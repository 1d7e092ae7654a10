"""Voxtral's parts alone, beside the least time that the hardware allows: hear, read a prompt, write a token for
many."""

import time
import traceback
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear

from agent.engine.voxtral.checkpoint import load
from agent.engine.voxtral.decoder import Decoder, SlotInput
from agent.engine.voxtral.graphs import Graphs
from agent.engine.voxtral.mel import GrowingMel, MelSpectrogram
from agent.engine.voxtral.operations import Plain
from agent.engine.voxtral.slots import MIN_ROWS, bucket
from bench.machine import table
from config.engine import VoxtralSettings

CONTEXT = 500  # tokens of each row
PROMPT = 435  # tokens: a short text and a turn's audio
# Arithmetic for one H200 (4.3 TB/s, 790 TFLOP/s in bf16) and the real size, in ms.
FLOORS = {"hear 30 s": 2.9, f"read {PROMPT} tokens": 3.6, "write 1": 1.69, "write 16": 1.91, "write 64": 2.59}

Cases = dict[str, Callable[[], Any]]


@torch.inference_mode()
def steps(settings: VoxtralSettings, rows: list[int]) -> dict[str, Any]:
    """Milliseconds of each part, and tokens a second; the floors are those of the real size on an H200."""
    checkpoint = load(settings)
    decoder = Decoder(checkpoint, max(rows), 1024)
    decoder.warm_up()
    found = _measure(cases_of(decoder, checkpoint.device, rows), checkpoint.device)
    print(f"operations: {type(decoder.operations).__name__}")
    if not isinstance(decoder.operations, Plain):
        plain = Decoder(checkpoint, max(rows), 1024, Plain())
        plain.warm_up()
        cases = {f"{name}, torch's operations": case for name, case in _reading_and_writing(plain, rows).items()}
        found |= _measure(cases, checkpoint.device)
    table(
        "Voxtral's parts, ms",
        ["part", "median", "tokens/s", "floor (H200, real size)", "times the floor"],
        [[name, value, _rate(name, value), *_floor(name, value, checkpoint.device)] for name, value in found.items()],
    )
    found["graphs say what the model says without them"] = agree(decoder)
    print(f"graphs say what the model says without them: {found['graphs say what the model says without them']}")
    return found | {"operations": type(decoder.operations).__name__}


def cases_of(decoder: Decoder, device: torch.device, rows: list[int]) -> Cases:
    """What is measured, by name."""
    turn = noise(25)
    growing = GrowingMel(MelSpectrogram(torch.device("cpu")))
    growing.add(turn[:-3200])
    mel = MelSpectrogram(device)
    return {
        # Audio heard before is not encoded again.
        "hear 30 s": lambda: decoder.hear(time.perf_counter_ns().to_bytes(8, "little") * 30_000),
        **_reading_and_writing(decoder, rows),
        **{f"products of write {count}": _products(decoder, bucket(count, MIN_ROWS, decoder.slots)) for count in rows},
        "mel of 25 s, at once": lambda: mel(turn),
        "mel of 25 s, heard before": lambda: mel.spectrogram(_known(growing.bands(turn))),
    }


def _reading_and_writing(decoder: Decoder, rows: list[int]) -> Cases:
    cases: Cases = {f"read {PROMPT} tokens": lambda: decoder.prefill(0, [1] * PROMPT, b"", 0)}
    for count in rows:
        cases[f"write {count}"] = lambda count=count: decoder.step(  # type: ignore[misc]
            [SlotInput(slot, 1, CONTEXT, 0.3, 0.9, 0.5) for slot in range(count)]
        )
    return cases


def _products(decoder: Decoder, rows: int) -> Callable[[], torch.Tensor]:
    """Only the matrix products of a step: the rest of its time is spent between them."""
    layers = decoder._layers._layers
    sizes = (weight.shape[1] for weight in (layers[0].states, layers[0].out, layers[0].down))
    inputs = [torch.randn(rows, size).to(decoder.device, layers[0].out.dtype) for size in sizes]

    def products(hidden: torch.Tensor, found: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            linear(hidden, layer.states)
            linear(found, layer.out)
            linear(hidden, layer.gate)
            linear(inner, layer.down)
        return decoder._logits(hidden)

    return lambda: decoder._graphs.run("products", rows, products, *inputs)


def _measure(cases: Cases, device: torch.device) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, case in cases.items():
        try:
            found[name] = _milliseconds(case, device)
        except Exception:  # noqa: BLE001 (the others may work)
            traceback.print_exc()
    return found


def agree(decoder: Decoder) -> bool:
    """Whether prompts, words and the cache of several rows come out alike with and without CUDA graphs."""
    graphs = decoder._graphs
    for (
        layer
    ) in decoder._model.model.language_model.layers:  # which mean nothing in a checkpoint that always says the same
        layer.self_attn.o_proj.weight.normal_(std=0.02)
    said, kept = [], []
    for each in (graphs, Graphs(decoder.device, enabled=False)):
        decoder._graphs = each
        prompts = {slot: [1, *range(1000, 1000 + 50 * (slot + 1))] for slot in range(4)}
        words = {
            slot: [decoder.pick(decoder.prefill(slot, ids, b"", 0), SlotInput(slot, 0, 0, 0.0, 1.0, 0.5), None)]
            for slot, ids in prompts.items()
        }
        for _ in range(8):
            rows = [
                SlotInput(slot, words[slot][-1], len(ids) + len(words[slot]) - 1, 0.0, 1.0, 0.5)
                for slot, ids in prompts.items()
            ]
            for row, token in zip(rows, decoder.step(rows), strict=True):
                words[row.slot].append(token)
        said.append(words)
        kept.append(decoder.cache.save(3, len(prompts[3]) + 8))
    decoder._graphs = graphs
    close = (torch.allclose(one, other, atol=0.05) for one, other in zip(*kept, strict=True))
    return said[0] == said[1] and all(close)


def noise(seconds: int) -> bytes:
    """8 kHz PCM16."""
    return (np.random.default_rng(0).standard_normal(8000 * seconds) * 3000).astype("<i2").tobytes()


def _known(bands: torch.Tensor | None) -> torch.Tensor:
    assert bands is not None
    return bands


def _rate(name: str, value: float) -> str:
    return f"{1000 * int(name.split()[1].strip(',')) / value:.0f}" if name.startswith("write") else ""


def _floor(name: str, value: float, device: torch.device) -> tuple[float | str, float | str]:
    floor = FLOORS.get(name.partition(",")[0])
    return floor or "", value / floor if floor and device.type == "cuda" else ""


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
