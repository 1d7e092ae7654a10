"""What the models cost, and how many conversations they carry at once. `make bench-engine`, or --help.

Voxtral and Kokoro with random weights in the genuine format: of the real size on a GPU; of the real depth but narrow on
a CPU, which measures the cost of dispatching. Each in one run: the steps of the decode loop beside the floor;
conversations (3 s of speech, then 4 s of listening) and everybody at once, with the models in a process of their own
and in this one; the baseline, `generate()` and KPipeline; then the targets, which need a GPU. Prints tables and writes
bench/results/engine-DATE.json anew after each part: a part that fails is named there and costs no other part, and parts
that there is no time for are left out.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from agent.engine.base import Engine
from agent.engine.process.remote import in_process
from agent.engine.profiles import build_models
from bench.baseline import baseline_generate, baseline_speech
from bench.checkpoints import voxtral
from bench.conversations import AGENT, Figures, talk
from bench.machine import keep, table
from bench.targets import OWN, judge
from bench.voxtral_steps import steps
from config.engine import EngineSettings
from telephony.simulator.report import distribution

# What the model says, whatever it hears: a front desk's answer, one token per piece.
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
SPARE_S = 15  # extra time for a run of conversations: the first turns, and cutting off
LOAD_S = 60  # time for a full-size engine to load


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the checkpoints, run all parts, show the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=device, help="default here: %(default)s")
    parser.add_argument("--size", choices=SIZES, default="full" if device == "cuda" else "narrow")
    many = "1,8,32,64" if device == "cuda" else "1,2,4"  # speech alone fills a CPU
    parser.add_argument("--calls", default=many, help="conversations at once, one run each (default here: %(default)s)")
    parser.add_argument("--seconds", type=float, default=12, help="length of each run (default %(default)s)")
    parser.add_argument("--limit", type=float, default=540, help="seconds for everything (default %(default)s)")
    parser.add_argument("--checkpoints", type=Path, help="keep the checkpoints here, and use those that are there")
    parser.add_argument("--results", type=Path, help="write the results to this folder")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a run that is stopped has shown its results so far
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options, options.checkpoints or Path(temporary))
        bench.run()
    table("Targets on one H200, ms", ["", "at most", "expected", "measured", ""], judge(bench.results))
    print(f"\nwritten to {bench.path}")
    if bench.failed:
        sys.exit(f"failed: {', '.join(bench.failed)}")


class Bench:
    """One run of all parts; results are written after each."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.failed: list[str] = []
        self.path: Path | None = None
        self._options = options
        self._end = time.monotonic() + options.limit
        self._settings = settings_of(folder, options.size, options.device)
        self._calls = [int(count) for count in options.calls.split(",")]
        self.results: dict[str, Any] = {
            "size": options.size,
            "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }

    def run(self) -> None:
        """Run all parts, the most important first."""
        options, settings = self._options, self._settings
        self._part("voxtral", lambda: build_voxtral(Path(settings.voxtral.model), options.size, options.device))
        self._part("kokoro", lambda: build_kokoro(Path(settings.kokoro.model), options.size))
        self._part("steps", lambda: steps(settings.voxtral, [1, 16, 64]))
        self.results["conversations"] = []
        for process in (True, False):
            place = OWN if process else "this process"
            self._part(place, lambda process=process, place=place: self._conversations(place, process=process), LOAD_S)  # type: ignore[misc]
        self._part("stock generate", lambda: baseline_generate(settings.voxtral, self._calls[:2]), LOAD_S)
        self._part("stock speech", lambda: baseline_speech(settings.kokoro))

    def _part(self, name: str, part: Callable[[], Any], takes_s: float = 0) -> None:
        if time.monotonic() + takes_s > self._end:
            self.results[name] = "left out: no time was left"
        else:
            begin = time.monotonic()
            try:
                self.results[name] = part()
            except Exception as error:  # noqa: BLE001 (other parts may work)
                traceback.print_exc()
                self.failed.append(name)
                self.results[name] = {"error": repr(error)}
            print(f"{name}: {time.monotonic() - begin:.0f} s")
        gc.collect()  # the next part needs the memory
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._keep()

    def _keep(self) -> None:
        self.path = keep("engine", self.results, self._options.results)

    def _conversations(self, place: str, *, process: bool) -> str:
        """Every number of calls, in turn and all at once, with the models in one place."""
        begin = len(self.results["conversations"])
        try:
            return asyncio.run(self._converse(place, process=process))
        finally:
            if rows := [row for row in self.results["conversations"][begin:] if "error" not in row]:
                table(
                    "Turn decided → words → audio, ms; how late another task of the loop was meanwhile, ms",
                    list(rows[0]),
                    [list(row.values()) for row in rows],
                )

    async def _converse(self, place: str, *, process: bool) -> str:
        agents = {AGENT.name: AGENT}
        settings = self._settings
        engine = in_process(settings, agents) if process else build_models(settings, agents)
        try:
            for part in engine.parts():
                await part.load()
            for count in self._calls:
                for case, at_once in CASES.items():
                    if time.monotonic() + self._options.seconds + SPARE_S > self._end:
                        return f"stopped before {case} with {count} calls: no time was left"
                    self.results["conversations"].append(await self._one(engine, place, case, count, at_once=at_once))
                    self._keep()
        finally:
            for part in engine.parts():
                await part.close()
        return "all of them"

    async def _one(self, engine: Engine, place: str, case: str, calls: int, *, at_once: bool) -> dict[str, Any]:
        try:
            return _row(await talk(engine, calls, self._options.seconds, at_once=at_once), place, case, calls)
        except Exception as error:  # noqa: BLE001 (other numbers of calls may work)
            traceback.print_exc()
            self.failed.append(f"{case} with {calls} calls")
            return {"models in": place, "case": case, "calls": calls, "error": repr(error)}


def settings_of(folder: Path, size: str, device: str) -> EngineSettings:
    """Settings that name checkpoints in a folder."""
    return EngineSettings.model_validate(
        {
            "profile": "gpu",
            "voxtral": {
                "model": str(folder / f"voxtral-{size}"),
                "device": device,
                "context": 4096 if size == "full" else 2048,
            },
            "kokoro": {"model": str(folder / f"kokoro-{size}"), "device": device},
        }
    )


def build_voxtral(folder: Path, size: str, device: str) -> str:
    """Random weights in the genuine format, unless they exist already."""
    if (folder / "tekken.json").exists() and (folder / "config.json").exists():
        return "was there"
    voxtral.build(folder, says=SAYS, device=device, **SIZES[size])
    return "built"


def build_kokoro(folder: Path, size: str) -> str:
    """Likewise."""
    from bench.checkpoints import kokoro  # noqa: PLC0415 (its package may be missing; Voxtral needs none of it)

    if (folder / "voices").exists():
        return "was there"
    pace = 1.0 if size == "tiny" else kokoro.FRAMES_A_PHONEME  # at a quicker pace speech is shorter, and costs less
    kokoro.build(folder, full=size == "full", pace=pace)
    return "built"


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
        "two words p95": words.p95,
        "→ audio p50": audio.p50,
        "→ audio p95": audio.p95,
        "both p50": both.p50,
        "both p95": both.p95,
        "tokens/s": figures.tokens / figures.seconds,
        "cancel p95": cancel.p95,
        "late p99": float(np.percentile(figures.late, 99)),
        "late max": max(figures.late),
        "GPU GiB": figures.gpu_bytes / 2**30,
    }


if __name__ == "__main__":
    main()
