"""Whole conversations at the front desk, as tables."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import config
from agent.engine.base import (
    TRANSFER,
    Cue,
    Done,
    Expect,
    Incomplete,
    Next,
    ReplyRequest,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from agent.engine.embedded.dialogue import DialogueModel
from agent.exceptions import EngineError
from config.agent import load_agents
from config.dialogue import Intent
from config.parties import Parties

AGENTS = load_agents(Path(config.__file__).parent / "agents")


class Caller:
    """Talks with the front desk; runs its tools."""

    def __init__(self, fail_tools: bool = False) -> None:
        self.model = DialogueModel(AGENTS)
        self.state: dict[str, Any] = {}
        self.done = Done()
        self.tools: list[ToolCall] = []
        self.fail_tools = fail_tools

    def ask(self, cue: Cue, **fields: Any) -> str:
        async def collect() -> list[Any]:
            request = ReplyRequest("1", "CA1", "front_desk", cue, state=self.state, **fields)
            return [event async for event in self.model.reply(request)]

        events = asyncio.run(collect())
        self.done = events[-1]
        assert isinstance(self.done, Done)
        self.state = msgspec.json.decode(msgspec.json.encode(self.done.state))  # it must survive a tape
        text = "".join(event.text for event in events if isinstance(event, Text))
        if calls := [event for event in events if isinstance(event, ToolCall)]:
            self.tools += calls
            error = "no disk" if self.fail_tools else ""
            results = tuple(ToolResult(call.name, call.arguments, error=error) for call in calls)
            text = " ".join(filter(None, (text, self.ask(Cue.TOOL, tool_results=results))))
        return text

    def says(self, words: str) -> str:
        return self.ask(Cue.ANSWER, transcript=words)

    def dials(self, digits: str) -> str:
        return self.ask(Cue.ANSWER, transcript="", digits=digits)


def test_booking_step_by_step() -> None:
    caller = Caller()
    assert "Riverside Dental" in caller.ask(Cue.GREET)
    assert "Which day" in caller.says("i'd like to book an appointment")
    assert "time on Tuesday" in caller.says("tuesday")
    assert "Tuesday at ten o'clock" in caller.says("at ten")
    assert caller.done.expect is Expect.YES_NO
    assert not caller.tools
    assert "all set for Tuesday at ten o'clock" in caller.says("yes")
    assert caller.tools == [ToolCall("book_appointment", {"day": "Tuesday", "time": "ten o'clock"})]
    assert "Goodbye" in caller.says("no thanks")
    assert caller.done.next is Next.HANG_UP


def test_everything_in_one_sentence_is_read_back() -> None:
    caller = Caller()
    assert "Monday at three o'clock" in caller.says("book an appointment on monday at three")
    caller.says("yes please")
    assert len(caller.tools) == 1


@pytest.mark.parametrize(
    ("correction", "read_back"),
    [
        ("no on wednesday", "Wednesday at ten o'clock"),
        ("no at eleven", "Tuesday at eleven o'clock"),
        ("no on friday at two", "Friday at two o'clock"),
        ("on friday", "Friday at ten o'clock"),
    ],
)
def test_a_correction_changes_the_slot_and_reads_back_anew(correction: str, read_back: str) -> None:
    caller = Caller()
    caller.says("book an appointment on tuesday at ten")
    assert read_back in caller.says(correction)
    assert caller.done.expect is Expect.YES_NO
    assert not caller.tools


def test_a_bare_no_asks_what_it_should_be() -> None:
    caller = Caller()
    caller.says("book an appointment on tuesday at ten")
    assert "Which day and time" in caller.says("no")
    assert "Friday at ten o'clock" in caller.says("friday")


def test_a_question_in_the_middle_is_answered_and_the_task_goes_on() -> None:
    caller = Caller()
    caller.says("book an appointment on tuesday")
    answer = caller.says("where are you")
    assert "River Street" in answer
    assert "Which one?" in answer  # asks for the time again, in other words
    assert "Tuesday at nine o'clock" in caller.says("at nine")


def test_changing_ones_mind_in_the_middle() -> None:
    caller = Caller()
    caller.says("book an appointment on tuesday")
    assert "four digit number" in caller.says("cancel my appointment")
    assert caller.done.expect is Expect.DIGITS
    assert "never mind" in caller.says("never mind")
    assert "Which day" in caller.says("book an appointment")  # what was said before is forgotten


@pytest.mark.parametrize("way", ["spoken", "dialled"])
def test_cancelling_by_number(way: str) -> None:
    caller = Caller()
    caller.says("cancel my appointment")
    answer = caller.says("one two three four") if way == "spoken" else caller.dials("1234")
    assert "1 2 3 4" in answer
    assert "1 2 3 4 is cancelled" in caller.says("yes")
    assert caller.tools == [ToolCall("cancel_appointment", {"number": "1234"})]


def test_a_tool_that_fails_is_owned_up_to() -> None:
    caller = Caller(fail_tools=True)
    caller.says("book an appointment on tuesday at ten")
    assert "couldn't book" in caller.says("yes")


def test_results_that_were_not_told_yet_come_first() -> None:
    caller = Caller()
    caller.says("book an appointment on tuesday at ten")
    result = ToolResult("book_appointment", {"day": "Tuesday", "time": "ten o'clock"})
    answer = caller.ask(Cue.ANSWER, transcript="where are you", tool_results=(result,))
    assert answer.index("all set for Tuesday") < answer.index("River Street")


@pytest.mark.parametrize("how", ["can i speak to a person", "0"])
def test_a_person(how: str) -> None:
    caller = Caller()
    answer = caller.dials(how) if how == "0" else caller.says(how)
    assert "put you through" in answer
    assert (caller.done.next, caller.done.transfer_to) == (Next.TRANSFER, "reception")


UNREACHED = ToolResult(TRANSFER, {"to": "reception"}, error="busy")


def test_who_was_not_put_through_is_offered_something_else() -> None:
    caller = Caller()
    caller.says("a person please")
    answer = caller.ask(Cue.UNREACHED, tool_results=(UNREACHED,))
    assert answer == "I'm sorry, nobody is answering just now. Is there anything else I can do for you?"
    assert caller.done.next is Next.LISTEN
    assert "Goodbye" in caller.says("no")


def test_who_was_not_put_through_goes_on_with_what_was_open() -> None:
    caller = Caller()
    caller.says("i'd like to book an appointment")
    assert "time on Tuesday" in caller.says("tuesday")
    caller.says("a person please")
    answer = caller.ask(Cue.UNREACHED, tool_results=(UNREACHED,))
    assert answer.startswith("I'm sorry, nobody is answering just now. ")
    assert answer.endswith("Which one?")


def test_who_speaks_before_he_hears_that_nobody_is_there_is_told_it_with_the_answer() -> None:
    caller = Caller()
    caller.says("a person please")
    answer = caller.ask(Cue.ANSWER, transcript="where are you", tool_results=(UNREACHED,))
    assert answer.index("nobody is answering") < answer.index("River Street")


def test_where_nobody_is_there_it_says_so_and_goes_on() -> None:
    desk = AGENTS["front_desk"]
    assert desk.dialogue
    caller = Caller()
    alone = desk.model_copy(update={"dialogue": desk.dialogue.model_copy(update={"person": ""})})
    caller.model = DialogueModel({"front_desk": alone})
    assert "nobody" in caller.says("a person please")
    assert caller.done.next is Next.LISTEN


def test_what_is_not_understood_escalates_and_ends_with_a_person() -> None:
    caller = Caller()
    caller.ask(Cue.GREET)
    first, second = caller.says("the weather"), caller.says("")
    assert first != second
    assert caller.done.next is Next.LISTEN
    assert "colleague" in caller.says("blah")
    assert caller.done.next is Next.TRANSFER


def test_something_understood_in_between_starts_the_count_anew() -> None:
    caller = Caller()
    for _ in range(4):
        caller.says("the weather")
        caller.says("where are you")
    assert caller.done.next is Next.LISTEN


def test_repeat_says_the_last_reply_whole_and_changes_nothing() -> None:
    caller = Caller()
    caller.says("book an appointment")
    before, state = caller.says("tuesday"), caller.state
    assert caller.says("say that again") == before
    assert caller.state == state
    assert "Tuesday at ten o'clock" in caller.says("at ten")


def test_silence_repeats_the_open_question_in_other_words() -> None:
    caller = Caller()
    caller.says("book an appointment")
    answer = caller.ask(Cue.REPROMPT)
    assert "Are you still there?" in answer
    assert "Monday to Friday" in answer


def test_after_a_noise_that_cut_it_off_it_says_it_again() -> None:
    caller = Caller()
    before = caller.says("what are your opening hours")
    assert caller.ask(Cue.REPROMPT, history=(Turn("agent", "We're open", interrupted=True),)) == before


@pytest.mark.parametrize("cue", [Cue.FAREWELL, Cue.SHUTDOWN])
def test_last_words(cue: Cue) -> None:
    caller = Caller()
    assert "Goodbye!" in caller.ask(cue)
    assert caller.done.next is Next.HANG_UP


def test_yes_to_anything_else() -> None:
    caller = Caller()
    caller.says("where are you")
    assert "What is it?" in caller.says("yes")
    assert "nine in the morning" in caller.says("opening hours")


def test_thanks_is_not_a_goodbye() -> None:
    caller = Caller()
    caller.says("where are you")
    assert "welcome" in caller.says("thank you")
    assert caller.done.next is Next.LISTEN


def test_a_reply_thrown_away_leaves_no_trace() -> None:
    caller = Caller()
    caller.says("book an appointment")
    state = caller.state
    caller.says("tuesday")
    caller.state = state
    assert "Which day" in caller.says("say that again")


async def test_an_agent_without_dialogue_is_named() -> None:
    model = DialogueModel(AGENTS)
    with pytest.raises(EngineError, match="nobody"):
        await anext(model.reply(ReplyRequest("1", "CA1", "nobody", Cue.GREET)))
    with pytest.raises(EngineError, match="dialogue"):
        await DialogueModel({}).load()


SAYINGS = [
    "book an appointment", "tuesday", "at ten", "yes", "no", "cancel my appointment", "one two three four", "", "blah",
    "say that again", "never mind", "where are you", "no on friday", "thank you",
]  # fmt: skip


@settings(deadline=None)  # many requests, each in a loop of its own
@given(st.lists(st.sampled_from(SAYINGS), max_size=15))
def test_whatever_is_said_there_is_an_answer_and_nothing_is_booked_unconfirmed(sayings: list[str]) -> None:
    caller = Caller()
    caller.ask(Cue.GREET)
    for saying in sayings:
        confirming = caller.done.expect is Expect.YES_NO
        tools = len(caller.tools)
        assert caller.says(saying)
        if len(caller.tools) > tools:
            assert confirming
            assert saying == "yes"
        if caller.done.next is not Next.LISTEN:
            break


def events(model: DialogueModel, state: dict[str, Any], transcript: str, **fields: Any) -> list[Any]:
    async def collect() -> list[Any]:
        fields.setdefault("cue", Cue.ANSWER)
        request = ReplyRequest("1", "CA1", "front_desk", state=state, transcript=transcript, **fields)
        return [event async for event in model.reply(request)]

    return asyncio.run(collect())


def test_who_has_not_finished_is_waited_for_once() -> None:
    caller = Caller()
    caller.says("cancel my appointment")
    early = events(caller.model, caller.state, "one two", early=True)
    assert early == [Incomplete(), Done(caller.state, Expect.DIGITS, expect_digits=(4, 4))]
    assert not any(isinstance(event, Incomplete) for event in events(caller.model, caller.state, "one two"))
    assert "1 2 3 4" in caller.ask(Cue.ANSWER, transcript="one two three four", early=True)


@pytest.mark.parametrize(
    ("transcript", "fields"),
    [
        ("on tuesday", {}),
        ("", {}),
        ("the weather is lovely", {}),
        ("one two", {"digits": "1234"}),
        ("one two", {"cue": Cue.REPROMPT}),
    ],
)
def test_what_may_be_all_of_it_is_answered_at_once(transcript: str, fields: dict[str, Any]) -> None:
    caller = Caller()
    caller.says("cancel my appointment")
    answered = events(caller.model, caller.state, transcript, early=True, **fields)
    assert isinstance(answered[0], Text)


def test_who_stops_the_agent_is_asked_what_it_is_and_may_go_on() -> None:
    caller = Caller()
    caller.says("i'd like to book an appointment")
    assert caller.says("wait") == "Sure. What is it?"
    assert "time on Tuesday" in caller.says("on tuesday")


def test_okay_is_a_yes_only_where_something_is_to_be_confirmed() -> None:
    caller = Caller()
    assert "didn't get that" in caller.says("okay")
    caller.says("book an appointment on tuesday at ten")
    assert "all set" in caller.says("okay")


def test_a_no_that_cut_off_the_question_is_no_answer_to_it() -> None:
    caller = Caller()
    caller.says("what are your opening hours")
    before = caller.state
    cut = (Turn("agent", "We're open Monday to Friday,", interrupted=True),)
    assert "Goodbye" not in caller.ask(Cue.ANSWER, transcript="no", history=cut)
    assert caller.done.next is Next.LISTEN
    caller.state = before
    heard = (Turn("agent", "We're open. Is there anything else I can do for you?", interrupted=True),)
    assert "Goodbye" in caller.ask(Cue.ANSWER, transcript="no", history=heard)


def test_what_must_be_heard_is_not_interruptible() -> None:
    desk = AGENTS["front_desk"]
    assert desk.dialogue
    protected = desk.dialogue.model_copy(update={"uninterruptible": ("greeting", "cancel", "help")})
    caller = Caller()
    caller.model = DialogueModel({"front_desk": desk.model_copy(update={"dialogue": protected})})
    caller.ask(Cue.GREET)
    assert not caller.done.interruptible
    caller.says("what are your opening hours")
    assert caller.done.interruptible
    caller.says("cancel my appointment")
    assert caller.done.interruptible
    caller.says("one two three four")
    caller.says("yes")
    assert not caller.done.interruptible


def pressing(**intent: Any) -> Caller:
    """The front desk, with one more intent."""
    desk = AGENTS["front_desk"]
    assert desk.dialogue
    menu = Intent.model_validate({"phrases": ["[for] the pharmacy [press two]"], **intent})
    dialogue = desk.dialogue.model_copy(update={"intents": {**desk.dialogue.intents, "menu": menu}})
    caller = Caller()
    caller.model = DialogueModel({"front_desk": desk.model_copy(update={"dialogue": dialogue})})
    return caller


def test_an_answer_of_keys_alone_is_silent() -> None:
    caller = pressing(press="2")
    caller.ask(Cue.GREET)
    assert caller.says("for the pharmacy press two") == ""
    assert caller.done.keys == "2"
    assert caller.says("what are your opening hours").startswith("We're open")
    assert caller.done.keys == ""


def test_words_come_before_keys_and_no_question_after_them() -> None:
    caller = pressing(press="ww104#", answer="I'll dial it.")
    assert caller.says("the pharmacy") == "I'll dial it."
    assert caller.done.keys == "ww104#"
    assert caller.says("what did you say") == "I'll dial it."
    assert caller.done.keys == ""  # to say it again is not to press it again


@pytest.mark.parametrize("fails", [False, True])
def test_keys_after_a_tool_are_pressed_only_if_it_has_worked(fails: bool) -> None:
    caller = pressing(press="2", answer="Noted.", failed="Sorry.", tool="note", ask={"day": ["Which day?"]})
    caller.fail_tools = fails
    caller.says("the pharmacy")
    said = caller.says("on friday")
    assert caller.tools == [ToolCall("note", {"day": "Friday"})]
    assert said == ("Sorry. Is there anything else I can do for you?" if fails else "Noted.")
    assert caller.done.keys == ("" if fails else "2")


def test_keys_after_slots_that_were_asked_for() -> None:
    caller = pressing(press="3#", answer="On {day}.", ask={"day": ["Which day?"]})
    assert "Which day?" in caller.says("the pharmacy")
    assert caller.done.keys == ""
    assert caller.says("on friday") == "On Friday."
    assert caller.done.keys == "3#"


async def test_the_dialogue_says_who_calls() -> None:
    desk = AGENTS["front_desk"]
    texts = desk.dialogue.texts.model_copy(update={"greeting": "Hello, you call from {caller}."})  # type: ignore[union-attr]
    agent = desk.model_copy(update={"dialogue": desk.dialogue.model_copy(update={"texts": texts})})  # type: ignore[union-attr]
    request = ReplyRequest("CA1/1.0", "CA1", "desk", Cue.GREET, parties=Parties("+15550100123"))
    events = [event async for event in DialogueModel({"desk": agent}).reply(request)]
    assert events[0] == Text("Hello, you call from +15550100123.")
