"""The words of a turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.spoken_turn import MAX_WORDS, spoken_turn


def test_words_know_where_they_stand() -> None:
    turn = spoken_turn("Um, it's 12 Old-Mill Lane, isn't it?")
    assert " ".join(turn.words) == "um it is twelve old mill lane is not it"
    assert turn.text(3, 7) == "12 Old-Mill Lane"
    assert turn.text(1, 2) == "it's"
    assert [at for at in range(1, 9) if turn.comma_before(at)] == [1, 7]
    assert spoken_turn("Um, erm, yes", hesitant=False).words == ("yes",)
    digits = spoken_turn("twelve thirty four").digit_by_digit()
    assert digits.words == ("one", "two", "three", "four")
    assert digits.text(1, 3) == "two three"


@pytest.mark.parametrize(
    ("said", "clauses"),
    [
        ("I'm late, can I come at ten?", ["i am late", "can i come at ten"]),
        ("It leaks and it's loud", ["it leaks", "and it is loud"]),
        ("Hello. Well... and, then", ["hello", "well", "and", "then"]),
        ("four words, in one", ["four words", "in one"]),
        ("yes", ["yes"]),
    ],
)
def test_clauses(said: str, clauses: list[str]) -> None:
    turn = spoken_turn(said)
    assert [" ".join(turn.words[start:end]) for start, end in turn.clauses()] == clauses


@given(st.text(max_size=300))
def test_any_transcript_has_words_and_a_bound(transcript: str) -> None:
    turn = spoken_turn(transcript)
    assert len(turn.words) == len(turn.places) <= MAX_WORDS
    for at, (start, end) in enumerate(turn.places):
        assert turn.text(at, at + 1) == transcript[start:end] != ""
    assert [word for start, end in turn.clauses() for word in turn.words[start:end]] == list(turn.words)
