"""Trimmed, levelled, faded, and the words where they are heard."""

import numpy as np
import pytest

from agent.engine.base import FloatArray, Speech
from agent.engine.kokoro.forward import FRAME, RATE, SynthesisOutput
from agent.engine.kokoro.phonemes import Phonemes, Place
from agent.engine.kokoro.speech import (
    CLAUSE_PAUSE_MS,
    LEADING_MS,
    PEAK,
    SENTENCE_PAUSE_MS,
    SPEECH_DBFS,
    TRAILING_MS,
    finish,
)

AB = (Place("Aa", 0, 2), Place("—", 3, 3), Place("Bb", 3, 5))


def tone(frames: int, level: float = 0.1) -> FloatArray:
    wave: FloatArray = (level * np.sin(np.arange(frames * FRAME) * 2 * np.pi * 200 / RATE + 1)).astype(np.float32)
    return wave


def silence(frames: int) -> FloatArray:
    return np.zeros(frames * FRAME, np.float32)


def speak(text: str = "aa bb.", level: float = 0.1, noise: float = 0.0) -> Speech:
    """ "aa": 8 frames, a gap of 8, "bb": 8; before and behind 12 frames of silence. The sound runs 3 frames ahead."""
    audio = np.concatenate([silence(9), tone(8, level), silence(8), tone(8, level), silence(15)])
    audio += noise * np.random.default_rng(1).standard_normal(len(audio)).astype(np.float32)
    return finish(SynthesisOutput(audio, np.array([12, 4, 4, 8, 4, 4, 6, 6])), Phonemes(text, AB))


def test_silence_at_the_edges_is_trimmed_and_words_lie_where_the_sound_is() -> None:
    speech = speak()
    assert speech.rate == RATE
    length_ms = 1000 * len(speech.audio) / RATE
    assert length_ms == pytest.approx(LEADING_MS + 600 + SENTENCE_PAUSE_MS, abs=2)
    first, dash, last = speech.words
    assert (first.text, dash.text, last.text) == ("Aa", "—", "Bb")
    assert (first.start_ms, first.end_ms) == pytest.approx((LEADING_MS, LEADING_MS + 200), abs=2)
    assert (dash.start_ms, dash.end_ms) == (first.end_ms, first.end_ms)
    assert (last.start_ms, last.end_ms) == pytest.approx((LEADING_MS + 400, LEADING_MS + 600), abs=2)


@pytest.mark.parametrize(
    ("text", "pause"), [("aa bb?”", SENTENCE_PAUSE_MS), ("aa bb,", CLAUSE_PAUSE_MS), ("aa bb", TRAILING_MS)]
)
def test_the_pause_is_that_of_the_last_mark(text: str, pause: int) -> None:
    assert 1000 * len(speak(text).audio) / RATE == pytest.approx(LEADING_MS + 600 + pause, abs=2)


def test_sound_outside_of_the_words_is_cut_off() -> None:
    audio = np.concatenate([tone(9), tone(8), silence(8), tone(8), tone(3), silence(6), tone(6)])
    speech = finish(SynthesisOutput(audio, np.array([12, 4, 4, 8, 4, 4, 6, 6])), Phonemes("aa bb.", AB))
    # Between the first phoneme, three frames early, and the end of the last by its duration.
    assert 1000 * len(speech.audio) / RATE == pytest.approx(LEADING_MS + 600 + 75 + SENTENCE_PAUSE_MS, abs=2)


@pytest.mark.parametrize("level", [0.04, 0.1, 0.5])
def test_every_piece_is_as_loud(level: float) -> None:
    speech = speak(level=level)
    sound = speech.audio[LEADING_MS * 24 + 500 : (LEADING_MS + 200) * 24 - 500]
    assert 20 * np.log10(np.sqrt(np.mean(sound**2))) == pytest.approx(SPEECH_DBFS, abs=0.7)


def test_the_gain_is_limited_and_nothing_clips() -> None:
    assert np.abs(speak(level=0.001).audio).max() == pytest.approx(0.004, abs=0.0005)
    assert np.abs(speak(level=30.0).audio).max() == pytest.approx(PEAK)
    peaky = silence(48)
    peaky[::300] = 5.0
    speech = finish(SynthesisOutput(peaky, np.array([12, 4, 4, 8, 4, 4, 6, 6])), Phonemes("aa bb.", AB))
    assert np.abs(speech.audio).max() == pytest.approx(PEAK)


def test_pieces_join_without_a_click() -> None:
    loud = finish(SynthesisOutput(tone(48, 0.3), np.array([12, 4, 4, 8, 4, 4, 6, 6])), Phonemes("aa bb", AB))
    joined = np.concatenate([loud.audio, loud.audio])
    join = len(loud.audio)
    inside = np.abs(np.diff(loud.audio)).max()
    assert np.abs(np.diff(joined[join - 120 : join + 120])).max() <= inside
    assert abs(loud.audio[0]) < 0.001
    assert abs(loud.audio[-1]) < 0.005


def test_silence_stays_silence() -> None:
    speech = finish(SynthesisOutput(silence(48), np.array([12, 4, 4, 8, 4, 4, 6, 6])), Phonemes("aa bb.", AB))
    assert not speech.audio.any()
    assert [word.text for word in speech.words] == ["Aa", "—", "Bb"]
