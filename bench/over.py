"""Speech over the agent, in virtual time: python -m bench.over FOLDER.

FOLDER holds recordings of many voices, VOICE/TEXT.opus, as `python -m bench.record PACKAGES --over FOLDER` makes them.
Each caller asks a question, and makes a sound over the answer: a backchannel, words that mean something, or no speech
of theirs at all. By their names the voices fall into two halves; --half seen (the default) is for work on voxline,
--half unseen to be looked at once, at the end. Writes bench/results/over-DATE.json.
"""

import argparse
import asyncio
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import config
from agent import events as e
from agent.engine.base import FloatArray, Recognizer
from agent.engine.embedded.moonshine import Moonshine, model_folder
from agent.engine.embedded.moonshine_recognizer import MoonshineRecognizer
from agent.engine.embedded.synthesizer import say
from agent.listening.vad import Vad
from audio import g711, resample, wav
from audio.rate import RATE, SAMPLES_PER_MS
from bench.machine import keep, table
from bench.sounds import SPEECH
from bench.virtual_call import FRAME_MS, VirtualCall
from config.agent import load_agents
from config.settings import Settings
from telephony.simulator.clip import make_noise
from telephony.simulator.script import NoiseSource
from telephony.simulator.voices import path_of

ASK = "What are your opening hours?"
BACKCHANNELS = ("Uh-huh.", "Mm-hmm.", "Okay.", "Right.", "I see.")
REAL = (
    "No.",
    "Stop.",
    "Wait.",
    "No, wait, that is not what I meant.",
    "I'd like to book an appointment.",
    "What's your address?",
)
# The caller's level, the line's noise and its level, in dBFS.
LINES = ((-20, "white", -70), (-20, "white", -45), (-26, "hum", -45), (-14, "white", -50))
GREETING_MS, BEFORE_MS, AFTER_MS = 2200, 2600, 3000  # until the question, from it to the sound, and after the sound
EARLY_MS = 50  # a pause may begin so much before what a recording's edge says
NOBODY_DB = (-8, -18)  # people in the room and the television, below the caller


def main(arguments: list[str] | None = None) -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with recordings")
    parser.add_argument("--half", choices=["seen", "unseen"], default="seen", help="of the voices (seen)")
    options = parser.parse_args(arguments)
    voices = [path.name for path in sorted(options.folder.iterdir()) if is_seen(path.name) == (options.half == "seen")]
    results = asyncio.run(_measure(options.folder, voices))
    table(f"Over the agent, {len(voices)} voices, {options.half}", ["sound", "times", "ended the reply"], results)
    print(f"\nwritten to {keep('over', {'half': options.half, 'rows': results})}")


def is_seen(voice: str) -> bool:
    """Which half a voice belongs to."""
    return zlib.crc32(voice.encode()) % 2 == 0


async def _measure(folder: Path, voices: list[str]) -> list[list[Any]]:
    recognizer = MoonshineRecognizer(load_agents(Path(config.__file__).parent / "agents"), Moonshine(model_folder()))
    vad = Vad()
    rows: dict[str, list[Any]] = {}
    for voice in voices:
        question = _recording(folder, voice, ASK)
        sounds = [(text, _recording(folder, voice, text), 0) for text in (*BACKCHANNELS, *REAL)]
        if question is None:
            raise SystemExit(f"{path_of(ASK, voice, folder)}: there is no such recording")
        for name, sound, level_db in (*sounds, *(nobody() if voice == voices[0] else ())):
            for number, line in enumerate(LINES):
                if sound is None:
                    continue
                ended = await _ended(f"{voice} {name} {number}", recognizer, vad, (question, sound, level_db), line)
                kind = "(the question was not heard)" if ended is None else name
                row = rows.setdefault(kind, [kind, 0, 0])
                row[1] += 1
                row[2] += bool(ended)
    await recognizer.close()
    return list(rows.values())


def _recording(folder: Path, voice: str, text: str) -> FloatArray | None:
    path = path_of(text, voice, folder)
    if not path.exists():
        return None
    audio, rate = soundfile.read(path, dtype="float32")
    return resample.resample(audio, rate, RATE)


def nobody() -> Iterator[tuple[str, FloatArray, int]]:
    """Sounds that are nobody's turn, each with its level beside the caller's."""
    for ms in (200, 400):
        yield f"cough of {ms} ms", make_noise(NoiseSource(kind="cough", ms=ms), say), 0
    for ms in (400, 900, 1800, 3000):
        for level_db in NOBODY_DB:
            yield f"babble {level_db} dB", make_noise(NoiseSource(kind="babble", ms=ms), say), level_db
    for path in sorted(SPEECH.glob("*.wav")):
        person = resample.resample(*wav.read(path), RATE)[: 4 * RATE]
        for level_db in NOBODY_DB:
            yield f"one person {level_db} dB", person, level_db
    for level_db in (-10, -20, -30):
        yield "echo", resample.resample(*say("Monday to Friday, from nine in the morning"), RATE), level_db


async def _ended(
    name: str, recognizer: Recognizer, vad: Vad, sounds: tuple[FloatArray, FloatArray, int], line: tuple[int, str, int]
) -> bool | None:
    """Whether the sound ended the reply; None where the agent was not talking."""
    question, sound, level_db = sounds
    level, noise, noise_level = line
    parts = [_silence(GREETING_MS), _at(question, level), _silence(BEFORE_MS)]
    onset_ms = sum(map(len, parts)) / SAMPLES_PER_MS
    audio = np.concatenate([*parts, _at(sound, level + level_db), _silence(AFTER_MS)])
    audio = np.pad(audio, (0, -len(audio) % (FRAME_MS * SAMPLES_PER_MS)))
    audio += _noise(noise, len(audio), zlib.crc32(name.encode())) * np.float32(10 ** (noise_level / 20))
    call = VirtualCall(name, "front_desk", recognizer, vad, Settings())
    await call.start()
    await call.hear(g711.decode(g711.encode(resample.to_pcm16(audio))))
    call.close()
    if len([at for at in call.times(e.TurnDecided) if at < onset_ms]) != 2:  # the greeting and the answer
        return None
    return any(at > onset_ms - EARLY_MS for at in call.times(e.Interrupted))


def _silence(ms: int) -> FloatArray:
    return np.zeros(ms * SAMPLES_PER_MS, np.float32)


def _at(audio: FloatArray, level_dbfs: float) -> FloatArray:
    """Brought to this level, as its loud samples have it."""
    loud = audio[np.abs(audio) > 0.03 * np.abs(audio).max()]
    return audio * np.float32(10 ** (level_dbfs / 20) / np.sqrt(np.mean(loud**2)))


def _noise(kind: str, count: int, seed: int) -> FloatArray:
    """Of 0 dBFS: white, or low like traffic."""
    noise = np.random.default_rng(seed).standard_normal(count)
    if kind == "hum":
        noise = np.cumsum(noise)
        noise -= np.convolve(noise, np.ones(800) / 800, "same")
    return np.asarray(noise / noise.std(), np.float32)


if __name__ == "__main__":
    main()
