"""Whether what callers have said so far is all of it, at the front desk and at the pharmacy."""

from pathlib import Path

import pytest

import config
from agent.engine.base import Expect
from agent.engine.embedded.completeness import Completeness
from agent.engine.embedded.phrase_book import PhraseBook
from config.agent import load_agent


def of(path: Path) -> Completeness:
    dialogue = load_agent(path).dialogue
    assert dialogue
    return Completeness(dialogue, PhraseBook(dialogue))


DESK = of(Path(config.__file__).parent / "agents" / "front_desk.yaml")
EXAMPLES = Path(__file__).parents[4] / "examples" / "agents"
PHARMACY = of(EXAMPLES / "pharmacy.yaml")
RESTAURANT = of(EXAMPLES / "restaurant.yaml")


@pytest.mark.parametrize(
    ("words", "expect", "complete"),
    [
        ("", Expect.OPEN, None),
        ("one two", Expect.OPEN, False),
        ("one two three", Expect.DIGITS, False),
        ("cancel appointment number nine", Expect.OPEN, False),
        ("two", Expect.DIGITS, False),
        ("two", Expect.OPEN, True),  # o'clock
        ("one two three four", Expect.DIGITS, True),
        ("one two three four five", Expect.DIGITS, None),
        ("i'd like to", Expect.OPEN, False),
        ("please can i", Expect.OPEN, False),
        ("i'd like to book an appointment on", Expect.OPEN, False),
        ("on", Expect.OPEN, False),
        ("tuesday at", Expect.OPEN, False),
        ("what are your", Expect.OPEN, False),
        ("lovely weather what are your", Expect.OPEN, False),
        ("on tuesday and", Expect.OPEN, False),
        ("on tuesday um", Expect.OPEN, False),
        ("um", Expect.OPEN, False),
        ("ten in the", Expect.OPEN, False),
        ("ten", Expect.OPEN, True),
        ("i'd like to book an appointment", Expect.OPEN, True),
        ("on tuesday please", Expect.OPEN, None),  # perhaps "at ten"
        ("yes", Expect.YES_NO, True),
        ("no thanks", Expect.YES_NO, True),
        ("thank you", Expect.OPEN, None),  # perhaps with a wish behind it, as a yes or no that answers nothing
        ("no", Expect.OPEN, None),
        ("goodbye", Expect.OPEN, True),
        ("hello", Expect.OPEN, False),
        ("oh good morning", Expect.OPEN, False),
        ("wait", Expect.OPEN, None),
        ("okay", Expect.OPEN, None),
        ("the weather is lovely", Expect.OPEN, None),
        ("lovely weather today on", Expect.OPEN, None),  # one word after strange ones says little
    ],
)
def test_whether_more_must_follow(words: str, expect: Expect, complete: bool | None) -> None:
    assert DESK.complete(words, expect) is complete


@pytest.mark.parametrize(
    ("words", "expect", "complete"),
    [
        ("yes", Expect.YES_NO, True),
        ("yes", Expect.DIGITS, None),  # "Yes. It's five five five ..."
        ("on monday", Expect.YES_NO, None),
        ("what are your opening hours", Expect.OPEN, True),
        ("what are your opening hours", Expect.DIGITS, None),
        ("five five five one two three", Expect.DIGITS, None),  # a whole prescription, and half of a telephone number
        ("five five five oh one oh two oh three oh", Expect.DIGITS, True),
        ("four one five eight two two nine zero six three", Expect.OPEN, True),  # "three" begins no time here
        ("b r", Expect.SPELLING, None),
        ("twelve", Expect.TEXT, False),  # Hill Road
        ("twelve hill road", Expect.TEXT, None),
        ("oak house", Expect.TEXT, None),
    ],
)
def test_only_the_answer_that_was_asked_for_is_complete(words: str, expect: Expect, complete: bool | None) -> None:
    assert PHARMACY.complete(words, expect) is complete


@pytest.mark.parametrize(
    ("count", "digits", "complete"),
    [
        (5, (6, 8), False),
        (6, (6, 8), None),  # of six to eight digits: all of it, or not
        (7, (6, 8), None),
        (8, (6, 8), True),
        (9, (6, 8), None),
        (6, (10, 10), False),  # no prescription where a telephone number was asked for
        (10, (10, 10), True),
        (7, (7, 10), None),  # the rest after three, or half of it all over again
        (6, (7, 10), False),
        (10, (7, 10), True),
    ],
)
def test_a_number_is_complete_when_no_digit_can_follow(
    count: int, digits: tuple[int, int], complete: bool | None
) -> None:
    words = " ".join("five one four two nine six three eight oh seven".split()[:count])
    assert PHARMACY.complete(words, Expect.DIGITS, digits) is complete
    assert PHARMACY.complete(f"on monday {words}", Expect.DIGITS, digits) is complete


@pytest.mark.parametrize(
    ("agent", "words", "expect", "may_go_on"),
    [
        (DESK, "i'd like to book an appointment", Expect.OPEN, True),  # "on Monday"
        (DESK, "i'd like to book an appointment on monday", Expect.OPEN, True),
        (DESK, "i'd like to book an appointment on monday at ten", Expect.OPEN, False),
        (DESK, "book an appointment at ten", Expect.OPEN, False),
        (DESK, "on monday", Expect.OPEN, False),  # to "which day?"
        (DESK, "at ten", Expect.OPEN, False),
        (DESK, "no on monday", Expect.YES_NO, False),  # the time was read back with it
        (DESK, "cancel my appointment please", Expect.OPEN, True),  # its number
        (DESK, "what are your opening hours", Expect.OPEN, False),
        (DESK, "could you tell me", Expect.OPEN, False),  # surely
        (DESK, "the weather is lovely", Expect.OPEN, False),
        (DESK, "", Expect.OPEN, False),
        (RESTAURANT, "for four people", Expect.OPEN, False),
        (RESTAURANT, "next friday", Expect.DATE, False),
        (RESTAURANT, "at half past seven", Expect.TIME, False),  # nobody adds the name that is asked for next
        (PHARMACY, "i need a refill", Expect.OPEN, True),
        (PHARMACY, "i need a refill for prescription number one two three four five six", Expect.OPEN, False),
    ],
)
def test_whether_callers_often_add_what_is_asked_for_next(
    agent: Completeness, words: str, expect: Expect, may_go_on: bool
) -> None:
    assert agent.may_go_on(words, expect) is may_go_on


@pytest.mark.parametrize(
    "said",
    [
        "I have a toothache and I need to see somebody.",
        "I need it.",
        "Can you help me?",
        "How much is it?",
        "I'm calling for my son.",
        "Is that possible?",
        "Yes, we are.",
        "That's everything I wanted.",
        "I need to ask my wife.",
        "I need someone.",
    ],
)
def test_an_ordinary_sentence_needs_no_more(said: str) -> None:
    assert DESK.complete(said, Expect.OPEN) is not False
