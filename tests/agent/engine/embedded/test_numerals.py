"""Numbers as words, and words as digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.numerals import ONES, are_numbers, digit_by_digit, words_of


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ("On Wednesday, at 10:30.", "on wednesday at ten thirty"),
        ("At 3:00, please", "at three please"),
        ("It's 9:05 a.m.", "it's nine oh five am"),
        ("My number is 1234.", "my number is one two three four"),
        ("Mr. or Mrs. Smith, Dr. No", "mister or missus smith doctor no"),
        ("555-0142", "five five five zero one four two"),
        ("The 3rd, or the 21st?", "the third or the twenty first"),
        ("the 20th and the 12th", "the twentieth and the twelfth"),
        ("42 of 7", "forty two of seven"),
        ("I'd like 07", "i'd like zero seven"),
        ("Some one to-morrow, to night every body", "someone tomorrow tonight everybody"),
        ("Uh-huh. Café!", "uh huh caf"),
        ("...", ""),
        ("at ١٢:٣٠ or १२", "at or"),
    ],
)
def test_a_transcript_in_words(transcript: str, words: str) -> None:
    assert " ".join(words_of(transcript)) == words


@pytest.mark.parametrize(
    ("words", "digits"),
    [
        ("one two three four", "one two three four"),
        ("it's twelve thirty four", "it's one two three four"),
        ("twenty oh five", "two zero zero five"),
        ("double five o one", "five five zero one"),
        ("triple nine please", "nine nine nine please"),
        ("ten zero", "one zero zero"),
        ("double please", "double please"),
        ("", ""),
    ],
)
def test_numbers_are_spelled_digit_by_digit(words: str, digits: str) -> None:
    assert digit_by_digit(words.split()) == digits.split()


@given(st.text(alphabet="0123456789", min_size=3, max_size=12))
def test_what_is_written_as_digits_is_read_as_the_same(number: str) -> None:
    words = words_of(number)
    assert "".join(str(ONES.index(word)) for word in words) == number
    assert digit_by_digit(words) == words


@given(st.text(max_size=60))
def test_whatever_is_written_becomes_plain_words(text: str) -> None:
    words = words_of(text)
    assert words_of(" ".join(words)) == words
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz'") for word in words)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [("twelve", True), ("one oh five", True), ("forty two", True), ("twelve oak", False), ("", False)],
)
def test_words_that_are_all_numbers(words: str, numbers: bool) -> None:
    assert are_numbers(words.split()) is numbers
