"""What language models are told."""

import json

from hypothesis import given
from hypothesis import strategies as st

from agent.engine import prompt
from agent.engine.base import Cue, Done, Next, ReplyRequest, ToolCall, ToolResult, Turn
from config.agent import AgentSettings, ToolSettings

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


def test_the_agents_first_words_answer_the_call_itself_and_cut_ones_say_so() -> None:
    found = prompt.turns(
        request(Turn("agent", "Welcome."), Turn("caller", ""), Turn("agent", "We open at", interrupted=True))
    )
    assert found == [
        ("user", prompt.CUES[Cue.GREET]),
        ("assistant", "Welcome."),
        ("user", prompt.UNKNOWN_WORDS),
        ("assistant", "We open at" + prompt.UNFINISHED),
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
