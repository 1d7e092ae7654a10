"""Kokoro speaks: chunks of all calls, several in one run of the model.

One thread owns the model; another prepares texts and finishes audio, a millisecond each. The event loop only
hands work over.
"""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from agent.engine.base import SpeakRequest, Speech
from agent.engine.faults import judge
from agent.engine.host import find_folder, use_own_stream
from agent.engine.kokoro.batching import BatchQueue, SynthesisJob, is_first, most_phonemes
from agent.engine.kokoro.forward import Forward, SynthesisInput
from agent.engine.kokoro.loading import FILES, Voices, load_model
from agent.engine.kokoro.phonemes import Phonemes, Phonemizer
from agent.engine.kokoro.speech import finish
from agent.exceptions import DeviceLost, EngineError
from config.engine import KokoroSettings

WARM_UP = ("Sure.", "Sure, I can do that for you right now.")
LANGUAGES = ("en-us", "en-gb")  # their lexicons take a second to load; the other languages load quickly, when needed


class KokoroSynthesizer:
    """A Synthesizer. Audio is 24 kHz; a chunk comes in one piece, or in several when it is very long."""

    def __init__(self, settings: KokoroSettings) -> None:
        self._settings = settings
        # On a CPU a batch takes as long as its chunks one by one, and would only hold up the first.
        self._batch = settings.batch if settings.device == "cuda" else 1
        self._waiting = BatchQueue(settings.waiting, self._batch)
        self._speaking: dict[str, list[SynthesisJob]] = {}
        self._cancelled: set[str] = set()  # of those in `_speaking`
        self._texts = ThreadPoolExecutor(1, thread_name_prefix="kokoro-text")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="kokoro")
        self._loaded = False

    async def load(self) -> None:
        """See Synthesizer."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._worker, self._load)
        self._loaded = True
        self._worker.submit(self._run)

    def _load(self) -> None:
        settings = self._settings
        folder = find_folder(settings.model, "engine.kokoro", FILES)
        model = load_model(folder, settings.device, most_phonemes(self._batch))
        use_own_stream(settings.device, urgent=True)  # many small steps, while a caller waits in silence
        self._vocabulary: dict[str, int] = model.vocab
        self._voices = Voices(folder, settings.device)
        self._phonemizer = Phonemizer(model.vocab)
        self._forward = Forward(model)
        voice = self._voices.get(settings.voice)
        for language in LANGUAGES:
            self._phonemizer.load(language)
        try:
            self._warm_up(voice)
        except Exception as error:  # torch may raise anything
            raise EngineError(f"Kokoro is loaded, but cannot speak: {type(error).__name__}: {error}") from error

    def _warm_up(self, voice: torch.Tensor) -> None:
        for text in WARM_UP:
            rows = [self._row(piece, voice, 1.0) for piece in self._phonemizer.read(text, LANGUAGES[0])]
            for copies in range(1, 1 + min(2, self._batch)):
                self._forward(rows * copies)

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        if not self._loaded:
            raise EngineError("Kokoro is not loaded, or has been closed")
        loop = asyncio.get_running_loop()
        jobs = self._speaking[request.id] = []
        try:
            pieces = await loop.run_in_executor(self._texts, self._read, request)
            if request.id in self._cancelled:
                return
            jobs += [
                SynthesisJob(request.id, row, index == 0 and is_first(request.id), loop.create_future())
                for index, (_, row) in enumerate(pieces)
            ]
            self._waiting.put(jobs)
            for (phonemes, _), job in zip(pieces, jobs, strict=True):
                spoken = await job.result
                if spoken is None:
                    return
                speech = await loop.run_in_executor(self._texts, finish, spoken, phonemes)
                if request.id in self._cancelled:
                    return
                yield speech
        finally:
            self.cancel(request.id)
            self._speaking.pop(request.id, None)
            self._cancelled.discard(request.id)

    def cancel(self, request: str) -> None:
        """See Synthesizer. Whatever the model is working on at that moment is discarded when done."""
        if request not in self._speaking:
            return
        self._cancelled.add(request)
        self._waiting.drop(request)
        for job in self._speaking[request]:
            if not job.result.done():
                job.result.set_result(None)

    async def close(self) -> None:
        """See Synthesizer. Chunks that are being spoken end without audio."""
        self._loaded = False
        for request in list(self._speaking):
            self.cancel(request)
        self._waiting.close()
        await asyncio.to_thread(self._worker.shutdown)
        await asyncio.to_thread(self._texts.shutdown)

    # In the text thread

    def _read(self, request: SpeakRequest) -> list[tuple[Phonemes, SynthesisInput]]:
        voice = self._voices.get(request.voice or self._settings.voice)
        pieces = self._phonemizer.read(request.text, request.language)
        return [(piece, self._row(piece, voice, request.speed)) for piece in pieces]

    def _row(self, piece: Phonemes, voice: torch.Tensor, speed: float) -> SynthesisInput:
        tokens = tuple(self._vocabulary[character] for character in piece.text)
        return SynthesisInput(tokens, voice[len(tokens) - 1], speed)

    # In the model's thread

    def _run(self) -> None:
        while jobs := self._waiting.take():
            self._speak(jobs)

    def _speak(self, jobs: list[SynthesisJob]) -> None:
        """One run; when it fails, each by itself, so that one bad text costs nobody else anything."""
        try:
            for job, spoken in zip(jobs, self._forward([job.row for job in jobs]), strict=True):
                sound = np.isfinite(spoken.audio).all()
                job.deliver(spoken if sound else EngineError("Kokoro made no sound of this text, but broken numbers"))
        except Exception as error:  # noqa: BLE001 (torch may raise anything)
            fault = judge(error, "Kokoro", "lower engine.kokoro.batch, or give the other models less")
            if len(jobs) > 1 and not isinstance(fault, DeviceLost):
                for job in jobs:
                    self._speak([job])
                return
            for job in jobs:
                job.deliver(type(fault)(str(fault)))
