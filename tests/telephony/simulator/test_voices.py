"""The recorded voices: complete, as loud as speech on a telephone, and spoken where a script says their texts."""

import logging
from typing import Any

import numpy as np
import pytest
import soundfile

from agent.engine.base import FloatArray
from agent.engine.embedded.synthesizer import say
from agent.exceptions import EngineError
from audio.rate import WIDE_RATE
from bench.record import LEVEL_DBFS, texts
from telephony.simulator.voices import FOLDER, VOICES, CallerVoice, path_of, recordings

MOST_BYTES = 1_500_000
WINDOW = WIDE_RATE // 100  # 10 ms
MOST_SILENCE = 5 * WINDOW  # before and after the speech
BOOK = "I'd like to book an appointment."


def length(audio: FloatArray) -> Any:
    """To 100 ms or so: espeak-ng says nothing twice alike."""
    return pytest.approx(len(audio), abs=2000)


def test_every_text_of_the_shipped_scripts_is_recorded_in_every_voice_and_nothing_else() -> None:
    assert recordings() == {path_of(text, voice) for voice in VOICES for text in texts()}
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) <= MOST_BYTES
    assert "Apache License" in (FOLDER / "LICENSE").read_text()


@pytest.mark.parametrize("voice", VOICES)
def test_recordings_are_speech_at_its_level_without_silence_or_clicks_at_the_edges(voice: str) -> None:
    for path in (FOLDER / voice).iterdir():
        audio, rate = soundfile.read(path, dtype="float32")
        assert (rate, audio.ndim) == (WIDE_RATE, 1)
        assert 0.2 < len(audio) / rate < 5, path
        level = np.abs(audio)
        assert 0.15 < level.max() < 0.99, path
        loud = np.flatnonzero(level > 0.006 * level.max())
        assert loud[0] <= MOST_SILENCE, path
        assert len(audio) - loud[-1] <= MOST_SILENCE, path
        assert max(level[:8].max(), level[-8:].max()) < 0.03 * level.max(), path
        power = np.square(audio[: len(audio) // WINDOW * WINDOW]).reshape(-1, WINDOW).mean(axis=1)
        speech = power[power > power.max() / 300].mean()
        assert 10 * np.log10(speech) == pytest.approx(LEVEL_DBFS, abs=3), path


def test_a_recorded_text_is_spoken_by_its_recording_however_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    for text in (BOOK, "id like to BOOK an appointment"):
        audio, rate = CallerVoice()(text, "bf_emma", 1.0)
        assert rate == WIDE_RATE
        assert np.array_equal(audio, soundfile.read(path_of(BOOK, "bf_emma"), dtype="float32")[0])
    assert caplog.records == []


def test_any_other_text_or_pace_is_espeaks_which_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    voice = CallerVoice()
    with caplog.at_level(logging.WARNING, "voxline.simulator"):
        for text, speed in (("This is on no tape.", 1.0), ("x" * 500, 1.0), (BOOK, 0.9)):
            audio, _ = voice(text, "am_onyx", speed)
            assert len(audio) == length(say(text, VOICES["am_onyx"], speed)[0])
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning == ("espeak-ng says what is not recorded in the voice am_onyx, such as 'This is on no tape.'")


def test_espeaks_own_voices_say_everything(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("en-gb", *VOICES.values()):
        assert len(CallerVoice()(BOOK, name, 1.0)[0]) == length(say(BOOK, name)[0])
    assert caplog.records == []


def test_a_voice_that_nobody_has_is_an_error_with_those_that_there_are() -> None:
    with pytest.raises(EngineError, match=r"'bob'.*; recorded are am_michael, "):
        CallerVoice()(BOOK, "bob", 1.0)


def test_no_recording_hides_another() -> None:
    assert len({path_of(text, "am_onyx") for text in texts()}) == len(texts())
