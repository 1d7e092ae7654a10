"""What language models are told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine import prompt
from agent.engine.base import Cue, Done, Next, ReplyRequest, ToolCall, ToolResult, Turn
from config.agent import AgentSettings, ToolSettings
from config.parties import Parties

AGENT = AgentSettings(
    name="desk",
    instructions="You are the desk.",
    transfers={"reception": "+15550100199"},
    tools={"book": ToolSettings(file="b.jsonl", description="Book it.", parameters={"day": "the day"})},
)


def request(*history: Turn, cue: Cue = Cue.ANSWER, transcript: str | None = None, digits: str = "") -> ReplyRequest:
    return ReplyRequest("CA1/1.0", "CA1", "desk", cue, transcript, digits=digits, history=history)


def test_the_instructions_hold_the_agents_own_and_the_markers_only_where_they_are_wanted() -> None:
    with_markers = prompt.instructions(AGENT, markers=True)
    assert with_markers.startswith("You are the desk.\n")
    assert prompt.MARKERS in with_markers
    assert prompt.MARKERS not in prompt.instructions(AGENT, markers=False)


def test_tools_are_the_agents_own_and_those_that_every_agent_has() -> None:
    book, transfer, hang_up = prompt.tools(AGENT)
    assert book["function"]["parameters"] == {
        "type": "object",
        "properties": {"day": {"type": "string", "description": "the day"}},
        "required": ["day"],
    }
    assert "reception" in transfer["function"]["parameters"]["properties"]["to"]["description"]
    assert hang_up["function"]["name"] == prompt.HANG_UP
    alone = prompt.tools(AgentSettings(name="alone"))
    assert [tool["function"]["name"] for tool in alone] == [prompt.HANG_UP]


PRESSING = AGENT.model_copy(update={"press_keys": True})


def test_keys_are_a_tool_where_the_agent_may_press_them() -> None:
    press = prompt.tools(PRESSING)[2]["function"]
    assert press["name"] == prompt.PRESS_KEYS
    assert "w waits half a second" in press["parameters"]["properties"]["keys"]["description"]
    assert prompt.PRESS_KEYS not in [tool["function"]["name"] for tool in prompt.tools(AGENT)]


@pytest.mark.parametrize(("given", "keys"), [("2", "2"), (" 1 0 4 # ", "104#"), (2, "2"), ("ww9", "ww9")])
def test_keys_are_pressed_after_the_reply(given: Any, keys: str) -> None:
    press = ToolCall("press_keys", {"keys": given})
    assert prompt.conclude([press], PRESSING) == ([], Done(keys=keys))
    assert prompt.conclude([press, ToolCall("hang_up", {})], PRESSING)[1] == Done(next=Next.HANG_UP, keys=keys)
    assert prompt.conclude([press, ToolCall("transfer", {"to": "reception"}), press], PRESSING)[1] == Done(
        next=Next.TRANSFER, transfer_to="reception", keys=keys * 2
    )


@pytest.mark.parametrize("given", ["", "two", "1" * 33, ["2"], None, True, 2.5])
def test_what_is_no_key_is_left_to_the_session_and_so_are_all_where_the_agent_may_not(given: Any) -> None:
    wrong = ToolCall("press_keys", {"keys": given})
    assert prompt.conclude([wrong], PRESSING) == ([wrong], Done())
    assert prompt.conclude([ToolCall("press_keys", {})], PRESSING)[1] == Done()
    right = ToolCall("press_keys", {"keys": "2"})
    assert prompt.conclude([right], AGENT) == ([right], Done())


def test_more_keys_than_are_pressed_at_once_are_left_to_the_session() -> None:
    many, more = ToolCall("press_keys", {"keys": "1" * 30}), ToolCall("press_keys", {"keys": "234"})
    assert prompt.conclude([many, more], PRESSING) == ([more], Done(keys="1" * 30))


PAUSING = AGENT.model_copy(update={"pause_recording": True})


def test_the_recording_is_paused_and_resumed_by_tools_where_the_agent_may() -> None:
    both = [prompt.PAUSE_RECORDING, prompt.RESUME_RECORDING]
    assert [tool["function"]["name"] for tool in prompt.tools(PAUSING)][-3:-1] == both
    assert not set(both) & {tool["function"]["name"] for tool in prompt.tools(AGENT)}
    pause, resume = (ToolCall(name, {}) for name in both)
    assert prompt.conclude([pause], PAUSING) == ([], Done(recording="pause"))
    assert prompt.conclude([pause, resume], PAUSING) == ([], Done(recording="resume"))
    assert prompt.conclude([pause], AGENT) == ([pause], Done())


def test_keys_that_were_pressed_stand_in_the_history_as_a_note() -> None:
    assert prompt.turns(request(Turn("caller", "Press two."), Turn("agent", "So."), Turn("keys", "2#"))) == [
        ("user", "Press two."),
        ("assistant", "So."),
        ("user", "(You pressed 2 #.)"),
    ]
    assert prompt.turns(request(Turn("keys", "1"), Turn("agent", "Hello."))) == [
        ("user", "(You pressed 1.)"),
        ("assistant", "Hello."),
    ]


def test_what_an_operator_tells_and_does_stands_in_the_history_as_notes() -> None:
    told = [Turn("agent", "Hello."), Turn("operator", "Offer {a} discount."), Turn("taken_over", "")]
    told += [Turn("caller", "yes please"), Turn("given_back", "")]
    [_, hello, (role, notes)] = prompt.turns(request(*told))
    assert (hello, role) == (("assistant", "Hello."), "user")
    assert notes == (
        "(Your operator, whom the caller does not hear, tells you: Offer {a} discount.) "
        "(Here a person took over and talked with the caller. You do not know what that person said.) yes please "
        "(The person has left. You are talking with the caller again.)"
    )


def test_the_agents_first_words_answer_the_call_itself_and_cut_ones_say_so() -> None:
    found = prompt.turns(
        request(Turn("agent", "Welcome."), Turn("caller", ""), Turn("agent", "We open at", interrupted=True))
    )
    assert found == [
        ("user", prompt.CUES[Cue.GREET]),
        ("assistant", "Welcome."),
        ("user", prompt.UNKNOWN_WORDS),
        ("assistant", "We open at" + prompt.INCOMPLETE),
    ]


@given(
    st.lists(st.builds(Turn, st.sampled_from(["caller", "agent"]), st.sampled_from(["", "a", "b c"]), st.booleans()))
)
def test_turns_alternate_and_the_caller_is_first(history: list[Turn]) -> None:
    roles = [role for role, _ in prompt.turns(request(*history))]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    told = " ".join(text for _, text in prompt.turns(request(*history)))
    assert all(turn.text in told for turn in history)


def test_the_present_turn_says_why_and_what_was_dialled() -> None:
    assert prompt.present(request(transcript="two please", digits="12")) == "two please (The caller pressed 1 2.)"
    assert prompt.present(request(cue=Cue.GREET)) == prompt.CUES[Cue.GREET]
    assert prompt.present(request()) == ""


def test_results_are_json_and_an_error_is_told_as_one() -> None:
    assert json.loads(prompt.result_text(ToolResult("book", {}, {"ok": True}))) == {"ok": True}
    assert json.loads(prompt.result_text(ToolResult("book", {}, {"ok": True}, "no room"))) == {"error": "no room"}


def test_hanging_up_and_putting_through_are_no_tools_of_the_session() -> None:
    book = ToolCall("book", {"day": "monday"})
    assert prompt.conclude([book], AGENT) == ([book], Done())
    assert prompt.conclude([book, ToolCall("hang_up", {})], AGENT) == ([book], Done(next=Next.HANG_UP))
    through = ToolCall("transfer", {"to": "reception"})
    assert prompt.conclude([through], AGENT) == ([], Done(next=Next.TRANSFER, transfer_to="reception"))
    for wrong in ({"to": "nobody"}, {}, {"to": ["reception"]}):
        nowhere = ToolCall("transfer", wrong)
        assert prompt.conclude([nowhere], AGENT) == ([nowhere], Done())
    assert prompt.conclude([through, ToolCall("hang_up", {})], AGENT)[1].next is Next.TRANSFER


def test_the_instructions_say_who_calls_where_the_agents_file_asks_for_it() -> None:
    agent = AgentSettings(name="desk", instructions="{caller_name} calls from {caller}, at {hour}.")
    told = prompt.instructions(agent, markers=False, parties=Parties("+15550100123"))
    assert told.startswith("unknown calls from +15550100123, at {hour}.")
