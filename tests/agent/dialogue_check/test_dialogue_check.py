"""All of the check: the shipped agents are in order, and it ends for whatever is valid."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.dialogue_check import check
from agent.dialogue_check.automaton import Steps
from config.agent import AgentSettings, load_agent
from tests.agent.dialogue_check.dialogues import agent, agents

ROOT = Path(__file__).parents[3]
SHIPPED = [*(ROOT / "config" / "agents").glob("*.yaml"), *(ROOT / "examples" / "agents").glob("*.yaml")]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_shipped_agents_are_in_order(file: Path) -> None:
    assert list(check(load_agent(file))) == []


@given(agents())
@settings(max_examples=25, deadline=None)
def test_whatever_is_valid_gets_findings_in_bounded_steps(any_agent: AgentSettings) -> None:
    steps = Steps()
    for finding in check(any_agent, steps=steps):
        assert finding.key.startswith("dialogue")
        assert finding.text
        assert finding.advice
    assert steps.taken < 200_000


@given(agents(), st.integers(0, 3000))
@settings(max_examples=10, deadline=None)
def test_what_is_too_large_is_looked_at_in_part(any_agent: AgentSettings, most: int) -> None:
    steps, whole = Steps(most), list(check(any_agent, pronounce=False))
    part = list(check(any_agent, pronounce=False, steps=steps))
    assert steps.taken <= most + 1
    if part != whole:
        assert part[-1].text.startswith("too large")
        assert part[:-1] == whole[: len(part) - 1]


def test_without_a_dialogue_there_is_nothing_to_find() -> None:
    assert list(check(AgentSettings(name="a"))) == []


def test_words_are_looked_up_only_where_pocketsphinx_hears() -> None:
    intents = {"a": {"phrases": ["xyzzyx"], "answer": "b"}}
    assert [finding.text for finding in check(agent(intents))] == ["the recognizer cannot pronounce 'xyzzyx'"]
    assert list(check(agent(intents), pronounce=False)) == []
    assert list(check(agent(intents, language="de"))) == []
