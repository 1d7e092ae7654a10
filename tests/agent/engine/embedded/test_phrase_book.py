"""Where the front desk's phrases stand in a turn."""

from pathlib import Path

import config
from agent.engine.base import Expect
from agent.engine.embedded.phrase_book import PhraseBook, plain
from agent.engine.embedded.phrase_run import ANSWER, CORRECTION, INTENT
from config.agent import load_agent

DESK = load_agent(Path(config.__file__).parent / "agents" / "front_desk.yaml")
assert DESK.dialogue
BOOK = PhraseBook(DESK.dialogue)


def test_a_phrase_is_found_at_the_word_it_begins_with_and_with_its_slots() -> None:
    found = BOOK.find(("um", "book", "me", "on", "tuesday"))
    assert {(span.end, span.slots) for span in found[1] if span.kind == INTENT} == {
        (3, ()),
        (5, (("day", "Tuesday"),)),
    }
    assert [(span.end, span.slots) for span in found[3] if span.kind == ANSWER] == [(5, (("day", "Tuesday"),))]


def test_a_phrase_that_can_fill_two_slots_fills_the_wanted_one_first() -> None:
    [first, *_] = BOOK.find(("two",), ("time",))[0]
    assert first.slots == (("time", "two o'clock"),)


def test_corrections_are_found_where_they_are_looked_for() -> None:
    words = ("the", "first", "one", "is", "wrong")
    assert CORRECTION in {span.kind for span in BOOK.find(words)[0]}
    assert CORRECTION not in {span.kind for span in BOOK.find(words, corrects=False)[0]}
    assert BOOK.begins_phrase(words[:2], 0, corrects=True) and not BOOK.begins_phrase(words[:2], 0, corrects=False)


def test_twelve_thirty_four_is_a_number_where_digits_are_asked_for() -> None:
    assert BOOK.turn("twelve thirty four", Expect.DIGITS).words == ("one", "two", "three", "four")
    assert BOOK.turn("twelve thirty four").words == ("twelve", "thirty", "four")


def test_how_many_words_are_phrases_from_the_first_one_on() -> None:
    words = ("on", "tuesday", "what", "are", "your")
    assert BOOK.begun(words, BOOK.find(words), corrects=False) == 5
    words = ("lovely", "what", "are", "your")
    assert BOOK.begun(words, BOOK.find(words), corrects=False) == 0


def test_phrases_one_after_another() -> None:
    phrases = plain(["yes", "i'm [so] sorry"])
    assert BOOK.consists_of(phrases, ("i", "am", "sorry", "yes"))
    assert not BOOK.consists_of(phrases, ("yes", "tuesday"))
    assert not BOOK.consists_of(phrases, ())
    assert BOOK.reached(phrases, ("yes", "yes", "no"), 0) == {0, 1, 2}
    assert BOOK.reached(phrases, ("yes", "yes", "no"), 0, once=True) == {0, 1}
