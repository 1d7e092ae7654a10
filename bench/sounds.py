"""What the callers of bench.turns say, and the sounds over the agent: scripts of espeak voices and recordings."""

from pathlib import Path
from typing import Any

import numpy as np

from agent.engine.base import FloatArray
from agent.engine.embedded.synthesizer import say
from audio import resample, wav
from audio.rate import RATE
from telephony.simulator.clip import find_speech
from telephony.simulator.script import Script

SPEECH = Path(__file__).parent.parent / "tests" / "recordings"
VOICE = "en-us+adam"
LEVEL_DBFS = -20.0
SENTENCES = (
    ("Yes,", "that is right."),
    ("I'd like to book an appointment", "on Monday at nine o'clock."),
    ("Could you tell me", "your opening hours?"),
    ("What's your", "address, please?"),
    ("On Wednesday", "at three o'clock."),
)
ASK = "What are your opening hours?"  # its answer is long enough to be interrupted
REAL = ("No.", "Stop.", "Wait.", "No, wait, that is not what I meant.", "I'd like to book an appointment.")
BACKCHANNELS = ("uh huh", "umhum")  # spelled so that espeak-ng says "uh-huh" and "mm-hmm"


def paused_sentences(folder: Path, pause_ms: int) -> list[Path]:
    """Files of sentences with a pause of true silence in them."""
    made = []
    parts: list[tuple[FloatArray, FloatArray]] = [
        (_trimmed(first), _trimmed(second)) for first, second in (map(_spoken, pair) for pair in SENTENCES)
    ]
    parts += [_halves(path) for path in sorted(SPEECH.glob("librivox-*.wav"))]
    for number, (first, second) in enumerate(parts):
        silence = np.zeros(8 * pause_ms, np.float32)
        path = folder / f"paused-{pause_ms}-{number}.wav"
        _write(path, np.concatenate([first, silence, second]))
        made.append(path)
    return made


def _write(path: Path, audio: FloatArray) -> None:
    wav.write(path, [np.frombuffer(resample.to_pcm16(audio), "<i2")], RATE)


def _spoken(text: str) -> FloatArray:
    return resample.resample(*say(text, VOICE, 0.9), RATE)


def _trimmed(audio: FloatArray) -> FloatArray:
    start, end = find_speech(audio)
    return audio[start:end]


def _halves(path: Path) -> tuple[FloatArray, FloatArray]:
    """A human sentence, cut at its quietest moment near the middle; at most 5 s of it."""
    audio = _trimmed(resample.resample(*wav.read(path), RATE))[: 8 * 5000]
    middle = audio[len(audio) // 3 : 2 * len(audio) // 3]
    energy = np.convolve(middle**2, np.ones(400), "valid")
    cut = len(audio) // 3 + int(np.argmin(energy)) + 200
    return _trimmed(audio[:cut]), _trimmed(audio[cut:])


def turns_script(files: list[Path], noise: float) -> Script:
    """A caller who plays one of these files in every turn."""
    steps: list[Any] = ["wait"]
    for path in files:
        steps += [{"wav": str(path)}, {"wait": {"quiet_ms": 900}}]
    return _script(steps, noise)


def _script(steps: list[Any], noise: float) -> Script:
    return Script(
        name="turns",
        voice=VOICE,
        speed=0.9,
        level_dbfs=LEVEL_DBFS,
        noise_floor_dbfs=noise,
        timeout_ms=20_000,
        steps=steps,
    )


def sounds_over(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The sounds over the agent, by kind."""
    echo = speak_to_file("Monday to Friday, from nine in the morning", folder / "echo.wav")
    return {
        "real words": [{"say": text} for text in REAL],
        "real people": [{"wav": str(path.resolve())} for path in sorted(SPEECH.glob("*.wav"))],
        "uh-huh, mm-hmm": [
            {"say": text, "voice": voice, "answer": False} for text in BACKCHANNELS for voice in (VOICE, "en-us+klatt4")
        ],
        "babble -8 dB": [
            {"noise": {"kind": "babble", "ms": ms, "level_dbfs": LEVEL_DBFS - 8}} for ms in (400, 900, 1800)
        ],
        "babble -18 dB": [
            {"noise": {"kind": "babble", "ms": ms, "level_dbfs": LEVEL_DBFS - 18}} for ms in (400, 900, 1800)
        ],
        "cough": [{"noise": {"kind": "cough", "ms": ms, "level_dbfs": LEVEL_DBFS}} for ms in (200, 400)],
        "white noise": [{"noise": {"kind": "white", "ms": ms, "level_dbfs": LEVEL_DBFS - 5}} for ms in (300, 1000)],
        "echo": [{"wav": str(echo), "level_dbfs": LEVEL_DBFS - db, "answer": False} for db in (10, 20, 30)],
    }


def speak_to_file(text: str, path: Path) -> Path:
    """The agent's own voice, as an echo brings it back; returns the file."""
    _write(path, resample.resample(*say(text), RATE))
    return path


def over_script(sound: dict[str, Any], after_ms: int, noise: float) -> Script:
    """A caller who asks a question, and makes a sound `after_ms` into the answer."""
    return _script(["wait", {"say": ASK}, {"interrupt": {"after_ms": after_ms, **sound}}, {"wait": {}}], noise)
