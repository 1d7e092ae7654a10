"""Words that two sets of phrases have in common."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dialogue_check.automaton import Automaton, Steps, TooLarge, common
from config.phrase import Choice, Word, parse_phrase
from tests.agent.dialogue_check.dialogues import phrases


def automaton(*texts: str) -> Automaton:
    made = Automaton({}, Steps())
    made.add(map(parse_phrase, texts))
    return made


def sentences(choice: Choice) -> set[tuple[str, ...]]:
    """All that a phrase says."""
    said: set[tuple[str, ...]] = {()} if choice.optional else set()
    for option in choice.options:
        rows: set[tuple[str, ...]] = {()}
        for node in option:
            assert isinstance(node, Word | Choice)
            ends = {(node.text,)} if isinstance(node, Word) else sentences(node)
            rows = {row + end for row in rows for end in ends}
        said |= rows
    return said


@given(st.lists(phrases([]), min_size=1, max_size=2), st.lists(phrases([]), min_size=1, max_size=2))
def test_what_two_have_in_common_is_one_of_the_shortest_that_both_say(one: list[str], other: list[str]) -> None:
    mine, theirs = ({row for text in texts for row in sentences(parse_phrase(text))} for texts in (one, other))
    words = common(automaton(*one), automaton(*other), Steps())
    if shared := mine & theirs:
        assert tuple(words) in shared
        assert len(words) == min(map(len, shared))
    else:
        assert words == []


def test_fillers_come_before_and_after_as_often_as_one_likes() -> None:
    polite = automaton("open")
    polite.allow_around(map(parse_phrase, ["um", "thank you"]))
    for text in ("um um open", "open thank you um", "um open thank you"):
        assert common(polite, automaton(text), Steps()) == text.split()
    for text in ("um", "open open", "open thank"):
        assert common(polite, automaton(text), Steps()) == []


def test_it_gives_up_in_the_end() -> None:
    with pytest.raises(TooLarge):
        common(automaton("open [now] (today | tomorrow)"), automaton("open now tomorrow"), Steps(3))
