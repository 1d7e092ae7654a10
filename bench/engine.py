"""What the models cost, and how many conversations they carry at once. `make bench-engine`, or --help.

Voxtral and Kokoro with random weights in the genuine format: of the real size on a GPU; of the real depth and narrow
on a CPU, where the cost of dispatching is what is measured. Each in one run: the steps of the decode loop beside the
floor; conversations (3 s of speech, then 4 s of listening) and everybody at once, with the models in this process and
in one of their own; the stock `generate()` and KPipeline. Prints tables and writes bench/results/engine-DATE.json.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.engine.profiles import build_models
from agent.engine.remote import in_process
from bench.checkpoints import kokoro, voxtral
from bench.machine import keep, table
from bench.stock import stock_generate, stock_speech
from bench.talkers import AGENT, Figures, talk
from bench.voxtral_steps import steps
from config.engine import EngineSettings, KokoroSettings, VoxtralSettings
from telephony.caller.report import distribution

# What the model says, whatever it hears: an answer of a front desk, a token a piece.
SAYS = {
    "[/INST]": (
        "We're| open| Monday| through| Friday,| from| nine| in| the| morning| until| five| o'clock.| "
        "Would| you| like| me| to| book| an| appointment| for| Tuesday| afternoon?"
    ).split("|"),
    "[TRANSCRIBE]": "when| are| they| there".split("|"),
}
SIZES: dict[str, dict[str, Any]] = {
    "full": {"full": True},
    "narrow": {"depth": 30, "width": 64},
    "tiny": {"depth": 2, "width": 64},
}
CASES = {"conversations": False, "all at once": True}


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the checkpoints, run all parts, show the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=device, help="default here: %(default)s")
    parser.add_argument("--size", choices=SIZES, default="full" if device == "cuda" else "narrow")
    many = "1,8,32,64" if device == "cuda" else "1,2,4"  # speech alone fills a CPU
    parser.add_argument("--calls", default=many, help="conversations at once, one run each (default here: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="length of each run (default %(default)s)")
    parser.add_argument("--checkpoints", type=Path, help="keep the checkpoints here, and use those that are there")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        settings = checkpoints(options.checkpoints or Path(temporary), options.size, options.device)
        calls = [int(count) for count in options.calls.split(",")]
        results = {
            "size": options.size,
            "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
            "versions": {"torch": torch.__version__},
            "steps": steps(settings.voxtral, [1, 16, 64]),
            "stock": [stock_generate(settings.voxtral, count) for count in calls[:2]] + [stock_speech(settings.kokoro)],
            "conversations": conversations(settings, calls, options.seconds),
        }
    print(f"\nwritten to {keep('engine', results)}")


def checkpoints(folder: Path, size: str, device: str) -> EngineSettings:
    """Random weights in the genuine format, and the settings that name them."""
    hears, speaks = folder / f"voxtral-{size}", folder / f"kokoro-{size}"
    if not hears.exists():
        voxtral.build(hears, says=SAYS, device=device, **SIZES[size])
    if not speaks.exists():
        pace = 1.0 if size == "tiny" else kokoro.FRAMES_A_PHONEME  # a hurry costs less
        kokoro.build(speaks, full=size == "full", pace=pace)
    return EngineSettings(
        profile="gpu",
        voxtral=VoxtralSettings(model=str(hears), device=device, context=4096 if size == "full" else 2048),
        kokoro=KokoroSettings(model=str(speaks), device=device),
    )


def conversations(settings: EngineSettings, calls: list[int], seconds: float) -> list[dict[str, Any]]:
    """Every number of calls, models in this process and in one of their own, taking turns and all at once."""
    rows = [row for process in (False, True) for row in asyncio.run(_conversations(settings, calls, seconds, process))]
    table(
        "Turn decided → words → audio, ms; how late another task of the loop was meanwhile, ms",
        list(rows[0]),
        [list(row.values()) for row in rows],
    )
    return rows


async def _conversations(
    settings: EngineSettings, calls: list[int], seconds: float, process: bool
) -> list[dict[str, Any]]:
    agents = {AGENT.name: AGENT}
    engine = in_process(settings, agents) if process else build_models(settings, agents)
    place = "own process" if process else "this process"
    try:
        for part in engine.parts():
            await part.load()
        return [
            _row(await talk(engine, count, seconds, at_once=at_once), place, case, count)
            for case, at_once in CASES.items()
            for count in calls
        ]
    finally:
        for part in engine.parts():
            await part.close()


def _row(figures: Figures, models: str, case: str, calls: int) -> dict[str, Any]:
    words, audio, both = map(distribution, (figures.two_words, figures.words_to_audio, figures.to_audio))
    cancel = distribution(figures.cancel)
    return {
        "models in": models,
        "case": case,
        "calls": calls,
        "replies": words.count,
        "failed": figures.failed,
        "two words p50": words.p50,
        "p95": words.p95,
        "→ audio p50": audio.p50,
        " p95": audio.p95,
        "both p50": both.p50,
        "  p95": both.p95,
        "tokens/s": figures.tokens / figures.seconds,
        "cancel p95": cancel.p95,
        "late p99": float(np.percentile(figures.late, 99)),
        "late max": max(figures.late),
        "GPU GiB": figures.gpu_bytes / 2**30,
    }


if __name__ == "__main__":
    main()
