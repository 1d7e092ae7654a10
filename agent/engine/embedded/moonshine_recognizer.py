"""A Recognizer with Moonshine, for agents with and without a dialogue.

The network hears an utterance as a whole, and while it goes on again and again: whenever it is twice as long, and only
while nothing else is to be heard, so that what callers wait for (the end of an utterance, speech over the agent) comes
first.
Of a long utterance, what came before a quiet moment is not heard again.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import numpy as np
import soxr

from agent.engine.base import Expect, FloatArray, Meaning, SpeechBlock, Transcript, clearest
from agent.engine.embedded.moonshine import Moonshine
from agent.engine.embedded.understanding import Understanding
from agent.exceptions import EngineError
from audio.rate import WIDE_RATE
from config.agent import AgentSettings

PARTIAL_MS = 1000  # of speech before an utterance that goes on is heard for the first time
FIRST_MS_OVER = 400  # of speech over the agent, which waits to learn what it means
MAX_MS = 90_000  # of one utterance; the rest is not heard
LONGEST_MS, SHORTEST_MS = 15_000, 8_000  # heard as a whole; of more, the part up to the quietest moment is kept as text
MAX_UTTERANCES = 1000
SILENT_DBFS = -55.0  # an utterance whose loudest 200 ms are below holds no words, whatever the network invents
# Where digits are expected, words that sound like them.
HOMOPHONES = {"to": "two", "too": "two", "for": "four", "ate": "eight", "won": "one", "o": "oh"}

P = ParamSpec("P")
T = TypeVar("T")


class HeardUtterance:
    """The audio of one utterance, and what has been understood of it."""

    def __init__(self, first: SpeechBlock) -> None:
        self.agent = first.agent
        self.expect = first.expect
        self.over = first.over
        self.rate = clearest(first)[1]
        self.transcript = Transcript("")  # the last partial one
        self.cancelled = False
        self._audio = bytearray()  # from where `_before` ends
        self._before: list[str] = []  # text of the parts that are not heard again
        self._total = 0  # bytes of all of it
        self._heard_ms = 0.0  # how much there was when it was heard last
        self._text = ""  # as it was heard then

    @property
    def _ms(self) -> float:
        return self._total / (2 * self.rate / 1000)

    def add(self, block: SpeechBlock) -> None:
        """More of it. What comes at another rate than the first block is not heard."""
        audio, rate = clearest(block)
        if rate == self.rate and self._ms < MAX_MS:
            self._audio += audio
            self._total += len(audio)

    @property
    def wants_hearing(self) -> bool:
        """Whether there is enough new speech to be heard once more: each time as much again, since all is heard again.
        Over the agent every moment counts."""
        new = self._ms - self._heard_ms
        return new >= (FIRST_MS_OVER if self.over else max(PARTIAL_MS, self._heard_ms))

    def hear(self, moonshine: Moonshine) -> str:
        """All its words so far; runs in the model's thread."""
        if self._heard_ms == self._ms:
            return self._text
        self._heard_ms = self._ms
        audio = _audio_of(bytes(self._audio), self.rate)
        while not self.cancelled and len(audio) > LONGEST_MS * WIDE_RATE // 1000:
            cut = _quietest(audio)
            self._before.append(_text(moonshine, audio[:cut]))
            audio = audio[cut:]
            del self._audio[: 2 * (cut * self.rate // WIDE_RATE)]
        text = "" if self.cancelled else _text(moonshine, audio)
        self._text = " ".join(part for part in (*self._before, text) if part)
        return self._text


class MoonshineRecognizer:
    """The recognizer of all agents. One utterance is heard at a time, in a thread, without the GIL."""

    def __init__(self, agents: dict[str, AgentSettings], moonshine: Moonshine) -> None:
        self._understandings = {name: Understanding(agent.dialogue) for name, agent in agents.items() if agent.dialogue}
        self._moonshine = moonshine
        self._utterances: dict[str, HeardUtterance] = {}
        self._turn = asyncio.Lock()  # fair: in the order in which they ask
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="moonshine")

    async def load(self) -> None:
        """See Recognizer."""
        await self._work(self._moonshine.text, np.zeros(WIDE_RATE, np.float32))

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        utterance = self._utterances.get(block.utterance) or self._open(block)
        utterance.add(block)
        if utterance.wants_hearing and (utterance.over or not self._turn.locked()):
            utterance.transcript = await self._transcribe(utterance, final=False)
        return utterance.transcript

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        item = self._utterances.pop(utterance, None)
        return await self._transcribe(item, final=True) if item else Transcript("", final=True)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        if item := self._utterances.pop(utterance, None):
            item.cancelled = True

    async def close(self) -> None:
        """See Recognizer."""
        for name in list(self._utterances):
            self.cancel(name)
        await asyncio.to_thread(self._threads.shutdown)

    def _open(self, first: SpeechBlock) -> HeardUtterance:
        if len(self._utterances) >= MAX_UTTERANCES:
            raise EngineError("too many utterances at once")
        utterance = self._utterances[first.utterance] = HeardUtterance(first)
        return utterance

    async def _transcribe(self, utterance: HeardUtterance, *, final: bool) -> Transcript:
        async with self._turn:
            text = await self._work(utterance.hear, self._moonshine)
            if utterance.expect is Expect.DIGITS:
                text = " ".join(HOMOPHONES.get(word.lower().strip(".,?!"), word) for word in text.split())
            understood = partial(self._understood, utterance, text, final=final)
            return await self._work(understood)

    def _understood(self, utterance: HeardUtterance, text: str, *, final: bool) -> Transcript:
        understanding = self._understandings.get(utterance.agent)
        if understanding is None:
            return Transcript(text, final)
        meaning = understanding.meaning(text, utterance.expect, over=utterance.over, final=final)
        if utterance.over and utterance.transcript.meaning is Meaning.TURN:
            meaning = Meaning.TURN  # what has ended a reply has ended it
        return Transcript(text, final, meaning, understanding.complete(text, utterance.expect))

    async def _work(self, function: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """Run in the thread. A task that is cancelled here waits until the thread is done."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


def _audio_of(pcm: bytes, rate: int) -> FloatArray:
    """PCM16 as mono float32 at 16 kHz in -1..1."""
    audio: FloatArray = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
    return audio if rate == WIDE_RATE else np.asarray(soxr.resample(audio, rate, WIDE_RATE), np.float32)


def _text(moonshine: Moonshine, audio: FloatArray) -> str:
    return "" if _loudest_db(audio) < SILENT_DBFS else moonshine.text(audio)


def _loudest_db(audio: FloatArray) -> float:
    """The RMS of the loudest 200 ms, in dBFS."""
    power = _power(audio, WIDE_RATE // 5)
    return float(10 * np.log10(max(power.max(initial=0.0), 1e-12)))


def _quietest(audio: FloatArray) -> int:
    """The middle of the quietest 200 ms between SHORTEST_MS and LONGEST_MS."""
    size = WIDE_RATE // 5
    begin = SHORTEST_MS * WIDE_RATE // 1000
    power = _power(audio[begin : LONGEST_MS * WIDE_RATE // 1000], size)
    return begin + size * int(power.argmin()) + size // 2


def _power(audio: FloatArray, size: int) -> FloatArray:
    """The mean power of each window of so many samples; the last may be shorter."""
    starts = np.arange(0, len(audio), size)
    if not len(starts):
        return np.zeros(0, np.float32)
    sums = np.add.reduceat(audio**2, starts)
    return np.asarray(sums / np.minimum(size, len(audio) - starts).astype(np.float32), np.float32)
