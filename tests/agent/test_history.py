"""The history holds the words that were heard, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Turn, Word
from agent.history import HeardReply, History


def words(*spans: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(Word(text, start, end) for text, start, end in spans)


def test_words_count_from_the_mark_at_their_end() -> None:
    heard = HeardReply()
    assert heard.add(1000, words(("Hello", 0, 400), ("there", 450, 900))) == (400, 900)
    assert heard.add(500, words(("caller.", 50, 480))) == (1480,)
    assert heard.rest() == (1500,)
    assert heard.rest() == ()
    for ms, text in ((399.9, ""), (400, "Hello"), (899, "Hello"), (1480, "Hello there caller.")):
        heard.played(ms)
        assert heard.text() == text
    assert not heard.complete
    heard.played(1500)
    assert heard.complete


def test_marks_that_go_back_or_too_far_change_nothing() -> None:
    heard = HeardReply()
    heard.add(1000, words(("one", 0, 500), ("two", 500, 1000)))
    heard.played(700)
    heard.played(300)
    assert heard.heard_ms == 700
    heard.played(99_999)
    assert heard.heard_ms == 1000


def test_audio_without_words_is_marked_at_its_end() -> None:
    heard = HeardReply()
    assert heard.add(250, ()) == (250,)
    assert heard.rest() == ()
    heard.played(250)
    assert heard.complete
    assert heard.text() == ""


@given(st.lists(st.lists(st.floats(1, 500), max_size=5), max_size=6), st.lists(st.floats(0, 5000), max_size=10))
def test_what_was_heard_is_always_a_beginning_of_what_was_said(pieces: list[list[float]], marks: list[float]) -> None:
    heard, said = HeardReply(), []
    for piece in pieces:
        ends, at = [], 0.0
        for length in piece:
            at += length
            ends.append((f"w{len(said) + len(ends)}", at - length, at))
        said += [text for text, _, _ in ends]
        heard.add(at + 10, words(*ends))
    for mark in marks:
        heard.played(mark)
        assert said[: len(heard.text().split())] == heard.text().split()
    heard.played(heard.audio_ms)
    assert heard.text().split() == said


def test_words_that_come_late_are_filled_in_once_and_nowhere_else() -> None:
    history = History(limit=3)
    history.add(Turn("caller", ""), 4)
    history.add(Turn("agent", "Yes?"))
    assert not history.fill(3, "no such turn")
    assert history.fill(4, "hello")
    assert not history.fill(4, "twice")
    assert [turn.text for turn in history.turns()] == ["hello", "Yes?"]


def test_the_oldest_turns_are_dropped() -> None:
    history = History(limit=2)
    for text in "abc":
        history.add(Turn("caller", text))
    assert [turn.text for turn in history.turns()] == ["b", "c"]


@pytest.mark.parametrize("role", ["caller", "agent"])
def test_turns_are_kept_as_they_are(role: str) -> None:
    history = History(limit=5)
    history.add(Turn(role, "hello", interrupted=True))
    assert history.turns() == (Turn(role, "hello", interrupted=True),)
