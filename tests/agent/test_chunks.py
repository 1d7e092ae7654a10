"""Where a reply may be cut for speaking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chunks import Chunker
from config.settings import ReplySettings


def chunks(text: str, size: int = 1, **settings: int) -> list[str]:
    """Feed `text` in pieces of `size` characters, as a model would."""
    chunker = Chunker(ReplySettings(**settings))
    found = [chunk for start in range(0, len(text), size) for chunk in chunker.add(text[start : start + size])]
    rest = chunker.rest()
    return found + ([rest] if rest else [])


def test_the_first_chunk_ends_at_a_clause_and_later_ones_at_sentences() -> None:
    text = "Of course, we are open from nine to five, Monday to Friday. On Saturday from ten. Anything else?"
    assert chunks(text) == [
        "Of course,",
        "we are open from nine to five, Monday to Friday.",
        "On Saturday from ten.",
        "Anything else?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "That is $2.30 for you",
        "Ask Dr. Smith about it",
        "At 9 a.m. on Tuesday",
        "Write to a.person@example.com today",
    ],
)
def test_numbers_abbreviations_and_addresses_are_not_cut(text: str) -> None:
    assert chunks(text) == [text]


def test_short_sentences_are_joined() -> None:
    assert chunks("Yes, sure. No. Yes. We are open on Monday. Bye.", min_sentence_chars=20) == [
        "Yes, sure.",
        "No. Yes. We are open on Monday.",
        "Bye.",
    ]


def test_the_first_chunk_has_enough_words() -> None:
    assert chunks("Yes, we are, and gladly so.", words_trigger_threshold=3)[0] == "Yes, we are,"


def test_a_reply_without_end_is_cut_off() -> None:
    assert len("".join(chunks("word " * 1000, size=7, max_chars=100))) <= 100


@given(st.text(alphabet="ab .,?!\n'", max_size=200), st.integers(1, 20))
def test_no_word_is_lost_or_doubled_however_the_text_arrives(text: str, size: int) -> None:
    assert " ".join(chunks(text, size)).split() == text.split()
    assert chunks(text, size) == chunks(text, 1)
