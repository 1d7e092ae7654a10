"""The phrase syntax of an agent's YAML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.phrase import Choice, Slot, Word, parse_phrase


def test_words_options_and_slots() -> None:
    phrase = parse_phrase("Book me [in] on {day} (please | now)")
    assert phrase == Choice(
        (
            (
                Word("book"),
                Word("me"),
                Choice(((Word("in"),),), optional=True),
                Word("on"),
                Slot("day"),
                Choice(((Word("please"),), (Word("now"),))),
            ),
        )
    )
    assert [part.text if isinstance(part, Word) else part.name for part in phrase.parts()] == (
        ["book", "me", "in", "on", "day", "please", "now"]
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("open (today", r"'\)' is missing"),
        ("open today]", r"'\]' without its opening"),
        ("at 9 o'clock", "9 o'clock"),
        ("[maybe]", "silence"),
        ("", "silence"),
        (5, "not 5"),
    ],
)
def test_a_mistake_is_named(text: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_phrase(text)


@given(st.text(alphabet="ab [](){}|'1", max_size=30))
def test_anything_else_is_a_phrase_or_an_error(text: str) -> None:
    try:
        phrase = parse_phrase(text)
    except ValueError:
        return
    assert not phrase.can_be_empty()
    assert list(phrase.parts())
