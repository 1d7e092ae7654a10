"""Which transcript is meant."""

from pathlib import Path

import pytest

import config
from agent.engine.base import ANY_DIGITS, DigitRange, Expect
from agent.engine.embedded.moonshine import Alternative
from agent.engine.embedded.transcript_choice import ALIKE, SHARE, TranscriptChoice, as_expected
from agent.engine.embedded.understanding import Understanding
from config.agent import load_agent

DESK = load_agent(Path(config.__file__).parent / "agents" / "front_desk.yaml").dialogue
assert DESK
DESK_UNDERSTANDING = Understanding(DESK)


def meant(
    text: str, *others: tuple[str, float], expect: Expect = Expect.OPEN, digits: DigitRange = ANY_DIGITS
) -> tuple[str, bool]:
    """What is meant, and whether the alternatives were asked for."""
    asked = False

    def alternatives() -> list[Alternative]:
        nonlocal asked
        asked = True
        return [Alternative(*other) for other in others]

    return TranscriptChoice(DESK_UNDERSTANDING, expect, digits).meant(text, alternatives), asked


def test_what_means_something_is_not_looked_up() -> None:
    for text, expect in (
        ("What are your opening hours?", Expect.OPEN),
        ("Uh-huh.", Expect.OPEN),
        ("One two three four.", Expect.DIGITS),
        ("Yes, please.", Expect.YES_NO),
        ("Can I talk to a person?", Expect.DIGITS),
    ):
        assert meant(text, ("Cancel my appointment.", 1.0), expect=expect) == (text, False)


def test_nor_is_what_is_like_no_phrase_what_may_be_anything_or_what_is_half_said() -> None:
    for text, expect in (
        ("", Expect.YES_NO),
        ("Put the kettle on, would you?", Expect.OPEN),
        ("Hopeful things.", Expect.TEXT),
        ("Bee are why.", Expect.SPELLING),
        ("I'd like to", Expect.OPEN),
    ):
        assert meant(text, ("Cancel my appointment.", 1.0), expect=expect) == (text, False)


@pytest.mark.parametrize(
    ("heard", "others", "text"),
    [
        ("What are your hoping hours?", [("What are your opening hours?", 0.1)], "What are your opening hours?"),
        # The likeliest of those that mean something.
        (
            "I'd like to book an apartment.",
            [("I'd like two book an apartment.", 0.6), ("I'd like to book an appointment.", 0.3)],
            "I'd like to book an appointment.",
        ),
        ("What are your hoping hours?", [("What are your opening hours?", SHARE / 2)], "What are your hoping hours?"),
        ("What are your hoping hours?", [("Cancel my appointment.", 0.9)], "What are your hoping hours?"),
        ("What are your hoping hours?", [("What are your hopping hours?", 0.9)], "What are your hoping hours?"),
        ("What are your hoping hours?", [], "What are your hoping hours?"),
    ],
)
def test_what_was_misheard(heard: str, others: list[tuple[str, float]], text: str) -> None:
    assert meant(heard, *others) == (text, True)


def test_a_number_that_was_asked_for_is_looked_up_until_it_is_whole() -> None:
    wanted: DigitRange = (4, 4)
    for heard, other, text in (
        ("four 567.", "Five five six seven.", "four 567."),  # no need to look
        ("Five two one.", "Double five two one.", "Double five two one."),
        ("One two three.", "One two free.", "One two three."),
        ("One two three four five.", "One two three four.", "One two three four."),
    ):
        assert meant(heard, (other, 0.5), expect=Expect.DIGITS, digits=wanted)[0] == text
    long: DigitRange = (3, 12)
    assert meant("For 15867.", ("415867.", 0.3), expect=Expect.DIGITS, digits=long) == ("415867.", True)
    assert (
        meant("Nine-fourths, five.", ("Nine, four, five.", 0.3), expect=Expect.DIGITS, digits=long)[0]
        == "Nine, four, five."
    )
    assert meant("My number is 945.", ("My number is 955.", 0.3), expect=Expect.DIGITS) == ("My number is 945.", False)
    assert meant("15867.", ("415867.", 0.3), expect=Expect.DIGITS, digits=long) == ("15867.", False)


def test_an_answer_is_looked_up_whatever_it_is_like() -> None:
    assert meant("Hopeful things.", ("Half for ten.", 0.3), expect=Expect.YES_NO) == ("Hopeful things.", True)
    assert meant("That's ride.", ("That's right.", 0.3), expect=Expect.YES_NO) == ("That's right.", True)
    assert 0 < SHARE < ALIKE < 1


@pytest.mark.parametrize(
    ("heard", "expected", "text"),
    [
        ("For 158229063.", (10, 10), "four 158229063."),
        ("For 158229063.", (9, 9), "For 158229063."),
        ("To 12", (4, 4), "To 12"),
        ("for seven to zero for", (5, 5), "four seven two zero four"),
        ("for seven two", (0, 0), "for seven two"),
        ("", (4, 4), ""),
    ],
)
def test_words_that_sound_like_digits(heard: str, expected: DigitRange, text: str) -> None:
    assert as_expected(heard, Expect.DIGITS, expected) == text
    assert as_expected(heard, Expect.OPEN, expected) == heard
