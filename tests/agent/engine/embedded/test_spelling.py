"""Words spelled letter by letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.numerals import words_of
from agent.engine.embedded.spelling import NATO, spelled


@pytest.mark.parametrize(
    ("said", "text", "count"),
    [
        ("s m i t h", "SMITH", 5),
        ("M-I-L-L-E-R", "MILLER", 6),
        ("m i double l e r please", "MILLER", 6),
        ("b as in boat o b for bravo", "BOB", 8),
        ("alpha four seven", "A47", 3),
        ("w as in whiskey double you", "WW", 6),
        ("j o dash a n n", "JOANN", 6),
        ("a 12 b", "A", 0),
        ("one two three", "", 0),
        ("m", "", 0),
        ("a banana", "", 0),
        ("double", "", 0),
    ],
)
def test_letters_become_a_word(said: str, text: str, count: int) -> None:
    found = spelled(words_of(said), 0)
    assert found == ([(text, count)] if count else [])


def test_letters_in_the_middle_of_a_row_begin_nothing() -> None:
    assert spelled("s m i t h".split(), 1) == []
    assert spelled("it's s m".split(), 1) == [("SM", 3)]


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=30))
def test_what_is_spelled_is_read(text: str) -> None:
    assert spelled(list(text.lower()), 0) == [(text, len(text))]
    if "X" not in text:
        names = {word[0]: word for word in NATO}
        assert spelled([names[letter] for letter in text.lower()], 0) == [(text, len(text))]


@given(st.lists(st.sampled_from("double triple a b for as in like boat dash oh two".split()), max_size=40))
def test_whatever_comes_the_result_lies_within_the_words(words: list[str]) -> None:
    for start in range(len(words)):
        for text, end in spelled(words, start):
            assert start < end <= len(words)
            assert 2 <= len(text) <= 30
