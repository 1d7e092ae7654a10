"""Scripted calls find what an agent does otherwise."""

from typing import Any

import pytest

from agent.rehearsal import rehearse
from config.call_script import ScriptedCall
from tests.agent.engine.embedded.test_dialogue_script import agent

CALL = {"name": "hours", "at": "2026-12-01 10:00", "turns": [{"says": "when are you open", "agent": "from eight"}]}


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({}, ""),
        ({"greeting": "hello."}, ""),
        ({"greeting": "good evening"}, "greeting: 'good evening' is not in 'Hello.'"),
        (
            {"turns": [{"says": "when are you open", "agent": "from nine"}]},
            "turn 1: 'from nine' is not in 'From eight.",
        ),
        ({"turns": [{"says": "when are you open", "never": "eight"}]}, "turn 1: 'eight' is in 'From eight."),
        ({"tools": [{"note": {"account": "1"}}]}, "the tools were [], not [{'note': {'account': '1'}}]"),
        ({"turns": [{"says": "account number 123"}], "tools": [{"note": {"account": "123"}}]}, ""),
        ({"ends": "hung up"}, "it ends 'listening', not 'hung up'"),
        ({"turns": [{"says": "goodbye"}], "ends": "hung up"}, ""),
        ({"turns": [{"says": "goodbye"}, {"says": "hello"}], "ends": "hung up"}, "turn 2: the agent does not listen"),
        ({"turns": [{"unreached": True}]}, "turn 1: the caller is not being put through"),
        ({"turns": [{"silent": True, "agent": "still there"}]}, ""),
    ],
)
async def test_a_call_is_compared_with_what_it_should_be(changes: dict[str, Any], mistake: str) -> None:
    [rehearsed] = await rehearse(agent(), [ScriptedCall.model_validate({**CALL, **changes})])
    assert bool(rehearsed.mistakes) == bool(mistake)
    assert mistake in "\n".join(rehearsed.mistakes)
    assert rehearsed.transcript[0] == "agent: Hello."


async def test_a_call_begins_when_it_says_by_the_agents_clock() -> None:
    call = {**CALL, "turns": [{"says": "i need a visit today"}, {"says": "at nine"}], "at": "2026-12-01 00:30"}
    [rehearsed] = await rehearse(agent(time_zone="Asia/Tokyo"), [ScriptedCall.model_validate(call)])
    assert "At what time on Tuesday, December first?" in rehearsed.transcript[2]
