"""The conversation's core: events in, commands out, in virtual time."""

import itertools
from typing import Any, ClassVar

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent import events as e
from agent.engine.base import TRANSFER, Cue, Done, Expect, Next, ToolCall, ToolResult, Turn, Word
from agent.exceptions import IllegalEvent
from agent.session import Session
from agent.speaking.agent_turn import MAX_ROUNDS
from agent.state import TRANSITIONS, State, Trigger
from agent.timers import Timer
from audio.rate import WINDOW_MS
from config.settings import CallSettings, Settings, TurnSettings
from tests.agent.phone import FRAME, PLAIN, Call


def test_every_event_has_a_handler() -> None:
    assert set(Session("CA1", "desk", Settings())._handlers) == set(e.EVENTS.values())


def test_the_agent_greets_before_any_audio() -> None:
    call = Call()
    request = call.last(e.StartReply).request
    assert (request.cue, request.call, request.agent) == (Cue.GREET, "CA1", "desk")
    assert call.session.state is State.PROCESSING
    call.answer("Welcome to us.")
    assert call.session.state is State.SPEAKING
    call.play_out()
    assert call.session.state is State.LISTENING
    assert call.history == [("agent", "Welcome to us.")]


def test_a_turn_is_decided_after_the_silence_and_answered() -> None:
    call = Call(endpoint_ms=400)
    call.greet()
    call.time(1000)
    call.time(640, speech=True)
    call.time(380)
    assert len(call.all(e.StartReply)) == 1
    call.time(100)
    start = call.last(e.StartReply)
    assert start.request.cue is Cue.ANSWER
    assert start.utterance == 1
    assert len(start.request.audio) / 16 == pytest.approx(640 + 320 + 400, abs=120)
    decided = call.last(e.TurnDecided)
    assert 400 <= decided.at_ms - decided.speech_end_ms <= 440
    call.answer("At nine.", heard="when do you open")
    call.play_out()
    assert call.history[1:] == [("caller", "when do you open"), ("agent", "At nine.")]


def test_the_recognizer_hears_every_sample_of_the_turn_once() -> None:
    call = Call()
    call.greet()
    call.speak(900)
    assert b"".join(hear.pcm for hear in call.all(e.Hear)) == call.last(e.StartReply).request.audio
    assert {hear.utterance for hear in call.all(e.Hear)} == {call.last(e.StartReply).utterance}
    assert len(call.all(e.Hear)) >= 5  # about every 200 ms


def test_going_on_before_the_reply_is_heard_grows_the_turn() -> None:
    call = Call()
    call.greet()
    call.speak(600)
    first = call.last(e.StartReply)
    call.send(e.CallerSaid(first.reply, "half a"))
    call.speak(600)
    second = call.last(e.StartReply)
    assert call.last(e.CancelReply).reply == first.reply
    assert second.utterance == first.utterance + 1
    assert second.request.audio.startswith(first.request.audio)
    joined = b"".join(hear.pcm for hear in call.all(e.Hear) if hear.utterance == second.utterance)
    assert joined == second.request.audio
    assert call.history == [("agent", "Welcome.")]
    call.send(e.ReplyAudio(first.reply, bytes(320)))  # too late: nothing of it is played
    assert call.session.state is State.PROCESSING
    call.answer("Done.", heard="half a sentence")
    assert call.history[1] == ("caller", "half a sentence")


def test_barge_in_clears_cancels_and_keeps_only_the_words_heard() -> None:
    call = Call()
    call.greet()
    call.speak()
    reply = call.answer("We are open from nine to five.", heard="when are you open")
    call.send(e.Played(reply, 290), e.Played(reply, 590))
    call.time(64, speech=True)
    names = [type(command).__name__ for command in call.commands]
    assert names.index("Pause") < names.index("CancelReply", names.index("Pause"))
    assert call.session.state is State.LISTENING
    assert call.history[-1] == ("agent", "We are")
    assert call.session.memory.history.turns()[-1].interrupted
    interrupted = call.last(e.Interrupted)
    assert interrupted.at_ms - interrupted.onset_ms <= 2 * WINDOW_MS
    call.time(500, speech=True)
    call.time(500)
    request = call.last(e.StartReply).request
    assert request.history[-1] == Turn("agent", "We are", interrupted=True)
    # The turn includes the speech that interrupted.
    assert len(request.audio) / 16 > 564


def test_an_interruption_before_any_word_leaves_no_turn_in_the_history() -> None:
    call = Call()
    call.greet()
    call.speak()
    call.answer("We are open.", heard="hello")
    call.time(64, speech=True)
    assert call.history[-1] == ("caller", "hello")


def test_a_goodbye_is_heard_to_its_end_whatever_the_caller_does() -> None:
    call = Call()
    call.greet()
    call.speak()
    reply = call.answer("Goodbye then.", heard="bye", done=Done(next=Next.HANG_UP))
    call.time(500, speech=True)
    call.send(e.Dtmf("1"))
    assert not call.all(e.Pause)
    assert not call.all(e.HangUp)
    call.send(e.Played(reply, 299))
    assert not call.all(e.HangUp)
    call.play_out()
    assert call.last(e.HangUp) == e.HangUp(failed=False)
    assert call.session.state is State.ENDED


def test_a_transfer_names_the_number_after_the_last_word() -> None:
    call = Call()
    call.greet()
    call.speak()
    call.answer("I will put you through.", heard="a person", done=Done(next=Next.TRANSFER, transfer_to="person"))
    assert not call.all(e.Transfer)
    call.play_out()
    assert call.last(e.Transfer).number == "+15550100"


def transferring(**turn: Any) -> Call:
    """A caller who is being put through."""
    call = Call(**turn)
    call.greet()
    call.speak()
    call.answer("One moment.", heard="a person", done=Done(next=Next.TRANSFER, transfer_to="person"))
    call.play_out()
    assert call.session.state is State.CONNECTING
    return call


def test_while_somebody_is_rung_nobody_listens_and_nobody_speaks() -> None:
    call = transferring(reprompt_ms=3000)
    assert call.say(1000) == call.time(20_000) == call.send(e.Dtmf("1"), e.Dtmf("#")) == call.time(5000) == []
    call.send(e.HungUp())
    assert call.session.state is State.ENDED


def test_who_was_not_put_through_is_told_so_and_talks_on() -> None:
    call = transferring()
    call.say(600)
    call.send(e.Dtmf("7"))
    call.send(e.TransferFailed("busy"))
    request = call.last(e.StartReply).request
    (result,) = request.tool_results
    assert (request.cue, request.digits, request.audio) == (Cue.UNREACHED, "", b"")
    assert (result.name, result.arguments) == (TRANSFER, {"to": "person"})
    assert "busy" in result.error
    call.answer("Nobody is there.")
    call.play_out()
    call.time(1000)
    call.speak()
    assert call.last(e.StartReply).request.cue is Cue.ANSWER
    assert call.last(e.StartReply).request.tool_results == ()
    call.answer("At nine.", heard="when do you open")
    call.play_out()
    assert [text for _, text in call.history[-3:]] == ["Nobody is there.", "when do you open", "At nine."]


def test_a_caller_who_speaks_before_he_hears_of_it_is_answered_with_it() -> None:
    call = transferring()
    call.time(1000)
    call.send(e.TransferFailed("unanswered"))
    call.speak()
    request = call.last(e.StartReply).request
    assert (request.cue, [result.name for result in request.tool_results]) == (Cue.ANSWER, [TRANSFER])


@pytest.mark.parametrize("ending", [Cue.SHUTDOWN, Cue.FAREWELL])
def test_who_was_not_put_through_when_the_call_has_to_end_is_said_goodbye_to(ending: Cue) -> None:
    call = transferring()
    if ending is Cue.SHUTDOWN:
        assert call.send(e.Shutdown()) == []
    else:
        call.session._timers.set(Timer.CALL, call.session.now_ms + 100)
        assert call.time(200) == []
    call.send(e.TransferFailed("failed"))
    assert call.last(e.StartReply).request.cue is ending
    call.answer("Goodbye.")
    call.play_out()
    assert call.last(e.HangUp) == e.HangUp()


def test_a_transfer_can_be_tried_again() -> None:
    call = transferring()
    call.send(e.TransferFailed("busy"))
    call.answer("Again.", done=Done(next=Next.TRANSFER, transfer_to="person"))
    call.play_out()
    assert len(call.all(e.Transfer)) == 2
    assert call.session.state is State.CONNECTING


def test_digits_count_after_a_pause_or_at_once_with_hash() -> None:
    call = Call(dtmf_timeout_ms=1000)
    call.greet()
    call.send(e.Dtmf("1"))
    call.time(600)
    call.send(e.Dtmf("2"))
    call.time(980)
    assert len(call.all(e.StartReply)) == 1
    call.time(40)
    assert call.last(e.StartReply).request.digits == "12"
    call.answer("Thanks.")
    call.play_out()
    for digit in "34#":
        call.send(e.Dtmf(digit))
    assert call.last(e.StartReply).request.digits == "34"
    call.answer("Thanks.")
    assert call.history[-1] == ("caller", "34")


def test_a_key_interrupts_the_agent() -> None:
    call = Call()
    call.greet()
    call.speak()
    reply = call.answer("Press one or two or three.", heard="hello")
    call.send(e.Played(reply, 290))
    call.send(e.Dtmf("2"))
    assert call.last(e.Pause).reply == reply
    assert call.history[-1] == ("agent", "Press")
    call.send(e.Dtmf("#"))
    assert call.last(e.StartReply).request.digits == "2"


@pytest.mark.parametrize("moment", ["processing", "speaking", "listening"])
def test_a_lone_hash_is_no_answer_but_never_leaves_the_caller_in_silence(moment: str) -> None:
    call = Call()
    if moment != "processing":
        call.answer("Welcome.")
    if moment == "listening":
        call.play_out()
    call.send(e.Dtmf("#"))
    call.time(40)
    assert call.last(e.StartReply).request.cue is Cue.REPROMPT
    assert call.session.state is State.PROCESSING


def test_silence_is_asked_about_and_then_ended_politely() -> None:
    call = Call(reprompt_ms=2000, max_reprompts=2)
    call.greet()
    cues = []
    for _ in range(3):
        call.time(2040)
        cues.append(call.last(e.StartReply).request.cue)
        call.answer("Still there?")
        call.play_out()
    assert cues == [Cue.REPROMPT, Cue.REPROMPT, Cue.FAREWELL]
    assert call.last(e.HangUp) == e.HangUp()


def test_a_word_from_the_caller_resets_the_reprompts() -> None:
    call = Call(reprompt_ms=2000, max_reprompts=1)
    call.greet()
    call.time(2040)
    call.answer("Still there?")
    call.play_out()
    call.speak()
    call.answer("Good.", heard="yes")
    call.play_out()
    call.time(2040)
    assert call.last(e.StartReply).request.cue is Cue.REPROMPT


def test_a_click_is_not_a_turn_but_what_it_cut_off_is_said_again() -> None:
    call = Call(min_speech_ms=96)
    call.greet()
    call.time(40, speech=True)
    call.time(600)
    assert len(call.all(e.StartReply)) == 1
    assert call.all(e.ForgetUtterance)
    call.speak()
    call.answer("A long answer.", heard="hello")
    call.time(40, speech=True)
    call.time(600)
    assert call.last(e.StartReply).request.cue is Cue.REPROMPT


def test_words_that_come_late_take_the_place_that_was_kept_for_them() -> None:
    call = Call()
    call.greet()
    call.speak()
    utterance = call.last(e.StartReply).utterance
    call.answer("We open at nine.")  # the model has heard for itself
    assert call.last(e.Transcribe) == e.Transcribe(utterance)
    call.play_out()
    assert call.history[-2:] == [("caller", ""), ("agent", "We open at nine.")]
    assert call.send(e.Transcribed(utterance + 1, "of no turn")) == []
    said = call.send(e.Transcribed(utterance, "when do you open"))
    assert said == [e.Said("caller", "when do you open", False, call.session.now_ms)]
    assert call.send(e.Transcribed(utterance, "again")) == []
    assert call.history[-2:] == [("caller", "when do you open"), ("agent", "We open at nine.")]


def test_what_was_dialled_counts_and_what_was_said_beside_it_is_forgotten() -> None:
    call = Call()
    call.greet()
    call.time(300, speech=True)
    call.send(e.Dtmf("7"), e.Dtmf("#"))
    call.time(600)
    utterance = call.last(e.StartReply).utterance
    call.answer("Thank you.")
    assert (call.all(e.Transcribe), call.last(e.ForgetUtterance)) == ([], e.ForgetUtterance(utterance))
    assert call.history[-1] == ("caller", "7")


def test_where_a_recognizer_heard_nothing_no_place_is_kept() -> None:
    call = Call()
    call.greet()
    call.speak()
    call.answer("Pardon?", heard="")
    assert call.all(e.Transcribe) == []
    assert call.history[-1] == ("agent", "Welcome.")


def test_tools_run_once_and_their_results_come_back() -> None:
    call = Call()
    call.greet()
    call.speak()
    start = call.last(e.StartReply)
    call.send(e.CallerSaid(start.reply, "yes"))
    booking = ToolCall("book", {"day": "monday"})
    call.send(e.ReplyDone(start.reply, Done(state={"step": 1}), (booking,)), e.ReplyEnded(start.reply))
    assert call.last(e.RunTools).calls == (booking,)
    assert call.session.state is State.PROCESSING
    result = ToolResult("book", {"day": "monday"}, {"ok": True})
    call.send(e.ToolsFinished(start.reply, (result,)))
    again = call.last(e.StartReply)
    assert (again.reply, again.request.cue, again.request.tool_results) == (start.reply, Cue.TOOL, (result,))
    assert again.request.state == {"step": 1}
    assert again.request.id != start.request.id
    call.answer("It is booked.")
    call.play_out()
    assert call.history[-2:] == [("caller", "yes"), ("agent", "It is booked.")]
    call.speak()
    assert call.last(e.StartReply).request.tool_results == ()


def test_a_result_the_caller_talked_over_is_told_with_the_next_answer() -> None:
    call = Call()
    call.greet()
    call.speak()
    start = call.last(e.StartReply)
    call.send(e.ReplyDone(start.reply, Done(state={"s": 1}), (ToolCall("book", {}),)), e.ReplyEnded(start.reply))
    call.time(64, speech=True)  # the caller goes on while the tool runs
    result = ToolResult("book", {}, {"ok": True})
    call.send(e.ToolsFinished(start.reply, (result,)))
    call.time(500, speech=True)
    call.time(500)
    request = call.last(e.StartReply).request
    assert (request.cue, request.tool_results, request.state) == (Cue.ANSWER, (result,), {"s": 1})
    assert len(call.all(e.RunTools)) == 1


def test_tools_that_lead_to_tools_for_ever_are_stopped() -> None:
    call = Call()
    for _ in range(MAX_ROUNDS + 3):
        reply = call.last(e.StartReply).reply
        call.send(e.ReplyDone(reply, Done(), (ToolCall("again", {}),)), e.ReplyEnded(reply))
        if call.session.state is State.PROCESSING:
            call.send(e.ToolsFinished(reply, (ToolResult("again", {}),)))
    assert len(call.all(e.RunTools)) == MAX_ROUNDS
    assert call.session.state is State.LISTENING


def test_the_state_of_a_reply_that_was_thrown_away_does_not_count() -> None:
    call = Call()
    call.answer("Welcome.", done=Done(state={"step": "greeted"}, expect=Expect.DIGITS))
    call.play_out()
    assert call.session.memory.expect is Expect.DIGITS
    call.speak()
    start = call.last(e.StartReply)
    assert start.request.state == {"step": "greeted"}
    call.send(e.ReplyText(start.reply, "x"), e.ReplyDone(start.reply, Done(state={"step": "lost"})))
    call.speak()
    assert call.last(e.StartReply).request.state == {"step": "greeted"}


def test_a_failed_reply_is_tried_again_and_then_the_call_is_given_up() -> None:
    call = Call()
    call.greet()
    call.speak()
    first = call.last(e.StartReply)
    call.send(e.ReplyFailed(first.reply, "broken"))
    second = call.last(e.StartReply)
    assert second.reply == first.reply + 1
    assert second.request.audio.startswith(first.request.audio)
    assert call.last(e.Hear) == e.Hear(second.utterance, second.request.audio, Expect.OPEN)
    call.send(e.ReplyFailed(second.reply, "broken"))
    assert call.last(e.HangUp).failed


def test_a_reply_that_fails_after_its_first_words_is_played_as_far_as_it_goes() -> None:
    call = Call()
    call.greet()
    call.speak()
    reply = call.last(e.StartReply).reply
    call.send(e.CallerSaid(reply, "hello"), e.ReplyText(reply, "Well "), e.ReplyAudio(reply, bytes(16 * 300)))
    call.send(e.ReplyFailed(reply, "broken"))
    assert call.session.state is State.SPEAKING
    call.play_out()
    assert call.session.state is State.LISTENING
    assert not call.all(e.HangUp)


def test_the_longest_turn_is_answered_and_what_follows_is_not_lost() -> None:
    call = Call(max_utterance_ms=2000)
    call.greet()
    call.time(2100, speech=True)
    assert call.last(e.StartReply).request.cue is Cue.ANSWER
    call.answer("May I?", heard="and so on")
    call.time(200, speech=True)
    call.play_out()
    call.time(300, speech=True)
    call.time(500)
    assert call.last(e.StartReply).utterance is not None
    assert len(call.all(e.StartReply)) == 3


def test_the_longest_call_ends_with_a_farewell() -> None:
    call = Call()
    call.session = Session(
        "CA1", "desk", Settings(call=CallSettings(max_s=3), turn=TurnSettings(reprompt_ms=60_000, **PLAIN))
    )
    call.commands.clear()
    call._take(call.session.start())
    call.greet()
    call.time(3100)
    assert call.last(e.StartReply).request.cue is Cue.FAREWELL
    call.answer("Goodbye.")
    call.play_out()
    assert call.session.state is State.ENDED


@pytest.mark.parametrize("moment", ["listening", "speaking", "processing", "caller speaks"])
def test_shutting_down_says_goodbye_after_what_is_being_said(moment: str) -> None:
    call = Call()
    call.greet()
    if moment != "listening":
        call.speak() if moment != "caller speaks" else call.time(300, speech=True)
    if moment == "speaking":
        call.answer("Of course.", heard="hello")
    call.send(e.Shutdown())
    if moment == "speaking":
        assert not call.all(e.Pause)
        call.play_out()
    assert call.last(e.StartReply).request.cue is Cue.SHUTDOWN
    call.answer("Sorry, goodbye.")
    call.play_out()
    assert call.last(e.HangUp) == e.HangUp()


def test_talking_before_the_last_word_is_heard_does_not_keep_the_call_for_ever() -> None:
    call = Call()
    call.greet()
    call.send(e.Shutdown())
    call.speak()
    assert call.last(e.StartReply).request.cue in (Cue.SHUTDOWN, Cue.FAREWELL)


def test_hanging_up_cancels_everything() -> None:
    call = Call()
    call.greet()
    call.speak()
    reply = call.answer("One two three.", heard="hello")
    call.send(e.Played(reply, 290), e.HungUp())
    assert call.last(e.CancelReply).reply == reply
    assert call.history[-1] == ("agent", "One")
    assert call.session.state is State.ENDED
    before = len(call.commands)
    call.send(e.CallerAudio(FRAME), e.ReplyAudio(reply, FRAME), e.HungUp())
    assert len(call.commands) == before


def test_illegal_events_raise() -> None:
    call = Call()
    with pytest.raises(IllegalEvent):
        call.session.start()
    with pytest.raises(IllegalEvent):
        call.send(e.Paused(1, 0))
    with pytest.raises(IllegalEvent):
        call.send(e.TransferFailed("busy"))


def test_every_state_can_be_reached_and_left() -> None:
    reached = {State.IDLE} | set(TRANSITIONS.values())
    assert reached == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State)
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)


class AnyCall(RuleBasedStateMachine):
    """Callers, engines and carriers that do whatever they like."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.call = Call(**self.options, reprompt_ms=3000, max_utterance_ms=5000)
        self.numbers = itertools.count()
        self.checked = self.speaking = self.finished = 0
        self.held_from: int | None = None  # the step that put the call on hold
        self.cancelled: set[int] = set()
        self.words: dict[bytes, str] = {}  # by their audio
        self.played: set[str] = set()
        self.pressing = 0
        self.out = {0}  # keys that the carrier has sent

    @property
    def open_reply(self) -> int:
        return max(start.reply for start in self.call.all(e.StartReply))

    @rule(ms=st.integers(1, 40), speech=st.booleans())
    def time(self, ms: int, speech: bool) -> None:
        self.call.time(20 * ms, speech)

    @rule(digit=st.sampled_from("0123456789*#"))
    def dial(self, digit: str) -> None:
        self.call.send(e.Dtmf(digit))

    @rule(text=st.sampled_from(["", "uh-huh", "yes", "on mon"]), complete=st.sampled_from([None, True, False]))
    def guess(self, text: str, complete: bool | None) -> None:
        if hears := self.call.all(e.Hear):
            self.call.send(e.Partial(hears[-1].utterance, text, None, complete))

    @rule(back=st.integers(0, 2))
    def wants_more(self, back: int) -> None:
        self.call.send(e.ReplyUnfinished(max(1, self.open_reply - back)))

    @rule(back=st.integers(0, 2), text=st.sampled_from(["", "mm-hmm", "yes", "on monday"]))
    def said(self, back: int, text: str) -> None:
        self.call.send(e.CallerSaid(max(1, self.open_reply - back), text))

    @rule(back=st.integers(0, 3))
    def transcribed(self, back: int) -> None:
        self.call.send(e.Transcribed(max(0, self.call.session.utterance - back), "late words"))

    @rule(back=st.integers(0, 2), count=st.integers(1, 5))
    def speak(self, back: int, count: int) -> None:
        reply = max(1, self.open_reply - back)
        for _ in range(count):
            word = f"w{next(self.numbers)}"
            self.call.send(e.ReplyText(reply, word + " "))
            audio = word.encode().ljust(16 * 200)
            self.words[audio] = word
            self.call.send(e.ReplyAudio(reply, audio, (Word(word, 0, 190),)))

    @rule(
        back=st.integers(0, 2), following=st.sampled_from(Next), tools=st.booleans(), keys=st.sampled_from(["", "2#"])
    )
    def done(self, back: int, following: Next, tools: bool, keys: str) -> None:
        reply = max(1, self.open_reply - back)
        calls = (ToolCall("t", {}),) if tools else ()
        done = Done(next=following, transfer_to="person", keys=keys)
        self.call.send(e.ReplyDone(reply, done, calls), e.ReplyEnded(reply))
        self.finish_tools()

    @precondition(lambda self: self.call.all(e.Press))
    @rule()
    def keys_are_out(self) -> None:
        self.out.add(self.call.last(e.Press).reply)
        self.call.send(e.Played(self.call.last(e.Press).reply, 0.0))

    def finish_tools(self) -> None:
        """Tools finish once each, and only those that were to run."""
        for command in self.call.all(e.RunTools)[self.finished :]:
            self.finished += 1
            self.call.send(e.ToolsFinished(command.reply, (ToolResult("t", {}),)))

    @rule(back=st.integers(0, 2))
    def fail(self, back: int) -> None:
        self.call.send(e.ReplyFailed(max(1, self.open_reply - back), "broken"))

    @precondition(lambda self: self.call.all(e.Play))
    @rule(part=st.floats(0, 1))
    def hear(self, part: float) -> None:
        plays = self.call.all(e.Play)
        marks = [(play.reply, mark) for play in plays[-20:] for mark in play.marks]
        if marks:
            self.call.send(e.Played(*marks[int(part * (len(marks) - 1))]))

    @precondition(lambda self: self.call.session.state is State.CONNECTING)
    @rule()
    def nobody_answers(self) -> None:
        self.call.send(e.TransferFailed("unanswered"))

    @precondition(lambda self: self.call.session.state not in (State.HOLD, State.ENDED))
    @rule()
    def hold(self) -> None:
        self.call.send(e.Held())

    @precondition(lambda self: self.call.session.state is State.HOLD)
    @rule()
    def retrieve(self) -> None:
        self.call.send(e.Retrieved())

    @rule()
    def shut_down(self) -> None:
        self.call.send(e.Shutdown())

    @invariant()
    def on_hold_nothing_is_heard_said_or_done(self) -> None:
        """From the hold on: what the line and the engine are told with it takes back, and begins nothing."""
        if self.call.session.state is not State.HOLD:
            self.held_from = None
            return
        if self.held_from is None:
            held = max(n for n, (_, event, _, _) in enumerate(self.call.steps) if isinstance(event, e.Held))
            self.held_from = held
        told = [command for step in self.call.steps[self.held_from :] for command in step[2]]
        assert {type(command) for command in told} <= {e.ForgetUtterance, e.CancelReply, e.Pause, e.Said}
        assert len([command for command in told if isinstance(command, e.Pause)]) <= 1
        assert not self.call.session._caller.talking
        assert not self.call.session._timers.is_set(Timer.SILENCE)

    @invariant()
    def nothing_is_kept_of_what_is_said_while_somebody_is_rung(self) -> None:
        if self.call.session.state is State.CONNECTING:
            assert not self.call.session._caller.utterance.open
            assert not self.call.session._caller.digits

    @invariant()
    def a_tool_runs_only_for_a_turn_that_was_decided(self) -> None:
        decided = {command.reply for command in self.call.all(e.TurnDecided)}
        assert {command.reply for command in self.call.all(e.RunTools)} <= decided

    @invariant()
    def nothing_is_played_after_its_cancel_and_only_one_reply_at_a_time(self) -> None:
        for command in self.call.commands[self.checked :]:
            if isinstance(command, e.CancelReply):
                self.cancelled.add(command.reply)
            if isinstance(command, e.TurnDecided):
                self.speaking = command.reply
            if isinstance(command, e.TurnDecided | e.Press | e.HangUp | e.Transfer):
                assert self.pressing in self.out, f"{command} while keys are on their way"
            if isinstance(command, e.Press):
                assert command.reply > self.speaking
                self.pressing = command.reply
            if isinstance(command, e.Play):
                assert command.reply not in self.cancelled
                assert command.reply == self.speaking
                self.played.add(self.words.get(command.pcm, ""))
        self.checked = len(self.call.commands)

    @invariant()
    def the_history_holds_only_words_that_were_played(self) -> None:
        for turn in self.call.session.memory.history.turns():
            if turn.role == "agent" and turn.interrupted:
                assert set(turn.text.split()) <= self.played

    def teardown(self) -> None:
        """Whatever happened, a caller who falls silent hears an answer or a goodbye, and the call ends."""
        for _ in range(60):
            if self.call.session.state is State.ENDED:
                return
            if self.call.session.state is State.HOLD:
                self.call.send(e.Retrieved())
            self.call.time(3500)
            self.finish_tools()
            if self.call.session.state is State.CONNECTING:
                self.nobody_answers()
            if self.call.session.state in (State.PROCESSING, State.INTERRUPTED):
                self.call.answer("Yes.", heard="hello")
            if self.call.session.state is State.SPEAKING:
                for start in self.call.all(e.StartReply):  # the last may be a speculative one that failed
                    self.call.send(e.ReplyEnded(start.reply))
                if self.call.all(e.Play):
                    self.call.play_out()
                if self.call.all(e.Press):
                    self.keys_are_out()
        assert self.call.session.state is State.ENDED


class AnyEagerCall(AnyCall):
    """The same with speculative replies, adaptive silences, and pauses that may be resumed."""

    options = dict.fromkeys(("adapt_question", "adapt_pauses", "adapt_words", "adapt_reply", "resume"), True)
    options |= {"eager_attempts": 3}


TestAnyEagerCall = AnyEagerCall.TestCase
TestAnyEagerCall.settings = hypothesis_settings(max_examples=120, stateful_step_count=50, deadline=None)
TestAnyCall = AnyCall.TestCase
TestAnyCall.settings = hypothesis_settings(max_examples=80, stateful_step_count=40, deadline=None)
