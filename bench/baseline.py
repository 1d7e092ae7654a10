"""The baseline: the same work by the packages' own means, transformers' `generate()` with one thread per call, and
KPipeline."""

import statistics
import threading
import time
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from transformers import TextIteratorStreamer, WhisperFeatureExtractor

from agent.engine.voxtral.checkpoint import Checkpoint, load
from bench.machine import table
from config.engine import KokoroSettings, VoxtralSettings

TEXT = "We're open Monday to Friday, from nine in the morning until five o'clock."
NEW_TOKENS = 25
AUDIO_TOKEN, AUDIO_TOKENS = 24, 375


def baseline_generate(settings: VoxtralSettings, counts: list[int]) -> list[dict[str, Any]]:
    """This many threads, each with one turn of 3 s: the time to its second word, and the tokens a second of all
    together."""
    checkpoint = load(settings)
    _generate(checkpoint)  # warm
    rows = [_threads(checkpoint, count) for count in counts]
    table("Baseline", list(rows[0]), [list(row.values()) for row in rows])
    return rows


def _threads(checkpoint: Checkpoint, calls: int) -> dict[str, Any]:
    found: list[tuple[float, int]] = []
    begin = time.perf_counter()
    threads = [threading.Thread(target=lambda: found.append(_generate(checkpoint))) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - begin
    return {
        "what": f"generate(), {calls} threads",
        "first word p50 ms": statistics.median(first for first, _ in found),
        "worst ms": max(first for first, _ in found),
        "tokens/s": sum(count for _, count in found) / wall,
    }


@torch.inference_mode()
def _generate(checkpoint: Checkpoint) -> tuple[float, int]:
    """One turn: ms to the second token's text, and how many tokens came."""
    begin = time.perf_counter()
    extract = WhisperFeatureExtractor(feature_size=128)  # type: ignore[no-untyped-call]
    audio = torch.randn(16_000 * 3).numpy() * 0.1
    features = extract(
        audio, sampling_rate=16_000, padding="max_length", max_length=480_000, return_tensors="pt"
    ).input_features
    ids = torch.tensor([[1, 3, *([1000 + 97] * 56), 25, *([AUDIO_TOKEN] * AUDIO_TOKENS), 4]], device=checkpoint.device)
    times: list[float] = []

    class Streamer(TextIteratorStreamer):
        def put(self, value: Any) -> None:  # noqa: ARG002
            times.append(time.perf_counter())

        def end(self) -> None:
            pass

    model: Any = checkpoint.model
    model.generate(
        input_ids=ids,
        input_features=features.to(checkpoint.device, checkpoint.model.dtype),
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        do_sample=False,
        streamer=Streamer(cast(Any, None)),  # it never decodes
    )
    return 1000 * (times[2] - begin), len(times) - 1  # the prompt comes first


def baseline_speech(settings: KokoroSettings) -> dict[str, Any]:
    """Kokoro's own pipeline: the time to the first audio of one sentence."""
    from kokoro import KModel, KPipeline  # type: ignore[import-untyped] # noqa: PLC0415

    from agent.engine.kokoro.phonemes import Phonemizer  # noqa: PLC0415

    folder = Path(settings.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = KModel(
            repo_id="hexgrad/Kokoro-82M", config=str(folder / "config.json"), model=str(folder / "kokoro-v1_0.pth")
        )
    model = model.to(settings.device).eval()
    [phonemes] = Phonemizer(model.vocab).read(TEXT, "en-us")
    voice = torch.load(folder / "voices" / f"{settings.voice}.pt", weights_only=True)
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        KPipeline.infer(model, phonemes.text, voice, 1.0)
        times.append(1000 * (time.perf_counter() - begin))
    row = {"what": "KPipeline, a sentence of 13 words", "first audio p50 ms": statistics.median(times[1:])}
    table("Baseline", list(row), [list(row.values())])
    return row
