"""When the caller begins and ends to speak."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.turn import WINDOW_MS, Change, TurnDetector
from config.settings import TurnSettings


def run(detector: TurnDetector, probabilities: list[float]) -> list[tuple[Change, int]]:
    """Every change with the ms at which it was decided."""
    changes = []
    for number, probability in enumerate(probabilities, 1):
        change = detector.update(probability, number * WINDOW_MS)
        if change is not Change.NONE:
            changes.append((change, number * WINDOW_MS))
    return changes


def test_speech_starts_with_its_first_window_and_ends_after_the_silence() -> None:
    detector = TurnDetector(TurnSettings(endpoint_ms=320))
    changes = run(detector, [0.1] * 3 + [0.9] * 5 + [0.0] * 12)
    assert changes == [(Change.STARTED, 4 * WINDOW_MS), (Change.ENDED, 8 * WINDOW_MS + 320)]
    assert detector.started_ms == 3 * WINDOW_MS
    assert detector.last_speech_ms == 8 * WINDOW_MS
    assert detector.speech_ms == 5 * WINDOW_MS


def test_a_pause_shorter_than_the_endpoint_is_part_of_the_turn() -> None:
    detector = TurnDetector(TurnSettings(endpoint_ms=320))
    assert [change for change, _ in run(detector, [0.9] * 3 + [0.0] * 9 + [0.4] + [0.0] * 10)] == [
        Change.STARTED,
        Change.ENDED,
    ]


def test_between_the_thresholds_speech_goes_on_but_does_not_start() -> None:
    settings = TurnSettings(onset_probability=0.6, offset_probability=0.3, endpoint_ms=100)
    assert run(TurnDetector(settings), [0.5] * 50) == []
    assert [change for change, _ in run(TurnDetector(settings), [0.7] + [0.4] * 50)] == [Change.STARTED]


@pytest.mark.parametrize(("onset_ms", "windows"), [(0, 1), (32, 2), (64, 3)])
def test_onset_asks_for_more_windows_in_a_row(onset_ms: int, windows: int) -> None:
    settings = TurnSettings(onset_ms=onset_ms)
    assert run(TurnDetector(settings), ([0.9] * (windows - 1) + [0.1]) * 5) == []
    detector = TurnDetector(settings)
    assert run(detector, [0.9] * windows) == [(Change.STARTED, windows * WINDOW_MS)]
    assert detector.started_ms == 0


@given(st.lists(st.floats(0, 1), max_size=300))
def test_starts_and_ends_alternate_and_times_never_run_ahead(probabilities: list[float]) -> None:
    detector = TurnDetector(TurnSettings())
    speaking = False
    for number, probability in enumerate(probabilities, 1):
        at_ms = number * WINDOW_MS
        change = detector.update(probability, at_ms)
        assert change is not (Change.STARTED if speaking else Change.ENDED)
        speaking = detector.speaking
        assert 0 <= detector.started_ms <= detector.last_speech_ms <= at_ms
        assert detector.speech_ms <= max(0, detector.last_speech_ms - detector.started_ms)
