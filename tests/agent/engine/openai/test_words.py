"""Words over audio whose length is not known before it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Word
from agent.engine.openai.words import FASTEST_MS, SLOWEST_MS, USUAL_MS, Pace, Spread

WORDS = st.lists(st.text(st.characters(categories=["L", "P", "N"]), min_size=1, max_size=12), max_size=30)


@given(words=WORDS, pieces=st.lists(st.floats(1, 400), max_size=40), last=st.floats(0.05, 400), pace=st.floats(5, 300))
def test_every_word_comes_once_in_order_inside_its_piece(
    words: list[str], pieces: list[float], last: float, pace: float
) -> None:
    spread = Spread(" ".join(words), pace)
    taken = [(spread.take(duration), duration) for duration in pieces] + [(spread.rest(last), last)]
    assert [word.text for some, _ in taken for word in some] == words
    for some, duration in taken:
        times = [time for word in some for time in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert not times or (times[0] >= 0 and times[-1] <= duration)


def test_a_word_is_told_with_the_piece_in_which_it_probably_ends() -> None:
    spread = Spread("aaaa bbbb cccc dddd", 20)  # 100 ms each
    assert spread.take(150) == (Word("aaaa", 0, 100),)
    assert spread.take(100) == (Word("bbbb", 0, 50),)
    assert spread.take(100) == (Word("cccc", 0, 50),)
    assert spread.rest(80) == (Word("dddd", 0, 80),)


def test_the_last_word_waits_for_the_last_piece_however_long_it_takes() -> None:
    spread = Spread("Good bye.", 1)
    assert spread.take(1000) == (Word("Good", 0, 5),)
    assert spread.take(1000) == ()
    assert spread.rest(500) == (Word("bye.", 0, 500),)


def test_words_left_over_share_the_last_piece_by_their_letters() -> None:
    assert Spread("a bcd", 1000).rest(60) == (Word("a", 0, 20), Word("bcd", 20, 60))


def test_the_pace_of_a_voice_is_learnt_within_bounds() -> None:
    pace = Pace()
    pace.learn(5, 5 * 100)
    assert pace.letter_ms == USUAL_MS
    for _ in range(20):
        pace.learn(40, 40 * 90)
    assert pace.letter_ms == pytest.approx(90, abs=0.1)
    for _ in range(20):
        pace.learn(40, 1)
    assert pace.letter_ms == pytest.approx(FASTEST_MS, abs=0.1)
    for _ in range(20):
        pace.learn(40, 1e9)
    assert pace.letter_ms == pytest.approx(SLOWEST_MS, abs=0.1)
