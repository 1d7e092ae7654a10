"""What the chat model is told, and what its answers become."""

import asyncio
import base64
import io
import json
import wave
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from agent.engine import prompt
from agent.engine.base import (
    Backchannel,
    Cue,
    Done,
    Incomplete,
    ModelEvent,
    Next,
    ReplyRequest,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from agent.engine.openai.chat import MAX_BYTES, MAX_CALLS, ChatModel, messages
from agent.exceptions import EngineError
from config.agent import AgentSettings, ToolSettings
from tests.agent.engine.openai.server import Server

AGENT = AgentSettings(
    name="desk",
    instructions="You are the desk.",
    transfers={"reception": "+15550100199"},
    tools={"book": ToolSettings(file="b.jsonl", description="Book it.", parameters={"day": "the day"})},
)
TONE = (8000 * np.sin(2 * np.pi * 500 * np.arange(4000) / 8000)).astype("<i2").tobytes()
BOOKED = (ToolResult("book", {"day": "Monday"}, {"ok": True}), ToolResult("book", {"day": "?"}, error="no such day"))


def asked(cue: Cue = Cue.ANSWER, *history: Turn, **fields: Any) -> ReplyRequest:
    return ReplyRequest("CA1/1.0", "CA1", "desk", cue, history=history, **fields)


async def events_of(server: Server, *script: Any, request: ReplyRequest | None = None) -> list[ModelEvent]:
    server.script("chat", script)
    request = request or asked(transcript="hello")
    model = ChatModel(server.settings(audio=bool(request.audio)), {"desk": AGENT})
    try:
        return [event async for event in model.reply(request)]
    finally:
        await model.close()


def call(index: int | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    """A piece of a call, as servers stream it."""
    piece: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    if name:
        piece |= {"id": "abcdefghi", "type": "function"}
    return {"tool_calls": [piece if index is None else piece | {"index": index}]}


# The request


async def test_the_request_holds_model_settings_tools_and_turns(server: Server) -> None:
    request = asked(Cue.ANSWER, Turn("caller", "Good morning."), Turn("agent", "Hello."), transcript="hello")
    await events_of(server, "Hi.", request=request)
    body = server.asked[0].body
    assert body == {
        "model": "chat",
        "messages": [
            {"role": "system", "content": prompt.instructions(AGENT, markers=False)},
            {"role": "user", "content": "Good morning."},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "hello"},
        ],
        "tools": prompt.tools(AGENT),
        "stream": True,
        "max_tokens": 250,
        "temperature": 0.3,
        "top_p": 0.9,
    }


async def test_with_audio_the_model_hears_the_turn_beside_its_text(server: Server) -> None:
    request = asked(Cue.ANSWER, Turn("agent", "Yes?"), audio=TONE, digits="42")
    assert await events_of(server, "Hi.", request=request) == [Text("Hi."), Done()]
    first, _, present = server.asked[0].body["messages"]
    assert first["content"] == f"{prompt.instructions(AGENT, markers=False)}\n\n{prompt.CUES[Cue.GREET]}"
    text, speech = present["content"]
    assert text == {"type": "text", "text": "(The caller pressed 4 2.)"}
    assert (speech["type"], speech["input_audio"]["format"]) == ("input_audio", "wav")
    with wave.open(io.BytesIO(base64.b64decode(speech["input_audio"]["data"], validate=True))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / len(samples) == 500


async def test_of_a_wide_band_line_it_hears_16_khz(server: Server) -> None:
    wide = np.random.default_rng(0).integers(-9000, 9000, len(TONE)).astype("<i2").tobytes()
    await events_of(server, "Hi.", request=asked(audio=TONE, wide=wide))
    (speech,) = server.asked[0].body["messages"][-1]["content"][-1:]
    with wave.open(io.BytesIO(base64.b64decode(speech["input_audio"]["data"], validate=True))) as file:
        assert file.getframerate() == 16_000
        assert file.readframes(file.getnframes()) == wide


async def test_an_agent_that_is_not_there_is_an_error(server: Server) -> None:
    with pytest.raises(EngineError, match="no agent 'desk'"):
        await anext(ChatModel(server.settings(), {}).reply(asked()))


HEARD = (Turn("caller", "Book Monday."), Turn("agent", "It is", interrupted=True))
ALONE = (ToolResult("transfer", {"to": "reception"}, error="busy"),)
CASES = {
    "greeting": asked(Cue.GREET),
    "first turn": asked(transcript="hello", audio=TONE),
    "early": asked(transcript="hello", audio=TONE, early=True),
    "nothing understood": asked(transcript=""),
    "nothing understood, heard": asked(audio=TONE),
    "a turn": asked(Cue.ANSWER, Turn("caller", "a"), Turn("agent", "b"), audio=TONE),
    "after a turn that was not answered": asked(Cue.ANSWER, Turn("caller", "a"), transcript="b", audio=TONE),
    "silence": asked(Cue.REPROMPT, Turn("agent", "a")),
    "results": asked(Cue.TOOL, Turn("caller", "Book Monday."), tool_results=BOOKED),
    "results of the greeting": asked(Cue.TOOL, tool_results=BOOKED),
    "results after a reprompt": asked(Cue.TOOL, Turn("caller", "a"), Turn("agent", "b"), tool_results=BOOKED),
    "not put through": asked(Cue.UNREACHED, Turn("caller", "A person."), Turn("agent", "So."), tool_results=ALONE),
    "results not told": asked(Cue.ANSWER, Turn("caller", "Book."), tool_results=BOOKED, transcript="Hm", audio=TONE),
    "results half told": asked(Cue.ANSWER, *HEARD, tool_results=BOOKED, transcript="Stop", audio=TONE),
    "results half told at once": asked(Cue.ANSWER, tool_results=BOOKED, audio=TONE),
}


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_voxtrals_own_rules_for_conversations_are_kept(name: str, audio: bool) -> None:
    request = pytest.importorskip("mistral_common.protocol.instruct.request")
    validator = pytest.importorskip("mistral_common.protocol.instruct.validator")
    conversation = json.loads(msgspec.json.encode(messages(CASES[name], AGENT, audio=audio)))
    converted = request.ChatCompletionRequest.from_openai(conversation, prompt.tools(AGENT), model="m")
    validator.MistralRequestValidatorV5(validator.ValidationMode.serving).validate_request(converted)


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_roles_alternate_and_nothing_is_empty(name: str, audio: bool) -> None:
    conversation = messages(CASES[name], AGENT, audio=audio)
    assert (conversation[0]["role"] == "system") is not audio
    roles = [message["role"] for message in conversation if message["role"] not in ("system", "tool")]
    assert roles[0] == "user"
    assert all(one != other or one == "assistant" for one, other in pairwise(roles))
    assert all(message["content"] or message.get("tool_calls") for message in conversation)
    assert sum(isinstance(message["content"], list) for message in conversation) == int(
        audio and bool(CASES[name].audio)
    )


def test_results_stand_after_the_turn_that_led_to_them() -> None:
    told = messages(CASES["results half told"], AGENT, audio=False)
    assert [message["role"] for message in told] == ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    calls = told[2]["tool_calls"]
    assert [json.loads(each["function"]["arguments"]) for each in calls] == [{"day": "Monday"}, {"day": "?"}]
    assert [each["tool_call_id"] for each in told[3:5]] == [each["id"] for each in calls]
    assert [json.loads(each["content"]) for each in told[3:5]] == [{"ok": True}, {"error": "no such day"}]
    assert told[5]["content"] == "It is…"
    assert messages(CASES["results"], AGENT, audio=True)[-1]["role"] == "tool"


def test_markers_are_asked_for_only_when_the_caller_may_go_on() -> None:
    for name, wanted in (("early", True), ("first turn", False)):
        assert (prompt.MARKERS in messages(CASES[name], AGENT, audio=False)[0]["content"]) is wanted


# The answer


async def test_words_are_handed_on_as_they_form(server: Server) -> None:
    more = asyncio.Event()
    server.script("chat", ["Well ", more, "then."])
    model = ChatModel(server.settings(), {"desk": AGENT})
    reply = model.reply(asked(transcript="hello"))
    assert await anext(reply) == Text("Well ")
    more.set()
    assert [event async for event in reply] == [Text("then."), Done()]
    await model.close()


async def test_silence_is_an_answer(server: Server) -> None:
    assert await events_of(server, {}) == [Done()]
    assert await events_of(server, " \n") == [Done()]


async def test_events_without_a_choice_and_unknown_fields_are_skipped(server: Server) -> None:
    usage = b'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n: ping\n\n'
    assert await events_of(server, usage, {"content": "Hi.", "reasoning": None, "refusal": None}, usage) == [
        Text("Hi."),
        Done(),
    ]


@pytest.mark.parametrize(
    ("pieces", "early", "events"),
    [
        (["…"], True, [Incomplete()]),
        ([" …", "\n"], True, [Incomplete()]),
        (["~"], True, [Backchannel()]),
        (["…"], False, []),
        (["~"], False, []),
        (["…", "well"], True, [Text("…well")]),
        (["…", " ", "~"], True, [Text("… ~")]),
        ([" ", "Hi", " …"], True, [Text(" Hi"), Text(" …")]),
        (["~", "Hi"], False, [Text("~Hi")]),
        (["…well"], True, [Text("…well")]),
        (["Hi"], True, [Text("Hi")]),
    ],
)
async def test_a_marker_counts_only_as_the_whole_reply(
    server: Server, pieces: list[str], early: bool, events: list[ModelEvent]
) -> None:
    assert await events_of(server, *pieces, request=asked(early=early)) == [*events, Done()]


async def test_words_that_are_no_marker_do_not_wait(server: Server) -> None:
    server.script("chat", ["Hi", asyncio.Event()])
    model = ChatModel(server.settings(), {"desk": AGENT})
    reply = model.reply(asked(early=True))
    assert await anext(reply) == Text("Hi")
    await reply.aclose()
    await model.close()


async def test_tool_calls_come_in_pieces(server: Server) -> None:
    events = await events_of(
        server,
        "Just a moment.",
        call(0, "book", ""),
        call(0, None, '{"da'),
        call(1, "no", "{}"),
        call(0, None, 'y": "Mon'),
        call(0, None, 'day"}'),
        call(1, "te", None),
    )
    assert events == [Text("Just a moment."), ToolCall("book", {"day": "Monday"}), ToolCall("note", {}), Done()]


async def test_calls_without_a_number_are_whole(server: Server) -> None:
    events = await events_of(server, call(None, "book", '{"day": "a"}'), call(None, "book", '{"day": "b"}'))
    assert events == [ToolCall("book", {"day": "a"}), ToolCall("book", {"day": "b"}), Done()]


@pytest.mark.parametrize("arguments", ["", "{}", None])
async def test_the_model_hangs_up_by_a_call(server: Server, arguments: str | None) -> None:
    events = await events_of(server, "Goodbye.", call(0, prompt.HANG_UP, arguments))
    assert events == [Text("Goodbye."), Done(next=Next.HANG_UP)]


async def test_the_model_presses_keys_by_a_call_and_is_told_that_it_has(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.agent.engine.openai.test_chat.AGENT", AGENT.model_copy(update={"press_keys": True}))
    events = await events_of(server, call(0, prompt.PRESS_KEYS, '{"keys": "2"}'))
    assert events == [Done(keys="2")]
    told = messages(
        asked(Cue.ANSWER, Turn("caller", "Press two."), Turn("keys", "2"), transcript="hello"), AGENT, audio=False
    )
    assert told[-1] == {"role": "user", "content": "Press two. (You pressed 2.) hello"}


async def test_the_model_puts_through_by_a_call(server: Server) -> None:
    events = await events_of(server, call(0, prompt.TRANSFER, '{"to": "reception"}'))
    assert events == [Done(next=Next.TRANSFER, transfer_to="reception")]


async def test_a_marker_beside_a_call_is_not_said(server: Server) -> None:
    assert await events_of(server, "…", call(0, "book", "{}"), request=asked(early=True)) == [
        ToolCall("book", {}),
        Done(),
    ]


@pytest.mark.parametrize("arguments", ['{"day": ', "[1]", "null", '"Monday"', "Monday", "[" * 100_000])
async def test_a_call_that_makes_no_sense_is_dropped(
    server: Server, arguments: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await events_of(server, "Well.", call(0, "book", arguments)) == [Text("Well."), Done()]
    record = next(record for record in caplog.records if "tool call dropped" in record.getMessage())
    assert (record.__dict__["call"], record.__dict__["tool"]) == ("CA1", "book")
    assert "Monday" not in caplog.text
    both = await events_of(server, call(0, "book", arguments), call(1, "book", "{}"))
    assert both == [ToolCall("book", {}), Done()]
    with pytest.raises(EngineError, match="called 'book' with arguments that are no JSON object"):
        await events_of(server, call(0, "book", arguments))


async def test_calls_and_answers_are_bounded(server: Server) -> None:
    with pytest.raises(EngineError, match=f"more than {MAX_CALLS} tools"):
        await events_of(server, *(call(number, "book", "{}") for number in range(MAX_CALLS + 1)))
    with pytest.raises(EngineError, match=f"longer than {MAX_BYTES} bytes"):
        await events_of(server, *["x" * 500_000] * 20)
