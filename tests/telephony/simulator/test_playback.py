"""Twilio's playback buffer, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.simulator.playback import LONGEST_BUFFER, MOST_MARKS, Overflow, Playback, Underrun


def test_audio_is_played_at_real_time() -> None:
    playback = Playback()
    assert playback.play(b"a" * 800, 100) == 100
    assert playback.play(b"b" * 160, 200) == 900
    assert (playback.buffered(500), playback.played(500)) == (560, 400)
    assert (playback.buffered(2000), playback.played(2000)) == (0, 960)
    assert playback.pieces == [(100, b"a" * 800), (900, b"b" * 160)]


def test_a_mark_comes_back_when_it_is_reached_or_at_once() -> None:
    playback = Playback()
    assert playback.mark("early", 0) == ["early"]
    playback.play(b"a" * 160, 0)
    assert playback.mark("one", 10) == []
    assert playback.mark("two", 10) == []
    assert playback.advance(159) == []
    assert playback.advance(160) == ["one", "two"]
    assert playback.advance(1000) == []
    assert playback.mark("late", 1000) == ["late"]


def test_clear_empties_the_buffer_and_returns_all_marks() -> None:
    playback = Playback()
    playback.play(b"a" * 800, 0)
    playback.mark("one", 0)
    playback.play(b"b" * 800, 0)
    playback.mark("two", 0)
    assert playback.clear(300) == ["one", "two"]
    assert (playback.buffered(300), playback.played(300), playback.cleared) == (0, 300, 1300)
    assert playback.pieces == [(0, b"a" * 300)]
    assert playback.clear(400) == []
    assert playback.play(b"c", 500) == 500


def test_underruns_are_gaps_within_speech() -> None:
    playback = Playback()
    playback.play(b"a" * 160, 1000)  # the first audio after a silence is none
    playback.play(b"b" * 160, 1300)
    playback.play(b"c" * 160, 1463)  # 3 samples: nobody hears that
    playback.play(b"d" * 160, 9000)  # a pause
    playback.clear(9100)
    playback.play(b"e" * 160, 9200)  # a new utterance
    assert playback.underruns == [Underrun(at=1160, length=140)]


def test_the_buffer_is_bounded() -> None:
    playback = Playback(keep_audio=False)
    playback.play(b"a" * LONGEST_BUFFER, 0)
    with pytest.raises(Overflow, match="10 minutes"):
        playback.play(b"a", 0)
    for _ in range(MOST_MARKS):
        playback.mark("m", 0)
    with pytest.raises(Overflow, match="marks"):
        playback.mark("m", 0)
    assert playback.pieces == []


action = st.one_of(
    st.tuples(st.just("play"), st.integers(1, 2000)),
    st.tuples(st.just("mark"), st.just(0)),
    st.tuples(st.just("clear"), st.just(0)),
    st.tuples(st.just("advance"), st.just(0)),
)


@given(st.lists(st.tuples(action, st.integers(0, 1500)), max_size=60))
def test_nothing_is_lost(actions: list[tuple[tuple[str, int], int]]) -> None:
    """All audio is played, cleared or waiting; every mark comes back once, in order, and never before its audio."""
    playback, now, number = Playback(), 0, 0
    back: list[int] = []
    due: list[int] = []
    for (what, size), wait in actions:
        now += wait
        if what == "play":
            back += map(int, playback.advance(now))
            playback.play(number.to_bytes(2, "big") * (size // 2 + 1), now)
        elif what == "mark":
            due.append(playback.end)
            back += map(int, playback.mark(str(number), now))
            number += 1
        elif what == "clear":
            back += map(int, playback.clear(now))
            due = [min(at, now) for at in due]
        else:
            back += map(int, playback.advance(now))
        assert playback.received == playback.played(now) + playback.cleared + playback.buffered(now)
        assert back == list(range(len(back)))
        assert all(at <= now for at in due[: len(back)])
    back += map(int, playback.advance(playback.end))
    assert back == list(range(number))
    assert sum(len(piece) for _, piece in playback.pieces) == playback.received - playback.cleared
    ends = [start + len(piece) for start, piece in playback.pieces]
    assert all(end <= start for end, (start, _) in zip(ends, playback.pieces[1:], strict=False))
