"""A Recognizer with pocketsphinx and a language model made from each agent's dialogue.

pocketsphinx keeps Python's interpreter to itself while it works, so it is given a few milliseconds' work at a time, in
threads: the audio of other calls goes on in between. An utterance that finds no free decoder waits in its buffer.
"""

import asyncio
import re
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import pocketsphinx

from agent.engine.base import CALLER_RATE, Expect, SpeechBlock, Transcript
from agent.engine.embedded.language_model import arpa, sentences, vocabulary
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.dialogue import Dialogue

MODEL_RATE = 16_000  # Hz
PIECE = 2 * CALLER_RATE * 40 // 1000  # bytes of PCM16, 40 ms: some 2 ms of work
MAX_BYTES = 2 * CALLER_RATE * 90  # of one utterance; what is longer is not heard
MAX_UTTERANCES = 1000
FIRST_BYTES = 2 * CALLER_RATE * 640 // 1000  # of speech before decoding begins: they tell how loud the caller is
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

P = ParamSpec("P")
T = TypeVar("T")


class Utterance:
    """The audio of one utterance, and the decoder it has got hold of."""

    def __init__(self, agent: str, expect: Expect) -> None:
        self.agent = agent
        self.expect = expect
        self.audio = bytearray()  # not yet decoded
        self.received = 0
        self.decoder: Decoder | None = None
        self.lock = asyncio.Lock()  # one step after the other
        self.cancelled = False


class Decoder:
    """One pocketsphinx decoder for one agent's dialogue. Used by one thread at a time."""

    def __init__(self, dictionary: Path, models: dict[Expect, Path]) -> None:
        self._decoder = pocketsphinx.Decoder(lm=None, dict=str(dictionary), **OPTIONS)
        for expect, path in models.items():
            self._decoder.add_lm_file(expect.value, str(path))
        self._noise = np.random.default_rng(0)
        self._last = self._gain = np.float32(0)
        self._open = False

    def start(self, expect: Expect) -> None:
        """Begin an utterance; one that was broken off is forgotten. Its level is learnt with `learn_level`."""
        if self._open:
            self.end()
        self._open = True
        self._decoder.activate_search(expect.value)
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
        self._count = decoders
        self._pools: dict[str, asyncio.Queue[Decoder]] = {}
        self._utterances: dict[str, Utterance] = {}
        self._threads = ThreadPoolExecutor(decoders, thread_name_prefix="pocketsphinx")

    async def load(self) -> None:
        """See Recognizer."""
        for name, dialogue in self._dialogues.items():
            pool: asyncio.Queue[Decoder] = asyncio.Queue()
            for decoder in await self._work(build_decoders, name, dialogue, self._count):
                pool.put_nowait(decoder)
            self._pools[name] = pool

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        utterance = self._utterances.get(block.utterance)
        if utterance is None:
            if block.agent not in self._pools:
                raise EngineError(f"the agent {block.agent!r} has no `dialogue`, which the recognizer needs")
            if len(self._utterances) >= MAX_UTTERANCES:
                raise EngineError("too many utterances at once")
            utterance = self._utterances[block.utterance] = Utterance(block.agent, block.expect)
        room = MAX_BYTES - utterance.received
        utterance.audio += block.audio[:room]
        utterance.received += min(len(block.audio), room)
        if utterance.received < FIRST_BYTES:
            return Transcript("")
        async with utterance.lock:
            try:
                decoder = utterance.decoder or self._take_free(utterance)
                return Transcript(await self._decode(utterance, decoder) if decoder else "")
            finally:
                if utterance.cancelled:
                    self._release(utterance)

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        item = self._utterances.get(utterance)
        if item is None:
            return Transcript("", final=True)
        try:
            async with item.lock:
                if not item.decoder and not item.cancelled:
                    item.decoder = await self._pools[item.agent].get()
                    item.decoder.start(item.expect)
                if not item.decoder or item.cancelled:
                    return Transcript("", final=True)
                await self._decode(item, item.decoder)
                return Transcript(await self._work(_end, item.decoder), final=True)
        finally:
            self._forget(utterance, item)

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

    def _take_free(self, utterance: Utterance) -> Decoder | None:
        if not self._pools[utterance.agent].empty():
            utterance.decoder = self._pools[utterance.agent].get_nowait()
            utterance.decoder.start(utterance.expect)
        return utterance.decoder

    async def _decode(self, utterance: Utterance, decoder: Decoder) -> str:
        """Decode what has come in; gives the partial transcript."""
        audio, utterance.audio = bytes(utterance.audio), bytearray()
        return await self._work(_hear_all, decoder, audio, utterance)

    def _forget(self, name: str, utterance: Utterance) -> None:
        if self._utterances.get(name) is utterance:
            del self._utterances[name]
        self._release(utterance)

    def _release(self, utterance: Utterance) -> None:
        if decoder := utterance.decoder:
            utterance.decoder = None
            self._pools[utterance.agent].put_nowait(decoder)

    async def _work(self, function: Callable[P, T], *arguments: P.args, **_: P.kwargs) -> T:
        """Run in a thread. Who is cancelled waits until it has ended: no other thread may touch the decoder before."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


def _hear_all(decoder: Decoder, audio: bytes, utterance: Utterance) -> str:
    decoder.learn_level(audio)
    for start in range(0, len(audio), PIECE):
        if utterance.cancelled:
            return ""
        decoder.hear(audio[start : start + PIECE])
    return decoder.text()


def _end(decoder: Decoder) -> str:
    decoder.end()
    return decoder.text()


def build_decoders(name: str, dialogue: Dialogue, count: int) -> list[Decoder]:
    """Decoders for one dialogue; raises EngineError naming words that pocketsphinx cannot pronounce."""
    with tempfile.TemporaryDirectory(prefix="voxline-") as folder:
        dictionary = Path(folder) / "words.dict"
        lines = pronunciations(name, vocabulary(dialogue), dialogue.pronunciations)
        dictionary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        models = {}
        for expect in Expect:
            models[expect] = Path(folder) / f"{expect.value}.arpa"
            models[expect].write_text(arpa(sentences(dialogue, expect)), encoding="utf-8")
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
    missing -= own.keys()
    if missing:
        raise EngineError(
            f"agent {agent!r}: pocketsphinx cannot pronounce {', '.join(sorted(missing))}; "
            "add them to dialogue.pronunciations in ARPAbet, such as {voxline: V AA K S L AY N}"
        )
    return lines
