"""One pocketsphinx decoder for a phone line, wide-band or not, built from the models of a dialogue."""

import itertools
import math
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pocketsphinx

from agent.engine.base import Expect, FloatArray
from agent.engine.embedded.language_model import questions, sentences, vocabulary
from agent.engine.embedded.trigrams import arpa
from agent.exceptions import EngineError
from audio.rate import FRAME, RATE, WIDE_RATE
from config.dialogue import Dialogue

# Their loudest 20 ms are brought into this range, in dBFS, and no further: a soft beginning is not a quiet caller.
# With one level for all instead, people's recordings at -14 to -40 dBFS had 19 to 29 % word errors, not 5 %.
LOUDEST_DB = (-30.0, -16.0)
SILENCE_DB = -44.0  # below this nobody has spoken yet
DITHER = 0.0007  # of full scale; digital silence would make the model's features meaningless
# The second pass over a whole utterance would hold the interpreter for tens of milliseconds, and gains nothing here.
# The language counts for more against the sound than the usual 6.5: a question says much about its answer.
OPTIONS = {"loglevel": "FATAL", "fwdflat": False, "lw": 9.0, "samprate": float(WIDE_RATE)}
# The mean of the model's features over a telephone, with which every utterance begins. The model's own is that of a
# studio microphone: with it the first words of a call are lost (35 % of 175 sentences instead of 22 %).
TELEPHONE_MEAN = (
    "48.8443,3.83241,-4.16093,1.49651,7.93468,-10.7688,-3.08055,-7.14604,-8.13122,-1.9173,-0.782637,1.25283,-5.21403"
)
# The same, of people's recordings on a wide-band line: with the telephone's, 6 voices had 27 % of their digits wrong
# instead of 18 %; at 8 kHz 63 %.
WIDE_MEAN = "48.82,-0.16822,-2.6819,3.9529,1.1359,-4.8408,-3.9793,-6.2495,-5.2107,-1.5274,-0.52508,-0.5661,-1.9565"
PARTIAL_SCALE = 1024  # pocketsphinx's scores of sounds are so much smaller until the utterance is over
# How people hum; the dictionary has one way for each.
HUMMED = {"mhm": ("AH M HH AH M", "M HH M", "M HH AH M"), "hmm": ("HH M", "HH AH M", "M")}

# The sounds of pocketsphinx's English model: ARPAbet without stress.
PHONES = frozenset(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
)


class PhraseDecoder:
    """One pocketsphinx decoder for one agent's dialogue. Used by one thread at a time."""

    def __init__(self, dictionary: Path, models: dict[str, Path]) -> None:
        self._decoder = pocketsphinx.Decoder(lm=None, dict=str(dictionary), **OPTIONS)
        self._models = frozenset(models)
        for name, path in models.items():
            self._decoder.add_lm_file(name, str(path))
        self._noise = np.random.default_rng(0)
        self._last = self._gain = np.float32(0)
        self._open = self._wide = False
        self._frame = FRAME

    def start(self, expect: Expect, *, over: bool = False, rate: int = RATE) -> None:
        """Begin an utterance at 8 or 16 kHz; one that was broken off is forgotten. `learn_level` learns
        its level."""
        if self._open:
            self.end()
        self._open = True
        name = model_name(expect, over=over)
        self._decoder.activate_search(name if name in self._models else model_name(Expect.OPEN, over=over))
        self._frame = rate // 50
        self._wide = rate == WIDE_RATE
        self._decoder.set_cmn(WIDE_MEAN if self._wide else TELEPHONE_MEAN)
        self._decoder.start_utt()
        # The same dither for every utterance, so that the same audio always gives the same words.
        self._noise = np.random.default_rng(0)
        self._last = np.float32(0)
        self._gain = np.float32(0)

    def learn_level(self, pcm: bytes) -> None:
        """Take the beginning of an utterance (PCM16) as the measure of its level, unless there was one."""
        if self._gain == 0:
            samples = np.frombuffer(pcm, "<i2").astype(np.float32)
            frames = samples[: len(samples) // self._frame * self._frame].reshape(-1, self._frame) / 32768
            loudest = float(np.sqrt(np.mean(frames**2, axis=1)).max(initial=0.0))
            level = 20 * np.log10(max(loudest, 1e-6))
            wanted = level if level < SILENCE_DB else np.clip(level, *LOUDEST_DB)
            self._gain = np.float32(10 ** ((wanted - level) / 20))

    def hear(self, pcm: bytes) -> None:
        """Take up to 40 ms of PCM16."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) * (self._gain / 32768)
        if not self._wide:
            samples = self._widen(samples)
        samples += DITHER * self._noise.standard_normal(len(samples), np.float32)
        audio = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.process_raw(audio, no_search=False, full_utt=False)

    def text(self) -> str:
        """The words of the utterance so far."""
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

    def _widen(self, samples: FloatArray) -> FloatArray:
        """8 to 16 kHz by linear interpolation: the images above 4 kHz stand in for what the phone cut off, which the
        model expects (a clean resampler makes at least three times the errors on people's recordings)."""
        wide = np.empty(2 * len(samples), np.float32)
        wide[1::2] = samples
        wide[::2] = (samples + np.concatenate([[self._last], samples[:-1]])) / 2
        self._last = samples[-1] if len(samples) else self._last
        return wide


def model_name(expect: Expect, *, over: bool) -> str:
    """The language model for what is said in reply to a question of this kind, or over the agent's voice."""
    return f"{expect.value}-over" if over else expect.value


def build_decoders(name: str, dialogue: Dialogue, count: int) -> list[PhraseDecoder]:
    """Decoders for one dialogue; raises EngineError naming words that pocketsphinx cannot pronounce."""
    with tempfile.TemporaryDirectory(prefix="voxline-") as folder:
        dictionary = Path(folder) / "words.dict"
        lines = pronunciations(name, vocabulary(dialogue), dialogue.pronunciations)
        dictionary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        models = {}
        for expect, over in itertools.product(questions(dialogue), (False, True)):
            model = model_name(expect, over=over)
            models[model] = Path(folder) / f"{model}.arpa"
            models[model].write_text(arpa(sentences(dialogue, expect, over=over)), encoding="utf-8")
        return [PhraseDecoder(dictionary, models) for _ in range(count)]


def pronunciations(agent: str, words: set[str], own: dict[str, str]) -> Iterable[str]:
    """The dictionary's lines for these words: pocketsphinx's own, else those of the agent's file."""
    known = shipped_pronunciations(words - own.keys())
    missing = words - known.keys() - own.keys()
    lines = [line for ways in known.values() for line in ways]
    lines += [f"{word} {sounds}" for word, sounds in own.items()]
    for word in sorted(words & HUMMED.keys() - own.keys()):
        lines = [line for line in lines if line.split(" ", 1)[0] != word]
        lines += [
            f"{word}({number}) {sounds}" if number > 1 else f"{word} {sounds}"
            for number, sounds in enumerate(HUMMED[word], 1)
        ]
    if missing:
        raise EngineError(
            f"agent {agent!r}: pocketsphinx cannot pronounce {', '.join(sorted(missing))}; "
            "add them to dialogue.pronunciations in ARPAbet, such as {voxline: V AA K S L AY N}"
        )
    return lines


def shipped_pronunciations(words: set[str]) -> dict[str, list[str]]:
    """Those of the words that pocketsphinx's dictionary has, each with its lines: one for each way to say it."""
    known: dict[str, list[str]] = {}
    shipped = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    with shipped.open(encoding="utf-8") as file:
        for line in file:
            word = line.partition(" ")[0].partition("(")[0]  # its second way is word(2)
            if word in words:
                known.setdefault(word, []).append(line.strip())
    return known
