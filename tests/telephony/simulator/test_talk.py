"""What all carriers' talks share."""

from typing import Any

from audio import g711
from audio.rate import FRAME
from telephony.simulator.clip import render
from telephony.simulator.talk import MOST_ARRIVALS, Talk

FLOOR = (g711.SILENCE * FRAME,)


def test_frames_come_with_the_keys_that_are_pressed(script: Any) -> None:
    talk = Talk(script({"dtmf": "5"}, {"silence": 1000}), [None, None], FLOOR, keep_audio=True)
    assert list(talk.due(FRAME - 1)) == []
    assert list(talk.due(2 * FRAME)) == [(0, FLOOR[0], "5"), (FRAME, FLOOR[0], "")]
    assert talk.sent == [FLOOR[0]] * 2


def test_none_comes_once_the_caller_has_hung_up(script: Any) -> None:
    talk = Talk(script({"silence": 100}), [None], FLOOR, keep_audio=False)
    assert len(list(talk.due(5000))) == 5
    assert talk.over
    assert (list(talk.due(9000)), talk.sent) == ([], [])


def test_whether_the_caller_speaks(script: Any, speak: Any) -> None:
    words = script({"say": "hello"}, {"silence": 1000})
    talk = Talk(words, render(words, speak), FLOOR, keep_audio=False)
    assert not talk.caller_speaks(0)
    list(talk.due(FRAME))
    assert talk.caller_speaks(100 * 8)
    assert not talk.caller_speaks(260 * 8)


def test_what_is_kept_is_bounded(script: Any) -> None:
    talk = Talk(script("wait"), [None], FLOOR, keep_audio=False)
    for number in range(MOST_ARRIVALS + 5):
        talk.arrived(20.0)
        talk.rejected(str(number))
    assert (len(talk.arrivals), len(talk.errors), talk.error_count) == (MOST_ARRIVALS, 20, MOST_ARRIVALS + 5)
