"""A Recognizer with pocketsphinx and a language model made from each agent's dialogue.

pocketsphinx holds the GIL while it works, so it is given a few milliseconds' work at a time, in a thread: the audio of
other calls goes on in between. An utterance that finds no free decoder is heard when it is over. The longest one that
still goes on gives up its decoder for that and is then heard later in the same way: that costs no memory, as more
decoders would, and no caller waits for another to stop talking.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import msgspec

from agent.engine.base import Meaning, SpeechBlock, Transcript, clearest
from agent.engine.embedded.phrase_decoder import PhraseDecoder, build_decoders
from agent.engine.embedded.understanding import CLEAR_WORDS, Understanding
from agent.exceptions import EngineError
from config.agent import AgentSettings

PIECE_MS = 40  # some 2 ms of work
TURN_MS = 3000  # decoded of one utterance before others have their turn
MAX_MS = 90_000  # of one utterance; what is longer is not heard
MAX_UTTERANCES = 1000
FIRST_MS = 640  # of speech before decoding begins: they tell how loud the caller is
FIRST_MS_OVER = 400  # of speech over the agent, which waits to learn what it means
PAUSE_S = 0.5  # after each decoder that is made while calls are on
FINISH_S = 5.0  # that `finish` waits for a decoder
# How well words must fit the sound to end the agent's reply, in nats a frame of 10 ms below the best sounds of each:
# a few words, and more of them. People's recordings were at -1.8 to -3.5, espeak's voices at -2.5 to -6, babble at -6.
FIT_FEW, FIT_MORE = -5.1, -5.4

P = ParamSpec("P")
T = TypeVar("T")


class DecodedUtterance:
    """The audio of one utterance, and the decoder that it holds."""

    def __init__(self, first: SpeechBlock) -> None:
        self.agent = first.agent
        self.expect, self.expect_digits = first.expect, first.expect_digits
        self.over = first.over
        self.rate = clearest(first)[1]
        self.audio = bytearray()  # all of it, at this rate: it may have to be decoded again
        self.decoded = 0  # bytes
        self.decoder: PhraseDecoder | None = None
        self.robbed = False  # it has given up its decoder, and gets another when it is over
        self.transcript = Transcript("")  # the last partial one
        self.finishing = False
        self.lock = asyncio.Lock()  # one step after the other
        self.cancelled = False

    @property
    def ms(self) -> float:
        """How long it is."""
        return len(self.audio) / self.bytes(1)

    def bytes(self, ms: int) -> int:
        """How much audio that is."""
        return 2 * self.rate * ms // 1000

    def add(self, block: SpeechBlock) -> None:
        """More of it. What comes at another rate than the first block is not heard."""
        audio, rate = clearest(block)
        if rate == self.rate:
            self.audio += audio[: self.bytes(MAX_MS) - len(self.audio)]


class Hypothesis(msgspec.Struct, frozen=True):
    """What a decoder makes of an utterance (so far)."""

    text: str
    fit: float = 0.0  # see PhraseDecoder.fit


class PocketsphinxRecognizer:
    """The recognizer of all agents that have a dialogue; at most `decoders` utterances at once for each."""

    def __init__(self, agents: dict[str, AgentSettings], decoders: int = 4) -> None:
        self._dialogues = {name: agent.dialogue for name, agent in agents.items() if agent.dialogue}
        self._understandings = {name: Understanding(dialogue) for name, dialogue in self._dialogues.items()}
        self._count = decoders
        self._pools: dict[str, asyncio.Queue[PhraseDecoder]] = {}
        self._turnstiles: dict[str, asyncio.Lock] = {}  # whoever waits for a decoder waits in a queue
        self._waiting: Counter[str] = Counter()  # utterances of an agent that are over and have no decoder yet
        self._utterances: dict[str, DecodedUtterance] = {}
        # One thread: they would not work at once anyway, and each more that waits for the interpreter delays the audio.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pocketsphinx")

    async def load(self) -> None:
        """See Recognizer."""
        for name, dialogue in self._dialogues.items():
            if name in self._pools:
                continue  # it is two parts of an engine: what callers are heard with, and what it falls back on
            pool: asyncio.Queue[PhraseDecoder] = asyncio.Queue()
            for decoder in await self._work(build_decoders, name, dialogue, self._count):
                pool.put_nowait(decoder)
            self._pools[name] = pool
            self._turnstiles[name] = asyncio.Lock()

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner. Making a decoder holds up the interpreter, audio included, so each has a pause after it."""
        for name, agent in agents.items():
            if agent.dialogue is None:
                continue
            pool: asyncio.Queue[PhraseDecoder] = asyncio.Queue()
            for _ in range(self._count):
                [decoder] = await asyncio.to_thread(build_decoders, agent.name, agent.dialogue, 1)
                pool.put_nowait(decoder)
                await asyncio.sleep(PAUSE_S)
            self._understandings[name] = await asyncio.to_thread(Understanding, agent.dialogue)
            self._turnstiles[name] = asyncio.Lock()
            self._pools[name] = pool

    def forget(self, agents: Collection[str]) -> None:
        """See Learner. What is still being heard keeps its decoders."""
        for name in agents:
            for known in (self._pools, self._turnstiles, self._understandings, self._dialogues):
                known.pop(name, None)

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        utterance = self._utterances.get(block.utterance) or self._open(block)
        utterance.add(block)
        if len(utterance.audio) < utterance.bytes(FIRST_MS_OVER if utterance.over else FIRST_MS):
            return utterance.transcript
        async with utterance.lock:
            try:
                if decoder := utterance.decoder or self._take_free(utterance):
                    heard = await self._decode(utterance, decoder)
                    utterance.transcript = await self._work(partial(self._transcript, utterance, heard, final=False))
                return utterance.transcript
            finally:
                if utterance.cancelled:
                    self._release(utterance)

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        item = self._utterances.get(utterance)
        if item is None:
            return Transcript("", final=True)
        item.finishing = True
        try:
            async with item.lock:
                if not item.cancelled:
                    decoder = item.decoder or await self._wait_for_decoder(item)
                    await self._decode(item, decoder)
                    heard = await self._work(_end, decoder)
                    transcript = await self._work(partial(self._transcript, item, heard, final=True))
                return Transcript("", final=True) if item.cancelled else transcript
        finally:
            if self._utterances.get(utterance) is item:
                del self._utterances[utterance]
            self._release(item)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        item = self._utterances.pop(utterance, None)
        if item:
            item.cancelled = True
            if not item.lock.locked():  # otherwise the task at work on it gives the decoder back
                self._release(item)

    async def close(self) -> None:
        """See Recognizer."""
        for name in list(self._utterances):
            self.cancel(name)
        await asyncio.to_thread(self._threads.shutdown)

    def _open(self, first: SpeechBlock) -> DecodedUtterance:
        if first.agent not in self._pools:
            raise EngineError(f"the agent {first.agent!r} has no `dialogue`, which the recognizer needs")
        if len(self._utterances) >= MAX_UTTERANCES:
            raise EngineError("too many utterances at once")
        utterance = self._utterances[first.utterance] = DecodedUtterance(first)
        return utterance

    # Decoders

    def _take_free(self, utterance: DecodedUtterance) -> PhraseDecoder | None:
        """A decoder for an utterance that goes on, if no other needs it more."""
        pool = self._pools[utterance.agent]
        if utterance.robbed or self._waiting[utterance.agent] or pool.empty():
            return None
        return self._lend(pool.get_nowait(), utterance)

    async def _wait_for_decoder(self, utterance: DecodedUtterance) -> PhraseDecoder:
        """A decoder for an utterance that is over, in the order in which they end."""
        pool = self._pools[utterance.agent]
        self._waiting[utterance.agent] += 1
        try:
            async with asyncio.timeout(FINISH_S), self._turnstiles[utterance.agent]:
                if pool.empty():
                    await self._rob_longest(utterance.agent)
                return self._lend(await pool.get(), utterance)
        except TimeoutError:
            raise EngineError(
                f"no decoder became free within {FINISH_S:.0f} s: too many utterances end at once"
            ) from None
        finally:
            self._waiting[utterance.agent] -= 1

    async def _rob_longest(self, agent: str) -> None:
        """Free the decoder of the longest utterance that goes on."""
        going_on = [item for item in self._utterances.values() if item.agent == agent and not item.finishing]
        longest = max((item for item in going_on if item.decoder), key=lambda item: item.ms, default=None)
        if longest:
            longest.robbed = True
            async with longest.lock:
                if not longest.finishing:  # otherwise it gives its decoder back in a moment
                    self._release(longest)

    def _lend(self, decoder: PhraseDecoder, utterance: DecodedUtterance) -> PhraseDecoder:
        utterance.decoder, utterance.decoded = decoder, 0
        decoder.start(utterance.expect, over=utterance.over, rate=utterance.rate)
        return decoder

    def _release(self, utterance: DecodedUtterance) -> None:
        if decoder := utterance.decoder:
            utterance.decoder = None
            if pool := self._pools.get(utterance.agent):  # unless its agent is forgotten
                pool.put_nowait(decoder)

    async def _decode(self, utterance: DecodedUtterance, decoder: PhraseDecoder) -> Hypothesis:
        """Decode what has come in, with turns for the others where that is much."""
        while True:
            audio = bytes(utterance.audio[utterance.decoded : utterance.decoded + utterance.bytes(TURN_MS)])
            utterance.decoded += len(audio)
            heard = await self._work(_hear_all, decoder, audio, utterance)
            if utterance.decoded >= len(utterance.audio) or utterance.cancelled:
                return heard

    # What it means

    def _transcript(self, utterance: DecodedUtterance, heard: Hypothesis, *, final: bool) -> Transcript:
        before = utterance.transcript
        if final:
            complete = None  # everything sounds like a phrase to it: its words are a guess, which ends no turn early
        elif heard.text == before.text:
            complete = before.complete
        else:
            understanding = self._understandings[utterance.agent]
            complete = understanding.complete(heard.text, utterance.expect, utterance.expect_digits)
        return Transcript(heard.text, final, self._meaning(utterance, heard, final=final), complete)

    def _meaning(self, utterance: DecodedUtterance, heard: Hypothesis, *, final: bool) -> Meaning:
        """What was said over the agent's voice ends its reply, so that must be certain, and stays so."""
        before = utterance.transcript
        if utterance.over and before.meaning is Meaning.TURN:
            return Meaning.TURN
        understanding = self._understandings[utterance.agent]
        meaning = understanding.meaning(heard.text, utterance.expect, over=utterance.over, final=final)
        if utterance.over and meaning is Meaning.TURN:
            words = heard.text.split()
            certain = heard.fit >= (FIT_FEW if len(words) < CLEAR_WORDS else FIT_MORE)
            if not certain or not (final or _goes_on(words, before.text.split())):
                return Meaning.NOTHING
        return meaning

    async def _work(self, function: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """Run in a thread. A task that is cancelled here waits until the thread is done: until then no other thread may
        touch the decoder."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


def _goes_on(words: list[str], before: list[str]) -> bool:
    """Whether the last guess went the same way: few words are the same, more have grown out of it."""
    if len(words) < CLEAR_WORDS:
        return words == before
    kept = max(1, len(before) - 1)
    return words[:kept] == before[:kept]


def _hear_all(decoder: PhraseDecoder, audio: bytes, utterance: DecodedUtterance) -> Hypothesis:
    decoder.learn_level(audio)
    size = utterance.bytes(PIECE_MS)
    for start in range(0, len(audio), size):
        if utterance.cancelled:
            return Hypothesis("")
        decoder.hear(audio[start : start + size])
    return Hypothesis(decoder.text(), decoder.fit() if utterance.over else 0.0)


def _end(decoder: PhraseDecoder) -> Hypothesis:
    decoder.end()
    return Hypothesis(decoder.text(), decoder.fit())
