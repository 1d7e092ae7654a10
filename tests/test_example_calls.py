"""The calls in examples/calls: each agent answers its fifteen callers as its author wants it to."""

from pathlib import Path

import pytest

from agent.engine.embedded.language_model import vocabulary
from agent.engine.embedded.phrase_decoder import pronunciations
from agent.rehearsal import rehearse
from config.agent import load_agent
from config.call_script import ScriptedCall, load_calls

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = sorted((EXAMPLES / "calls").glob("*.yaml"))
CALLS = [(path.stem, call) for path in FILES for call in load_calls(path)]


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[f"{name}: {call.name}" for name, call in CALLS])
async def test_a_call_goes_as_it_should(name: str, call: ScriptedCall) -> None:
    [rehearsed] = await rehearse(load_agent(EXAMPLES / "agents" / f"{name}.yaml"), [call])
    assert not rehearsed.mistakes, "\n".join((*rehearsed.transcript, *rehearsed.mistakes))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_agent_has_fifteen_calls_and_uses_each_of_its_tools(path: Path) -> None:
    calls, agent = load_calls(path), load_agent(EXAMPLES / "agents" / path.name)
    assert len(calls) >= 15
    assert {name for call in calls for tool in call.tools for name in tool} == set(agent.tools)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_pocketsphinx_can_pronounce_what_callers_say(path: Path) -> None:
    agent = load_agent(EXAMPLES / "agents" / path.name)
    assert agent.dialogue
    words = vocabulary(agent.dialogue)
    lines = pronunciations(agent.name, words, agent.dialogue.pronunciations)
    assert {line.partition(" ")[0].partition("(")[0] for line in lines} >= words
