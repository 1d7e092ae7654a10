"""Where audio lies on the two sides, however the agent's is played, paused, taken back and resumed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.recordings.placement import Placement
from telephony.recordings.tracks import Tracks

RATE = 1000  # few samples to look at


def pcm(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def test_what_is_missing_is_silence() -> None:
    tracks = Tracks(RATE)
    tracks.caller(0, pcm(1, 2))
    tracks.caller(4, pcm(5))
    tracks.agent(1, pcm(7))
    tracks.agent(3, pcm(8, 9))
    assert tracks.take().tolist() == [[1, 0], [2, 7], [0, 0], [0, 8], [5, 9]]


def test_the_agent_is_heard_only_as_long_as_the_call_lasts() -> None:
    tracks = Tracks(RATE)
    tracks.caller(0, pcm(1))
    tracks.agent(0, pcm(7, 8, 9))
    assert tracks.take(rest=True).tolist() == [[1, 7]]


def test_what_may_still_be_cut_off_waits() -> None:
    tracks = Tracks(RATE, settle=2)
    tracks.caller(0, pcm(1, 2, 3, 4))
    tracks.agent(0, pcm(6, 7, 8, 9))
    assert tracks.take().tolist() == [[1, 6], [2, 7]]
    tracks.cut(3)
    assert tracks.take(rest=True).tolist() == [[3, 8], [4, 0]]


def test_audio_far_ahead_is_not_kept() -> None:
    tracks = Tracks(RATE)
    tracks.agent(10**9, pcm(1, 2))
    tracks.agent(60 * RATE - 1, pcm(1, 2))
    assert len(tracks._agent) == 2 * 60 * RATE


def test_both_sides_are_silent_while_recording_is_paused() -> None:
    tracks = Tracks(RATE)
    tracks.caller(0, pcm(*[1] * 8))
    tracks.agent(0, pcm(*[2] * 8))
    for at, on in [(1, False), (3, True), (5, False)]:
        tracks.switch(at, on=on)
    assert tracks.take()[:, 0].tolist() == [1, 0, 0, 1, 1, 0, 0, 0]
    tracks.caller(8, pcm(1, 1))
    tracks.switch(9, on=True)
    assert tracks.take().tolist() == [[0, 0], [1, 0]]
    assert tracks._switches == []


# Any call: (what happens, a number)
Steps = list[tuple[str, int]]
STEPS: st.SearchStrategy[Steps] = st.lists(
    st.tuples(st.sampled_from(["caller", "play", "follow", "back", "pause", "resume", "take"]), st.integers(0, 40)),
    max_size=60,
)
LATE = 15  # samples ahead of the ear that a line hands over at most, and then takes back


def told(steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """What `Tracks` makes of a call, and what somebody does who writes down each sample when it is heard."""
    tracks, placement = Tracks(RATE, settle=2 * LATE), Placement()
    written: list[np.ndarray] = []
    left: list[int] = []
    right: dict[int, int] = {}
    silent: list[bool] = []
    heard: list[int] = []  # places of the agent's samples, in the order in which they were sent
    on, value, end = True, 0, 0
    for what, number in steps:
        now = len(left)
        match what:
            case "caller":
                said = [100 + number] * number
                tracks.caller(now, pcm(*said))
                left += said
                silent += [not on] * number
            case "play" | "follow":
                count = max(0, min(number, now + LATE - max(placement.end, now)))
                value += 1
                hole = 0 if what == "follow" and placement.end >= now else None
                at = placement.lay(now, count, ahead=number % 5, hole=hole)
                tracks.agent(at, pcm(*[value] * count))
                begin = end if hole == 0 else max(end, now + number % 5)
                end = begin + count
                places = list(range(begin, end))
                right |= dict.fromkeys(places, value)
                heard += places
            case "back":
                count = len([place for place in heard if place >= now])
                count = min(count, number)
                tracks.cut(placement.take_back(count))
                for _ in range(count):
                    end = heard.pop()
                    del right[end]
            case "pause" | "resume":
                on = what == "resume"
                tracks.switch(now, on=on)
            case "take":
                written.append(tracks.take())
    written.append(tracks.take(rest=True))
    expected = np.array([[left[at], right.get(at, 0)] for at in range(len(left))], np.int16).reshape(-1, 2)
    expected[np.array(silent, bool)] = 0
    return np.concatenate(written), expected


@settings(max_examples=200)
@given(STEPS)
def test_every_sample_lies_where_it_was_heard(steps: Steps) -> None:
    found, expected = told(steps)
    assert found.tolist() == expected.tolist()
