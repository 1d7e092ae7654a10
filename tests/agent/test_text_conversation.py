"""Conversations in text with the shipped front desk."""

import asyncio
from pathlib import Path

import pytest

import config
from agent.engine.base import ToolCall, ToolResult
from agent.exceptions import EngineError, IllegalEvent
from agent.text_conversation import Heard, HungUp, Pressed, Spoke, TextConversation, TextEvent, ToolRan, Transferred
from config.agent import AgentSettings, load_agent
from config.settings import TurnSettings

AGENT = load_agent(Path(config.__file__).parent / "agents" / "front_desk.yaml")


def say(conversation: TextConversation, *turns: str) -> list[TextEvent]:
    """What came of the last turn."""
    events: list[TextEvent] = []
    for words in turns:
        events = asyncio.run(conversation.say(words))
    return events


def spoken(events: list[TextEvent]) -> str:
    return " ".join(event.text for event in events if isinstance(event, Spoke))


def test_a_booking_with_what_was_understood_and_the_tool_that_was_called() -> None:
    conversation = TextConversation(AGENT)
    assert spoken(asyncio.run(conversation.greet())) == "Hello, this is Riverside Dental. How can I help you?"
    heard, *events = say(conversation, "book an appointment on tuesday")
    assert isinstance(heard, Heard)
    assert (heard.understood.intent, heard.understood.slots) == ("book", {"day": "Tuesday"})
    assert spoken(events) == "At what time on Tuesday?"
    assert "Is that right?" in spoken(say(conversation, "at ten"))
    [heard, ran, *events] = say(conversation, "yes please")
    assert heard.understood.built_in == "yes"  # type: ignore[union-attr]
    assert ran == ToolRan(ToolResult("book_appointment", {"day": "Tuesday", "time": "ten o'clock"}, {"ok": True}))
    assert spoken(events).startswith("You're all set for Tuesday at ten o'clock.")
    assert say(conversation, "no goodbye")[-1] == HungUp()
    assert conversation.over
    with pytest.raises(IllegalEvent, match="hung up"):
        say(conversation, "hello")


def test_a_tool_that_fails_is_told_once() -> None:
    async def fail(call: ToolCall) -> ToolResult:
        return ToolResult(call.name, call.arguments, error="no disk")

    conversation = TextConversation(AGENT, run_tool=fail)
    told = spoken(say(conversation, "book an appointment on tuesday at ten", "yes"))
    assert "I couldn't book that just now" in told
    assert "couldn't" not in spoken(say(conversation, "where are you"))


def test_keys_fill_a_number_and_press_for_a_person() -> None:
    conversation = TextConversation(AGENT)
    say(conversation, "cancel my appointment")
    heard, *events = asyncio.run(conversation.say("", "1234"))
    assert heard.understood.slots == {"number": "1234"}  # type: ignore[union-attr]
    assert "I'll cancel appointment 1 2 3 4" in spoken(events)
    assert asyncio.run(conversation.say("", "0"))[-1] == Transferred("reception", "+15550100199")
    with pytest.raises(IllegalEvent, match="transfer"):
        say(conversation, "hello")
    back = spoken(asyncio.run(conversation.fail_transfer()))
    assert back.startswith("I'm sorry, nobody is answering just now.")
    assert "cancel appointment 1 2 3 4" in back
    with pytest.raises(IllegalEvent):
        asyncio.run(conversation.fail_transfer())


def test_an_agent_that_presses_keys_says_so_after_its_words() -> None:
    intent = {"phrases": ["leave a message"], "answer": "I'll take you there.", "press": "w2"}
    dialogue = {"texts": {"greeting": "Hello."}, "intents": {"message": intent}}
    conversation = TextConversation(AgentSettings.model_validate({"name": "a", "dialogue": dialogue}))
    assert say(conversation, "leave a message")[1:] == [Spoke("I'll take you there."), Pressed("w2")]


def test_silence_is_asked_about_until_the_agent_gives_up() -> None:
    conversation = TextConversation(AGENT, TurnSettings(max_reprompts=2))
    asyncio.run(conversation.greet())
    first, second = (spoken(asyncio.run(conversation.keep_silent())) for _ in range(2))
    assert first.startswith("Are you still there?")
    assert second.startswith("Hello?")
    say(conversation, "where are you")  # whoever speaks is there
    silences = [asyncio.run(conversation.keep_silent()) for _ in range(3)]
    assert [HungUp() in events for events in silences] == [False, False, True]


def test_a_turn_that_is_taken_back_has_never_been() -> None:
    conversation = TextConversation(AGENT)
    assert not conversation.back()
    say(conversation, "book an appointment on tuesday")
    once = say(conversation, "at ten")
    assert conversation.back()
    assert say(conversation, "at ten") == once
    say(conversation, "goodbye")
    assert conversation.back()
    assert not conversation.over
    assert isinstance(say(conversation, "yes")[1], ToolRan)


def test_half_a_sentence_is_marked() -> None:
    conversation = TextConversation(AGENT)
    [heard, *_] = say(conversation, "i'd like to")
    assert heard == Heard(heard.understood, unfinished=True)  # type: ignore[union-attr]
    [heard, *_] = say(conversation, "where are you")
    assert heard == Heard(heard.understood, unfinished=False)  # type: ignore[union-attr]


def test_an_agent_without_a_dialogue_cannot_be_tried() -> None:
    with pytest.raises(EngineError, match="'a' has no `dialogue`"):
        TextConversation(AgentSettings(name="a"))
