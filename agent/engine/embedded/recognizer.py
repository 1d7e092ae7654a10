"""A Recognizer with pocketsphinx and a language model made from each agent's dialogue.

pocketsphinx keeps Python's interpreter to itself while it works, so it is given a few milliseconds' work at a time, in
threads: the audio of other calls goes on in between. An utterance that finds no free decoder is heard when it is over.
The longest one that still goes on gives up its decoder for that and is then heard later in the same way: that costs no
memory, as more decoders would, and nobody waits for somebody else to stop talking.
"""

import asyncio
import itertools
import math
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec
import numpy as np
import pocketsphinx

from agent.engine.base import CALLER_RATE, Expect, Meaning, SpeechBlock, Transcript
from agent.engine.embedded.language_model import arpa, sentences, vocabulary
from agent.engine.embedded.understanding import CLEAR_WORDS, Understanding
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.dialogue import Dialogue

MODEL_RATE = 16_000  # Hz
PIECE = 2 * CALLER_RATE * 40 // 1000  # bytes of PCM16, 40 ms: some 2 ms of work
TURN_BYTES = 2 * CALLER_RATE * 3  # decoded of one utterance until others have their turn
MAX_BYTES = 2 * CALLER_RATE * 90  # of one utterance; what is longer is not heard
MAX_UTTERANCES = 1000
FIRST_BYTES = 2 * CALLER_RATE * 640 // 1000  # of speech before decoding begins: they tell how loud the caller is
FIRST_BYTES_OVER = 2 * CALLER_RATE * 400 // 1000  # of speech over the agent's, which waits for what it means
FINISH_S = 5.0  # that `finish` waits for a decoder
# Their loudest 20 ms are brought into this range, in dBFS, and no further: who begins softly is not a quiet caller.
# With one level for all instead, people's recordings at -14 to -40 dBFS had 19 to 29 % word errors, not 5 %.
LOUDEST_DB = (-30.0, -16.0)
SILENCE_DB = -44.0  # below this nobody has spoken yet
DITHER = 0.0007  # of full scale; digital silence would make the model's features meaningless
# The second pass over a whole utterance would hold the interpreter for tens of milliseconds, and gains nothing here.
# The language's weight over the sound's is above the usual 6.5: what was asked says much about what is answered.
OPTIONS = {"loglevel": "FATAL", "fwdflat": False, "lw": 9.0, "samprate": float(MODEL_RATE)}
# The mean of the model's features over a telephone, with which every utterance begins. The model's own is that of a
# studio microphone: with it the first words of a call are lost (35 % of 175 sentences instead of 22 %).
TELEPHONE_MEAN = (
    "48.8443,3.83241,-4.16093,1.49651,7.93468,-10.7688,-3.08055,-7.14604,-8.13122,-1.9173,-0.782637,1.25283,-5.21403"
)
# How well words must fit the sound to end the agent's reply, in nats a frame of 10 ms below the best sounds of each:
# a few words, and more of them. People's recordings were at -1.8 to -3.5, espeak's voices at -2.5 to -6, babble at -6.
FIT_FEW, FIT_MORE = -5.1, -5.4
PARTIAL_SCALE = 1024  # pocketsphinx's scores of sounds are so much smaller until the utterance is over
# How people hum; the dictionary has one way for each.
HUMMED = {"mhm": ("AH M HH AH M", "M HH M", "M HH AH M"), "hmm": ("HH M", "HH AH M", "M")}

P = ParamSpec("P")
T = TypeVar("T")


class Utterance:
    """The audio of one utterance, and the decoder it has got hold of."""

    def __init__(self, first: SpeechBlock) -> None:
        self.agent = first.agent
        self.expect = first.expect
        self.over = first.over
        self.audio = bytearray()  # all of it: it may have to be decoded again
        self.decoded = 0  # bytes
        self.decoder: Decoder | None = None
        self.robbed = False  # it has given up its decoder, and gets one again when it is over
        self.transcript = Transcript("")  # the last partial one
        self.finishing = False
        self.lock = asyncio.Lock()  # one step after the other
        self.cancelled = False


class Heard(msgspec.Struct, frozen=True):
    """What a decoder makes of an utterance (so far)."""

    text: str
    fit: float = 0.0  # see Decoder.fit


class Decoder:
    """One pocketsphinx decoder for one agent's dialogue. Used by one thread at a time."""

    def __init__(self, dictionary: Path, models: dict[str, Path]) -> None:
        self._decoder = pocketsphinx.Decoder(lm=None, dict=str(dictionary), **OPTIONS)
        for name, path in models.items():
            self._decoder.add_lm_file(name, str(path))
        self._noise = np.random.default_rng(0)
        self._last = self._gain = np.float32(0)
        self._open = False

    def start(self, expect: Expect, *, over: bool = False) -> None:
        """Begin an utterance; one that was broken off is forgotten. Its level is learnt with `learn_level`."""
        if self._open:
            self.end()
        self._open = True
        self._decoder.activate_search(model_name(expect, over=over))
        self._decoder.set_cmn(TELEPHONE_MEAN)
        self._decoder.start_utt()
        # The same dither for every utterance, so that the same audio always gives the same words.
        self._noise = np.random.default_rng(0)
        self._last = np.float32(0)
        self._gain = np.float32(0)

    def learn_level(self, pcm: bytes) -> None:
        """Take the beginning of an utterance (8 kHz PCM16) as the measure of its level, unless there was one."""
        if self._gain == 0:
            frames = np.frombuffer(pcm, "<i2").astype(np.float32)[: len(pcm) // 320 * 160].reshape(-1, 160) / 32768
            loudest = float(np.sqrt(np.mean(frames**2, axis=1)).max(initial=0.0))
            level = 20 * np.log10(max(loudest, 1e-6))
            wanted = level if level < SILENCE_DB else np.clip(level, *LOUDEST_DB)
            self._gain = np.float32(10 ** ((wanted - level) / 20))

    def hear(self, pcm: bytes) -> None:
        """Take up to 40 ms of 8 kHz PCM16."""
        self._decoder.process_raw(self._widen(pcm), no_search=False, full_utt=False)

    def text(self) -> str:
        """What it makes of the utterance so far."""
        hypothesis = self._decoder.hyp()
        words = hypothesis.hypstr.split() if hypothesis else []
        return " ".join(re.sub(r"\(\d+\)$", "", word) for word in words if not word.startswith(("<", "[")))

    def fit(self) -> float:
        """How well these words fit the sound, in nats a frame below the best sounds of each frame."""
        total, frames = 0.0, 0
        for segment in self._decoder.seg() or ():
            if not segment.word.startswith(("<", "[")):
                total += math.log(max(segment.ascore, sys.float_info.min))
                frames += segment.end_frame - segment.start_frame + 1
        return total * (PARTIAL_SCALE if self._open else 1) / max(frames, 1)

    def end(self) -> None:
        """End the utterance; `text` is then final."""
        self._decoder.end_utt()
        self._open = False

    def _widen(self, pcm: bytes) -> bytes:
        """8 to 16 kHz by straight lines: the images above 4 kHz stand in for what the phone cut off, which the model
        wants to see (a clean resampler makes at least three times the errors on people's recordings)."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) * (self._gain / 32768)
        wide = np.empty(2 * len(samples), np.float32)
        wide[1::2] = samples
        wide[::2] = (samples + np.concatenate([[self._last], samples[:-1]])) / 2
        self._last = samples[-1] if len(samples) else self._last
        wide += DITHER * self._noise.standard_normal(len(wide), np.float32)
        return (np.clip(wide, -1, 1) * 32767).astype("<i2").tobytes()


class PocketsphinxRecognizer:
    """The recognizer of all agents that have a dialogue; at most `decoders` utterances at once for each."""

    def __init__(self, agents: dict[str, AgentSettings], decoders: int = 4) -> None:
        self._dialogues = {name: agent.dialogue for name, agent in agents.items() if agent.dialogue}
        self._understandings = {name: Understanding(dialogue) for name, dialogue in self._dialogues.items()}
        self._count = decoders
        self._pools: dict[str, asyncio.Queue[Decoder]] = {}
        self._turnstiles: dict[str, asyncio.Lock] = {}  # whoever waits for a decoder waits in a queue
        self._waiting: Counter[str] = Counter()  # utterances of an agent that are over and have no decoder yet
        self._utterances: dict[str, Utterance] = {}
        # One thread: they would not work at once anyway, and each more that waits for the interpreter delays the audio.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pocketsphinx")

    async def load(self) -> None:
        """See Recognizer."""
        for name, dialogue in self._dialogues.items():
            pool: asyncio.Queue[Decoder] = asyncio.Queue()
            for decoder in await self._work(build_decoders, name, dialogue, self._count):
                pool.put_nowait(decoder)
            self._pools[name] = pool
            self._turnstiles[name] = asyncio.Lock()

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        utterance = self._utterances.get(block.utterance) or self._open(block)
        utterance.audio += block.audio[: MAX_BYTES - len(utterance.audio)]
        if len(utterance.audio) < (FIRST_BYTES_OVER if utterance.over else FIRST_BYTES):
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
            if not item.lock.locked():  # else whoever works on it gives the decoder back
                self._release(item)

    async def close(self) -> None:
        """See Recognizer."""
        for name in list(self._utterances):
            self.cancel(name)
        await asyncio.to_thread(self._threads.shutdown)

    def _open(self, first: SpeechBlock) -> Utterance:
        if first.agent not in self._pools:
            raise EngineError(f"the agent {first.agent!r} has no `dialogue`, which the recognizer needs")
        if len(self._utterances) >= MAX_UTTERANCES:
            raise EngineError("too many utterances at once")
        utterance = self._utterances[first.utterance] = Utterance(first)
        return utterance

    # Decoders

    def _take_free(self, utterance: Utterance) -> Decoder | None:
        """A decoder for an utterance that goes on, if nobody else needs it more."""
        pool = self._pools[utterance.agent]
        if utterance.robbed or self._waiting[utterance.agent] or pool.empty():
            return None
        return self._lend(pool.get_nowait(), utterance)

    async def _wait_for_decoder(self, utterance: Utterance) -> Decoder:
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
        longest = max((item for item in going_on if item.decoder), key=lambda item: len(item.audio), default=None)
        if longest:
            longest.robbed = True
            async with longest.lock:
                if not longest.finishing:  # else it gives its decoder back in a moment
                    self._release(longest)

    def _lend(self, decoder: Decoder, utterance: Utterance) -> Decoder:
        utterance.decoder, utterance.decoded = decoder, 0
        decoder.start(utterance.expect, over=utterance.over)
        return decoder

    def _release(self, utterance: Utterance) -> None:
        if decoder := utterance.decoder:
            utterance.decoder = None
            self._pools[utterance.agent].put_nowait(decoder)

    async def _decode(self, utterance: Utterance, decoder: Decoder) -> Heard:
        """Decode what has come in, with turns for the others where that is much."""
        while True:
            audio = bytes(utterance.audio[utterance.decoded : utterance.decoded + TURN_BYTES])
            utterance.decoded += len(audio)
            heard = await self._work(_hear_all, decoder, audio, utterance)
            if utterance.decoded >= len(utterance.audio) or utterance.cancelled:
                return heard

    # What it means

    def _transcript(self, utterance: Utterance, heard: Heard, *, final: bool) -> Transcript:
        before = utterance.transcript
        if heard.text == before.text:
            complete = before.complete
        else:
            complete = self._understandings[utterance.agent].complete(heard.text, utterance.expect)
        return Transcript(heard.text, final, self._meaning(utterance, heard, final=final), complete)

    def _meaning(self, utterance: Utterance, heard: Heard, *, final: bool) -> Meaning:
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
        """Run in a thread. Who is cancelled waits until it has ended: no other thread may touch the decoder before."""
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


def _hear_all(decoder: Decoder, audio: bytes, utterance: Utterance) -> Heard:
    decoder.learn_level(audio)
    for start in range(0, len(audio), PIECE):
        if utterance.cancelled:
            return Heard("")
        decoder.hear(audio[start : start + PIECE])
    return Heard(decoder.text(), decoder.fit() if utterance.over else 0.0)


def _end(decoder: Decoder) -> Heard:
    decoder.end()
    return Heard(decoder.text(), decoder.fit())


def model_name(expect: Expect, *, over: bool) -> str:
    """The language model for what is said in reply to a question of this kind, or over the agent's voice."""
    return f"{expect.value}-over" if over else expect.value


def build_decoders(name: str, dialogue: Dialogue, count: int) -> list[Decoder]:
    """Decoders for one dialogue; raises EngineError naming words that pocketsphinx cannot pronounce."""
    with tempfile.TemporaryDirectory(prefix="voxline-") as folder:
        dictionary = Path(folder) / "words.dict"
        lines = pronunciations(name, vocabulary(dialogue), dialogue.pronunciations)
        dictionary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        models = {}
        for expect, over in itertools.product(Expect, (False, True)):
            name = model_name(expect, over=over)
            models[name] = Path(folder) / f"{name}.arpa"
            models[name].write_text(arpa(sentences(dialogue, expect, over=over)), encoding="utf-8")
        return [Decoder(dictionary, models) for _ in range(count)]


def pronunciations(agent: str, words: set[str], own: dict[str, str]) -> Iterable[str]:
    """The dictionary's lines for these words: pocketsphinx's own, else those of the agent's file."""
    lines, missing = [], set(words)
    shipped = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    with shipped.open(encoding="utf-8") as file:
        for line in file:
            word = re.sub(r"\(\d+\)$", "", line.split(" ", 1)[0])
            if word in words and word not in own:
                lines.append(line.strip())
                missing.discard(word)
    lines += [f"{word} {sounds}" for word, sounds in own.items()]
    for word in sorted(words & HUMMED.keys() - own.keys()):
        lines = [line for line in lines if line.split(" ", 1)[0] != word]
        lines += [
            f"{word}({number}) {sounds}" if number > 1 else f"{word} {sounds}"
            for number, sounds in enumerate(HUMMED[word], 1)
        ]
    missing -= own.keys()
    if missing:
        raise EngineError(
            f"agent {agent!r}: pocketsphinx cannot pronounce {', '.join(sorted(missing))}; "
            "add them to dialogue.pronunciations in ARPAbet, such as {voxline: V AA K S L AY N}"
        )
    return lines
