"""Phrases in words. (What whole turns mean is in test_understanding.py.)"""

import pytest

from agent.engine.embedded import matching
from agent.engine.embedded.matching import Matcher, number_at
from agent.engine.embedded.understanding import Understanding
from config.phrase import parse_phrase
from config.slots import SlotType
from tests.agent.engine.embedded.test_dialogue_script import agent

MATCHER = Matcher(
    {
        "cake": SlotType.model_validate({"values": {"apple": ["an apple"], "lemon": []}}),
        "day": SlotType(type="date"),
        "street": SlotType(type="text", max_words=2),
    }
)


@pytest.mark.parametrize(
    ("phrase", "words", "ends"),
    [
        ("a {cake} cake [for {day}]", "a lemon cake for the third of may", {3, 6, 8}),
        ("at {street}", "at hill road one", {2, 3}),
        ("[very] (good | well)", "very good", {2}),
        ("a {cake}", "a plum", set()),
    ],
)
def test_where_a_phrase_may_end(phrase: str, words: str, ends: set[int]) -> None:
    found = {end for end, _ in MATCHER.match(parse_phrase(phrase), tuple(words.split()), 0)}
    assert found == ends


@pytest.mark.parametrize(
    ("phrase", "words", "begins"),
    [
        ("for {day}", "for the", True),
        ("for {day}", "for the third of", True),
        ("for {day}", "for tomorrow", False),
        ("a {cake} cake", "a", True),
        ("a {cake} cake", "a plum", False),
    ],
)
def test_the_beginning_of_a_phrase(phrase: str, words: str, begins: bool) -> None:
    assert MATCHER.begins(parse_phrase(phrase), tuple(words.split()), 0) is begins


def test_a_number_is_all_of_its_digits() -> None:
    words = "is one two three four please".split()
    assert number_at(words, 1, 4, 4) == [("1234", 5)]
    assert number_at(words, 2, 3, 3) == []
    assert number_at(words, 1, 1, 3) == []


@pytest.mark.parametrize(
    "words",
    [
        ["one", "two", "three", "four", "five", "six"],
        ["the", "third", "of", "may", "on", "monday"],
        ["my", "street", "is"],
        ["book", "a", "visit", "on", "friday", "at", "ten"],
        ["m", "double", "l", "as", "in"],
    ],
)
def test_a_long_turn_costs_no_more_than_its_length(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in places where a phrase is tried, not in time: a turn of twice the words takes at most some three times
    as many."""
    dialogue = agent().dialogue
    assert dialogue
    counts = []
    for length in (30, 60):
        calls = 0
        match = Matcher.match

        def counted(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            return match(*arguments)  # type: ignore[arg-type]  # noqa: B023

        understanding = Understanding(dialogue)
        with monkeypatch.context() as patch:
            patch.setattr(matching.Matcher, "match", counted)
            understanding.read(" ".join((words * 60)[:length]))
        counts.append(calls)
    assert counts[1] < 20_000
    assert counts[1] < 3 * counts[0]
