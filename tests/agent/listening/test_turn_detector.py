"""When the caller begins and ends to speak."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.listening.turn_detector import Change, TurnDetector
from audio.rate import WINDOW_MS
from config.settings import TurnSettings


def run(detector: TurnDetector, probabilities: list[float]) -> list[tuple[Change, int]]:
    """Every change with the ms at which it was decided."""
    changes = []
    for number, probability in enumerate(probabilities, 1):
        change = detector.update(probability, number * WINDOW_MS)
        if change is not Change.NONE:
            changes.append((change, number * WINDOW_MS))
    return changes


def test_speech_starts_with_its_first_window_and_goes_on_until_it_is_ended() -> None:
    detector = TurnDetector(TurnSettings())
    assert run(detector, [0.1] * 3 + [0.9] * 5 + [0.0] * 12) == [(Change.STARTED, 4 * WINDOW_MS)]
    assert detector.started_ms == 3 * WINDOW_MS
    assert detector.last_speech_ms == 8 * WINDOW_MS
    assert detector.speech_ms == 5 * WINDOW_MS
    assert detector.silence_ms == 12 * WINDOW_MS
    assert detector.speaking
    detector.end()
    assert run(detector, [0.9])[0][0] is Change.STARTED


def test_speech_after_a_pause_is_told_with_its_length() -> None:
    detector = TurnDetector(TurnSettings())
    changes = run(detector, [0.9] * 3 + [0.0] * 9 + [0.9])
    assert [change for change, _ in changes] == [Change.STARTED, Change.RESUMED]
    assert detector.pause_ms == 9 * WINDOW_MS


def test_breath_in_a_pause_is_no_speech() -> None:
    detector = TurnDetector(TurnSettings(onset_probability=0.5, offset_probability=0.35))
    assert [change for change, _ in run(detector, [0.9] * 3 + [0.0] * 3 + [0.4] * 3)] == [Change.STARTED]
    assert detector.silence_ms == 6 * WINDOW_MS


def test_between_the_thresholds_speech_goes_on_but_does_not_start() -> None:
    settings = TurnSettings(onset_probability=0.6, offset_probability=0.3)
    assert run(TurnDetector(settings), [0.5] * 50) == []
    assert [change for change, _ in run(TurnDetector(settings), [0.7] + [0.4] * 50)] == [Change.STARTED]


@pytest.mark.parametrize(("onset_ms", "windows"), [(0, 1), (32, 2), (64, 3)])
def test_onset_asks_for_more_windows_in_a_row(onset_ms: int, windows: int) -> None:
    settings = TurnSettings(onset_ms=onset_ms)
    assert run(TurnDetector(settings), ([0.9] * (windows - 1) + [0.1]) * 5) == []
    detector = TurnDetector(settings)
    assert run(detector, [0.9] * windows) == [(Change.STARTED, windows * WINDOW_MS)]
    assert detector.started_ms == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=300))
def test_times_never_run_ahead_whatever_comes(steps: list[tuple[float, bool]]) -> None:
    detector = TurnDetector(TurnSettings())
    for number, (probability, end) in enumerate(steps, 1):
        at_ms = number * WINDOW_MS
        speaking = detector.speaking
        change = detector.update(probability, at_ms)
        assert (change is Change.STARTED) == (detector.speaking and not speaking)
        assert 0 <= detector.started_ms <= detector.last_speech_ms <= at_ms
        assert detector.speech_ms <= max(0, detector.last_speech_ms - detector.started_ms)
        if end and detector.silence_ms > 100:
            detector.end()


def test_over_the_agent_speech_starts_at_a_lower_probability() -> None:
    settings = TurnSettings(onset_probability=0.5, pause_probability=0.3)
    assert TurnDetector(settings).update(0.4, WINDOW_MS) is Change.NONE
    assert TurnDetector(settings).update(0.4, WINDOW_MS, over=True) is Change.STARTED
    assert TurnDetector(settings).update(0.2, WINDOW_MS, over=True) is Change.NONE
