"""The caller's sounds on the line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio import g711, wav
from audio.rate import FRAME
from telephony.simulator.clip import Clip, find_speech, line_noise, render
from telephony.simulator.script import ScriptError


def samples(frames: tuple[bytes, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Back to floats, as the agent hears them."""
    assert {len(frame) for frame in frames} == {FRAME}
    return np.frombuffer(g711.decode(b"".join(frames)), "<i2") / 32768


def dbfs(audio: Any) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(audio)))))


def only(clips: list[Clip | None]) -> Clip:
    [clip] = clips
    assert clip is not None
    return clip


def test_speech_is_brought_to_its_level(script: Any, speak: Any) -> None:
    clip = only(render(script({"say": "hello"}, level_dbfs=-25), speak))
    assert (clip.text, clip.noise, clip.answer) == ("hello", False, True)
    assert abs(dbfs(samples(clip.frames)[clip.onset : clip.end]) + 25) < 0.5
    assert clip.onset == 0
    assert 1990 <= clip.end <= 2000  # 5 letters of 50 ms
    louder = only(render(script({"say": "hello", "level_dbfs": -15, "answer": False}, level_dbfs=-25), speak))
    assert not louder.answer
    assert abs(dbfs(samples(louder.frames)[:2000]) + 15) < 0.5


def test_speech_is_found_between_silences() -> None:
    rng = np.random.default_rng(1)
    audio = rng.standard_normal(16_000).astype(np.float32) * 1e-4
    audio[2000:2040] = 0.5  # a click is no onset
    audio[4000:9003] = 0.3 * np.sin(np.arange(5003) * 0.5)
    onset, end = find_speech(audio)
    assert 3920 <= onset <= 4000
    assert 8990 <= end <= 9003


def test_the_room_before_speech_is_no_speech() -> None:
    rng = np.random.default_rng(1)
    audio = rng.standard_normal(16_000).astype(np.float32) * 0.0125  # 25 dB below the speech
    audio[4000:12_000] += 0.3 * np.sin(np.arange(8000) * 0.5).astype(np.float32)
    onset, end = find_speech(audio)
    assert (onset, end) == (4000, pytest.approx(12_000, abs=80))


def test_a_click_alone_is_found_too() -> None:
    audio = np.zeros(1000, np.float32)
    audio[500] = 0.5
    onset, end = find_speech(audio)
    assert (onset, end) == (480, 501)


def test_wav_files_of_any_rate(script: Any, speak: Any, tmp_path: Path) -> None:
    tone = (np.sin(np.arange(16_000) * 0.2) * 9000).astype(np.int16)
    wav.write(tmp_path / "tone.wav", [tone], 16_000)
    clip = only(render(script({"wav": str(tmp_path / "tone.wav")}), speak))
    assert clip.text == "tone.wav"
    assert 7900 < clip.end - clip.onset <= 8000


@pytest.mark.parametrize("kind", ["white", "cough", "babble"])
def test_noises(kind: str, script: Any, speak: Any) -> None:
    step = {"noise": {"kind": kind, "ms": 400, "level_dbfs": -20}}
    clip = only(render(script(step), speak))
    assert (clip.text, clip.noise, clip.answer, len(clip.frames)) == (f"({kind} noise)", True, False, 20)
    assert abs(dbfs(samples(clip.frames)[clip.onset : clip.end]) + 20) < 1
    assert clip == only(render(script(step), speak))


def test_an_interruption_is_a_sound_too(script: Any, speak: Any) -> None:
    assert only(render(script({"interrupt": {"say": "stop"}}), speak)).answer
    assert only(render(script({"interrupt": {"noise": {"ms": 100}}}), speak)).noise
    assert render(script("wait", {"silence": 10}, {"dtmf": "1"}, "hang_up"), speak) == [None] * 4


def test_the_line_is_never_quite_silent() -> None:
    floor = line_noise(-60)
    assert len(floor) == 250
    assert abs(dbfs(samples(floor)) + 60) < 1


def test_what_cannot_be_made_names_the_step(script: Any, speak: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no wav")
    with pytest.raises(ScriptError, match=r"test: step 2: .*bad.wav"):
        render(script("wait", {"wav": str(tmp_path / "bad.wav")}), speak)

    def mute(text: str, voice: str, speed: float) -> Any:
        return np.zeros(100, np.float32), 8000

    with pytest.raises(ScriptError, match="step 1: 'hi' is silence"):
        render(script({"say": "hi"}), mute)


def test_the_voice_is_the_scripts_or_the_steps(script: Any, speak: Any) -> None:
    asked: list[tuple[str, str, float]] = []

    def spy(text: str, voice: str, speed: float) -> Any:
        asked.append((text, voice, speed))
        return speak(text, voice, speed)

    steps: list[dict[str, Any]] = [{"say": "a"}, {"say": "b", "voice": "f", "speed": 1.5}]
    render(script(*steps, voice="m", speed=0.9), spy)
    assert asked == [("a", "m", 0.9), ("b", "f", 1.5)]
