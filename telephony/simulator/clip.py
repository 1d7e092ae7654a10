"""The caller's sounds, made ready for the line: mu-law frames, rendered once and shared by all calls."""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from audio import g711, resample, wav
from audio.rate import FRAME, RATE, SAMPLES_PER_MS
from telephony.simulator.script import Interrupt, Interruption, Noise, NoiseSource, Say, Script, ScriptError, Step, Wav

FloatArray = NDArray[np.float32]
Speak = Callable[[str, str, float], tuple[FloatArray, int]]  # text, voice, speed → mono float32, Hz

BLOCK = 10 * SAMPLES_PER_MS  # speech is detected in blocks of 10 ms
SPEECH_RANGE_DB = 28.0  # a block is speech when its RMS is within this of the loudest block's
FLOOR_SHARE, ABOVE_FLOOR_DB = 0.1, 6.0  # and this far above the recording's own noise: its quietest tenth
LEAST_RANGE_DB = 18.0  # without a pause the quietest tenth is speech
ONSET_BLOCKS = 3  # speech begins with this many speech blocks in a row
FLOOR_S = 5.0  # the line's noise repeats after this
BABBLE = (
    ("We could take the early train and be there before lunch, I suppose.", "en-us+m3", 1.0),
    ("She said that the garden was lovely, but the house was far too small.", "en-us+f2", 1.1),
    ("No, the other one, next to the window, under the blue lamp.", "en-us+m2", 0.9),
    ("Have you ever seen so many people in here on a Tuesday evening?", "en-us+f4", 1.05),
    ("He will call again tomorrow and ask for the same thing, you will see.", "en-us+m7", 1.0),
    ("Two coffees and a glass of water, please, when you have a moment.", "en-us+f1", 0.95),
)


class Clip(msgspec.Struct, frozen=True):
    """One of the caller's sounds. `onset` is its first sample of speech, `end` the one after its last."""

    text: str  # what is said, or the name of the sound
    frames: tuple[bytes, ...]  # 20 ms of mu-law each
    onset: int
    end: int
    noise: bool = False
    answer: bool = False  # the agent is expected to answer


def render(script: Script, speak: Speak) -> list[Clip | None]:
    """The clip of each step, None for steps without sound; `speak` is the caller's voice. Raises ScriptError naming the
    step."""
    clips: list[Clip | None] = []
    for number, step in enumerate(script.steps, 1):
        try:
            clips.append(_clip(script, step, speak))
        except (OSError, ValueError) as error:
            raise ScriptError(f"{script.name}: step {number}: {error}") from error
    return clips


def line_noise(level_dbfs: float) -> tuple[bytes, ...]:
    """The frames that are sent while the caller is silent."""
    count = int(FLOOR_S * RATE) // FRAME
    return _frames(_floor(count * FRAME, level_dbfs))


def _clip(script: Script, step: Step, speak: Speak) -> Clip | None:
    sound = step.interrupt if isinstance(step, Interrupt) else step
    noise = sound.noise if isinstance(sound, Noise | Interruption) else None
    if noise is not None:
        clip = _mix(script, f"({noise.kind} noise)", make_noise(noise, speak), noise.level_dbfs)
        return msgspec.structs.replace(clip, noise=True)
    if not isinstance(sound, Say | Wav | Interruption):
        return None
    level = script.level_dbfs if sound.level_dbfs is None else sound.level_dbfs
    if isinstance(sound, Wav | Interruption) and sound.wav is not None:
        text, (audio, rate) = sound.wav.name, wav.read(sound.wav)
    else:
        assert isinstance(sound, Say | Interruption)
        assert sound.say is not None
        text = sound.say
        audio, rate = speak(text, sound.voice or script.voice, sound.speed or script.speed)
    clip = _mix(script, text, resample.resample(audio, rate, RATE), level)
    return msgspec.structs.replace(clip, answer=sound.answer)


def _mix(script: Script, text: str, audio: FloatArray, level_dbfs: float) -> Clip:
    """Bring 8 kHz audio to its level, fill up the last frame, add the line's noise, encode."""
    if not audio.size or not float(np.abs(audio).max()) > 0.0:
        raise ValueError(f"{text!r} is silence")
    onset, end = find_speech(audio)
    active = audio[onset:end]
    audio = audio * np.float32(10 ** (level_dbfs / 20) / np.sqrt(np.mean(np.square(active))))
    audio = np.pad(audio, (0, -len(audio) % FRAME))
    frames = _frames(audio + _floor(len(audio), script.noise_floor_dbfs))
    return Clip(text=text, frames=frames, onset=onset, end=end)


def find_speech(audio: FloatArray) -> tuple[int, int]:
    """Where speech begins and ends in mono 8 kHz audio, in samples.

    It begins with the first of three blocks of 10 ms within 28 dB of the loudest, and 6 dB above the noise of the
    recording; it ends with the last loud sample of the last such block.
    """
    blocks = np.pad(audio, (0, -len(audio) % BLOCK)).reshape(-1, BLOCK)
    rms = np.sqrt(np.mean(np.square(blocks), axis=1))
    loudest = rms.max()
    floor = np.quantile(rms, FLOOR_SHARE) * 10 ** (ABOVE_FLOOR_DB / 20)
    threshold = max(loudest * 10 ** (-SPEECH_RANGE_DB / 20), min(floor, loudest * 10 ** (-LEAST_RANGE_DB / 20)))
    speech = rms >= threshold
    runs = np.convolve(speech, np.ones(ONSET_BLOCKS, np.int32), "valid") == ONSET_BLOCKS
    first = int(np.argmax(runs)) if runs.any() else int(np.argmax(speech))
    last = int(len(speech) - 1 - np.argmax(speech[::-1]))
    loud = np.flatnonzero(np.abs(audio[last * BLOCK : (last + 1) * BLOCK]) >= threshold)
    return first * BLOCK, last * BLOCK + int(loud[-1]) + 1


def make_noise(noise: NoiseSource, speak: Speak) -> FloatArray:
    """The noise, not yet scaled to its level; the same settings always give the same noise."""
    rng = np.random.default_rng(20)
    count = noise.ms * SAMPLES_PER_MS
    if noise.kind == "babble":
        return _babble(count, speak)
    samples = rng.standard_normal(count).astype(np.float32)
    if noise.kind == "cough":  # a hard, low attack that dies away, and a second, weaker one
        samples = np.convolve(samples, np.hanning(9), "same").astype(np.float32)
        time = np.arange(count) / count
        samples *= np.exp(-8 * time) + 0.6 * (time > 0.45) * np.exp(-10 * np.maximum(time - 0.45, 0))
    return samples.astype(np.float32)


def _babble(count: int, speak: Speak) -> FloatArray:
    """Six people talking at once, somewhere in the room."""
    mix = np.zeros(count, np.float32)
    for index, (text, voice, speed) in enumerate(BABBLE):
        audio, rate = speak(text, voice, speed)
        voice_8k = resample.resample(audio, rate, RATE)
        mix += np.resize(np.roll(voice_8k, -index * 1777), count)  # each starts at a different place and wraps around
    return mix


def _floor(count: int, level_dbfs: float) -> FloatArray:
    noise = np.random.default_rng(60).standard_normal(count).astype(np.float32)
    return noise * np.float32(10 ** (level_dbfs / 20))


def _frames(audio: FloatArray) -> tuple[bytes, ...]:
    ulaw = g711.encode(resample.to_pcm16(audio))
    return tuple(ulaw[at : at + FRAME] for at in range(0, len(ulaw), FRAME))
