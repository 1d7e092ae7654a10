"""A small Kokoro with random weights, loaded once, and a gate that holds its model up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import torch

pytest.importorskip("kokoro", reason="kokoro is for Python below 3.13")

from agent.engine.kokoro import synthesizer as loaded_first
from agent.engine.kokoro.forward import Forward, SynthesisInput, SynthesisOutput
from agent.engine.kokoro.phonemes import Phonemizer
from agent.engine.kokoro.synthesizer import KokoroSynthesizer
from bench.checkpoints.kokoro import SYMBOLS, build
from config.engine import KokoroSettings


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the genuine format, small and fast of speech."""
    return build(tmp_path_factory.mktemp("kokoro"), pace=1.5)


@pytest.fixture(scope="session")
def phonemizer() -> Phonemizer:
    return Phonemizer(SYMBOLS)


@pytest.fixture(scope="session", autouse=True)
def quick_to_load() -> Iterator[None]:
    """A short text warms it up, and British English is loaded when it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaded_first, "WARM_UP", loaded_first.WARM_UP[:1])
        patch.setattr(loaded_first, "LANGUAGES", loaded_first.LANGUAGES[:1])
        yield


@pytest.fixture(scope="session")
def _loaded(folder: Path) -> Iterator[KokoroSynthesizer]:
    synthesizer = KokoroSynthesizer(KokoroSettings(model=str(folder), device="cpu", waiting=4))
    asyncio.run(synthesizer.load())
    yield synthesizer
    asyncio.run(synthesizer.close())


@pytest.fixture
def synthesizer(_loaded: KokoroSynthesizer) -> Iterator[KokoroSynthesizer]:
    """Shared: tests leave nothing behind in it."""
    yield _loaded
    assert not _loaded._speaking
    assert not _loaded._cancelled
    assert not len(_loaded._waiting)


Said = dict[tuple[tuple[tuple[int, ...], float], ...], list[SynthesisOutput]]


class Gate:
    """The model, which runs only while the gate is open, and keeps what it was asked. What it has `said` before, in
    one voice, it need not compute again."""

    def __init__(self, forward: Forward, said: Said) -> None:
        self.forward = forward
        self.said = said
        self.runs: list[int] = []  # rows of each
        self.failing: list[Exception] = []  # to be raised by the next runs
        self._started = threading.Event()
        self._open = threading.Event()

    def __call__(self, rows: Sequence[SynthesisInput]) -> list[SynthesisOutput]:
        self.runs.append(len(rows))
        self._started.set()
        assert self._open.wait(20)
        if self.failing:
            raise self.failing.pop()
        asked = tuple((row.tokens, row.speed) for row in rows)
        if asked not in self.said:
            self.said[asked] = self.forward(rows)
        return self.said[asked]

    async def started(self) -> None:
        """Wait until the model has been given a run."""
        assert await asyncio.to_thread(self._started.wait, 20)

    def open(self) -> None:
        self._open.set()


@pytest.fixture(scope="session")
def said() -> Said:
    return {}


@pytest.fixture
async def gate(synthesizer: KokoroSynthesizer, said: Said) -> AsyncIterator[Gate]:
    """The shared synthesizer's, closed."""
    gate = Gate(synthesizer._forward, said)
    synthesizer._forward = gate  # type: ignore[assignment]
    yield gate
    gate.open()
    synthesizer._forward = gate.forward
