"""Where speech ended, by loudness."""

from hypothesis import given
from hypothesis import strategies as st

from agent.listening.silence import BEFORE_MS, BEHIND_MS, Silence

FRAME_MS = 20.0
ROOM, VOICE = 30, 3000  # RMS


def heard(*levels: int, before: int = 50) -> Silence:
    """A call with a second of its room, then frames of these levels."""
    silence = Silence()
    for level in (*[ROOM] * before, *levels):
        silence.add(FRAME_MS, level)
    return silence


def test_a_hard_end_is_found_though_the_detector_lets_go_of_it_late() -> None:
    silence = heard(*[VOICE] * 25, *[ROOM] * 10)  # ends at 1500 ms
    assert silence.end_ms(1536, lambda: VOICE) == 1500


def test_a_soft_end_is_found_though_the_detector_lets_go_of_it_early() -> None:
    silence = heard(*[VOICE] * 20, *[VOICE // 10] * 5, *[ROOM] * 10)
    assert silence.end_ms(1408, lambda: VOICE) == 1500


def test_what_is_loud_much_later_is_no_speech() -> None:
    silence = heard(*[VOICE] * 25, *[ROOM] * 10, *[VOICE] * 3)
    assert silence.end_ms(1504, lambda: VOICE) == 1500


def test_an_end_much_earlier_than_the_detectors_is_not_believed() -> None:
    silence = heard(*[VOICE] * 25, *[ROOM] * 20)
    assert silence.end_ms(1760, lambda: VOICE) == 1760 - BEFORE_MS


def test_speech_no_louder_than_the_line_is_left_to_the_detector() -> None:
    silence = heard(*[ROOM] * 25)
    assert silence.end_ms(1504, lambda: ROOM) == 1504
    assert not silence.rising


def test_digital_silence_tells_nothing() -> None:
    silence = heard(*[0] * 30, before=0)
    assert silence.end_ms(320, lambda: 0) == 320
    assert not silence.rising


def test_a_caller_who_never_paused_is_not_taken_for_the_line() -> None:
    silence = heard(*[VOICE, VOICE // 3] * 100, *[ROOM] * 5, before=0)
    assert silence.end_ms(4000, lambda: VOICE) == 4000


def test_speech_that_begins_again_is_noticed_with_its_first_frame() -> None:
    silence = heard(*[VOICE] * 25, *[ROOM] * 15)
    silence.end_ms(1504, lambda: VOICE)
    assert not silence.rising
    silence.add(FRAME_MS, VOICE // 5)
    assert silence.rising
    for _ in range(3):
        silence.add(FRAME_MS, ROOM)
    assert not silence.rising


def test_nothing_rises_before_the_first_look() -> None:
    assert not Silence().rising
    assert not heard(VOICE).rising


@given(levels=st.lists(st.integers(0, 32768), max_size=400), spoke=st.integers(0, 300), burst=st.floats(0, 32768))
def test_the_end_is_near_the_detectors_whatever_was_heard(levels: list[int], spoke: int, burst: float) -> None:
    silence = heard(*levels, before=0)
    end_ms = silence.end_ms(32 * spoke, lambda: burst)
    assert 32 * spoke - BEFORE_MS <= end_ms <= 32 * spoke + BEHIND_MS
    assert silence.end_ms(32 * spoke, lambda: burst) == end_ms
