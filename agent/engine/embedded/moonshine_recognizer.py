"""A Recognizer with Moonshine, for agents with and without a dialogue.

The network hears an utterance as a whole, when the caller pauses: nobody waits for words before. There are two
exceptions. Speech over the agent is heard every 400 ms, since the agent waits, silent, for what it means. And of a long
utterance, what came before a quiet moment is heard while it goes on, so that its end never waits for more than 8 s of
audio. All are heard in the order in which they come.
"""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
import numpy as np
import soxr

from agent.engine.base import Expect, FloatArray, Meaning, SpeechBlock, Transcript, clearest
from agent.engine.embedded.ending import leads_on
from agent.engine.embedded.moonshine import Alternative, Moonshine
from agent.engine.embedded.noise import reduced
from agent.engine.embedded.transcript_choice import TranscriptChoice, as_expected
from agent.engine.embedded.understanding import Understanding
from agent.engine.meaning import meaning_of
from agent.exceptions import EngineError
from audio.rate import WIDE_RATE
from config.agent import AgentSettings

STEP_MS_OVER, LONG_MS_OVER = (
    400,
    3000,
)  # speech over the agent is heard again after so much more of it, up to this length
STALE_MS = 400  # of unheard speech, after which nobody knows whether it is complete
SURE_WORDS = 2  # over the agent, before it is over; a single word is judged when it is over, a moment later
FINISH_S = 5.0  # an utterance waits no longer than this for its turn
MAX_MS = 90_000  # of one utterance; the rest is not heard
LONGEST_MS, SHORTEST_MS = 8_000, 4_000  # heard as a whole; of more, the part up to the quietest moment is kept as text
ALTERNATIVES_MS = 6_000  # of an utterance, no longer than which it is searched for alternatives
MAX_UTTERANCES = 1000
SILENT_DBFS = -55.0  # an utterance whose loudest 200 ms are below holds no words, whatever the network invents

T = TypeVar("T")


class HeardUtterance:
    """The audio of one utterance, and what has been understood of it."""

    def __init__(self, first: SpeechBlock) -> None:
        self.agent = first.agent
        self.expect, self.expect_digits = first.expect, first.expect_digits
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
    def unheard_ms(self) -> float:
        """How much there is that was not heard yet."""
        return self._ms - self._heard_ms

    @property
    def urgent(self) -> bool:
        """Whether the agent waits, silent, to learn what is said over it."""
        return self.over and self.transcript.meaning is not Meaning.TURN and self._heard_ms < LONG_MS_OVER

    @property
    def wants_hearing(self) -> bool:
        """Whether it is to be heard before it is over."""
        return self._is_long or (self.urgent and self.unheard_ms >= STEP_MS_OVER)

    @property
    def _is_long(self) -> bool:
        return len(self._audio) > 2 * LONGEST_MS * self.rate // 1000

    def hear(self, moonshine: Moonshine, *, final: bool) -> str:
        """All its words so far; runs in the model's thread. Of a long one that goes on, the end is left for later."""
        ms = self._ms
        if self._heard_ms == ms:
            return self._text
        audio = _audio_of(bytes(self._audio), self.rate)
        while not self.cancelled and len(audio) > LONGEST_MS * WIDE_RATE // 1000:
            cut = _quietest(audio)
            self._before.append(_text(moonshine, audio[:cut]))
            audio = audio[cut:]
            del self._audio[: 2 * (cut * self.rate // WIDE_RATE)]
        parts = [*self._before]
        if (final or self.urgent) and not self.cancelled:
            parts.append(_text(moonshine, audio))
            self._heard_ms = ms
        self._text = " ".join(filter(None, parts))
        return self._text

    def alternatives(self, moonshine: Moonshine) -> list[Alternative]:
        """What it may be instead, where it is short. Runs in the model's thread."""
        if self._before or self._ms > ALTERNATIVES_MS or self.cancelled:
            return []
        return moonshine.alternatives(reduced(_audio_of(bytes(self._audio), self.rate)))


class MoonshineRecognizer:
    """The recognizer of all agents. One utterance is heard at a time, in a thread, without the GIL."""

    def __init__(self, agents: dict[str, AgentSettings], moonshine: Moonshine) -> None:
        self._understandings = _understandings(agents)
        self._moonshine = moonshine
        self._utterances: dict[str, HeardUtterance] = {}
        self._turn = asyncio.Lock()  # fair: in the order in which they ask
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="moonshine")

    async def load(self) -> None:
        """See Recognizer. The network has run already."""

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner."""
        self._understandings |= await asyncio.to_thread(_understandings, agents)

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        for name in agents:
            self._understandings.pop(name, None)

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        utterance = self._utterances.get(block.utterance) or self._open(block)
        utterance.add(block)
        if utterance.wants_hearing:
            utterance.transcript = await self._transcribe(utterance, final=False)
        if utterance.unheard_ms >= STALE_MS:
            return msgspec.structs.replace(utterance.transcript, complete=None)
        return utterance.transcript

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        item = self._utterances.get(utterance)
        if item is None:
            return Transcript("", final=True)
        try:
            return await self._transcribe(item, final=True)
        finally:
            if self._utterances.get(utterance) is item:
                del self._utterances[utterance]

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
        try:
            async with asyncio.timeout(FINISH_S):
                await self._turn.acquire()
        except TimeoutError:
            raise EngineError(f"not heard within {FINISH_S:.0f} s: too many utterances at once") from None
        try:
            return await self._work(utterance, lambda: self._heard(utterance, final=final))
        finally:
            self._turn.release()

    def _heard(self, utterance: HeardUtterance, *, final: bool) -> Transcript:
        """In the thread: its words so far, and what they mean."""
        text = as_expected(utterance.hear(self._moonshine, final=final), utterance.expect, utterance.expect_digits)
        understanding = self._understandings.get(utterance.agent)
        if understanding and final and not utterance.over:
            choice = TranscriptChoice(understanding, utterance.expect, utterance.expect_digits)
            text = choice.meant(text, lambda: utterance.alternatives(self._moonshine))
        complete, may_go_on = None, False
        if understanding is None:
            meaning = meaning_of(text)
        else:
            meaning = understanding.meaning(text, utterance.expect, over=utterance.over, final=final)
            complete = understanding.complete(text, utterance.expect, utterance.expect_digits)
            may_go_on = complete is not False and understanding.may_go_on(text, utterance.expect)
            # What means nothing yet is only answered by asking again, so the rest of it is worth waiting for.
            may_go_on |= bool(text) and final and meaning is Meaning.NOTHING and utterance.expect is not Expect.TEXT
        if not final and meaning is Meaning.TURN and not _is_sure(understanding, text):
            meaning = Meaning.NOTHING
        if utterance.over and utterance.transcript.meaning is Meaning.TURN:
            meaning = Meaning.TURN  # what has ended a reply has ended it
        if complete is None and leads_on(text):
            complete = False
        elif complete and text.endswith(","):
            complete = None  # "Yes," may be all of it, or not
        return Transcript(text, final, meaning, complete, may_go_on)

    async def _work(self, utterance: HeardUtterance, function: Callable[[], T]) -> T:
        """Run in the thread. A task that is cancelled here waits until the thread is done, which is soon: nobody wants
        the utterance any more."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            utterance.cancelled = True
            await asyncio.wait([future])
            raise


def _understandings(agents: dict[str, AgentSettings]) -> dict[str, Understanding]:
    return {name: Understanding(agent.dialogue) for name, agent in agents.items() if agent.dialogue}


def _is_sure(understanding: Understanding | None, text: str) -> bool:
    """Whether so little of what is said over the agent is enough. The first half of "uh-huh" is heard as "no"."""
    is_stop = understanding is not None and understanding.read(text).built_in == "stop"
    return is_stop or len(text.split()) >= SURE_WORDS


def _audio_of(pcm: bytes, rate: int) -> FloatArray:
    """PCM16 as mono float32 at 16 kHz in -1..1."""
    audio: FloatArray = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    return audio if rate == WIDE_RATE else np.asarray(soxr.resample(audio, rate, WIDE_RATE), np.float32)


def _text(moonshine: Moonshine, audio: FloatArray) -> str:
    return "" if _loudest_db(audio) < SILENT_DBFS else moonshine.text(reduced(audio))


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
