"""A person at the console and the conversation: what is said, pressed and decided when they intervene."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import events as e
from agent.engine.base import HIDDEN, Cue, Done, Expect, Next
from agent.exceptions import IllegalEvent
from agent.operator import MOST_WAITING
from agent.state import State
from agent.tape.reader import read
from agent.tape.replay import replay
from tests.agent.phone import FRAME, WORD_MS, Call, WideBand, frame, names

VOICE = frame(-20)


def replayed(call: Call) -> None:
    """Its tape leads to the same decisions."""
    head, steps = read([msgspec.json.encode(call.header()) + b"\n", *call.tape()])
    assert replay(head, steps).difference is None


def spoken(call: Call, text: str) -> int:
    """What an operator wants said is spoken, and not heard yet; gives the reply's number."""
    command = call.last(e.SpeakText)
    assert command.text == text
    call.heard_ms = 0.0
    call.send(e.ReplyText(command.reply, text), e.ReplyDone(command.reply, Done(interruptible=command.interruptible)))
    for word in text.split():
        call.send(call.audio(command.reply, word))
    call.send(e.ReplyEnded(command.reply))
    return int(command.reply)


def talking(words: str = "We are open until six today.") -> Call:
    """The agent is in the middle of an answer, of which two words were heard."""
    call = Call({})
    call.greet()
    call.speak()
    reply = call.answer(words, heard="when are you open")
    call.send(e.Played(reply, 2 * WORD_MS))
    return call


# Taking over


def test_the_agent_falls_silent_at_once_and_what_was_heard_is_kept() -> None:
    call = talking()
    before = len(call.commands)
    call.send(e.TakenOver())
    assert names(call.commands[before:]) == ["Pause", "CancelReply", "Drop", "Said"]
    assert call.session.state is State.TAKEN_OVER
    assert call.history[-2:] == [("agent", "We are"), ("taken_over", "")]
    said = call.last(e.Said)
    assert (said.role, said.text, said.interrupted) == ("agent", "We are", True)
    assert not call.all(e.Interrupted)
    replayed(call)


def test_a_reply_that_is_being_made_is_cancelled_and_the_callers_turn_is_written_down() -> None:
    call = Call({})
    call.greet()
    call.speak()
    assert call.session.state is State.PROCESSING
    reply = call.last(e.StartReply).reply
    found = call.send(e.TakenOver())
    assert e.CancelReply(reply) in found
    number = call.session.utterance
    assert [type(each) for each in found if isinstance(each, e.Hear | e.Transcribe)] == [e.Hear, e.Transcribe]
    assert found[-1] == e.Transcribe(number)
    call.send(e.Transcribed(number, "when are you open"))
    assert call.history[-2:] == [("caller", "when are you open"), ("taken_over", "")]
    call.send(e.ReplyText(reply, "late"), call.audio(reply, "late"))
    assert len(call.all(e.Play)) == 2  # the greeting's
    replayed(call)


def test_no_turn_is_answered_but_all_are_written_down() -> None:
    call = talking()
    call.send(e.TakenOver())
    started = len(call.all(e.StartReply))
    for words in ("yes please", "and on monday"):
        call.speak()
        heard = call.last(e.Transcribe).utterance
        call.send(e.Transcribed(heard, words))
    call.time(60_000)
    assert len(call.all(e.StartReply)) == started
    assert [text for role, text in call.history if role == "caller"][-2:] == ["yes please", "and on monday"]
    assert call.session.state is State.TAKEN_OVER
    replayed(call)


def test_a_noise_is_no_turn_for_the_operator_either() -> None:
    call = talking()
    call.send(e.TakenOver())
    call.time(60, speech=True)
    call.time(1000)
    assert not call.all(e.Transcribe)
    assert call.last(e.ForgetUtterance)


def test_keys_that_the_caller_presses_are_written_down() -> None:
    call = talking()
    call.send(e.TakenOver(), e.Dtmf("4"), e.Dtmf("2"))
    call.time(3000)
    assert call.history[-1] == ("caller", "42")


def test_the_operators_voice_is_played_as_a_reply_of_its_own() -> None:
    call = talking()
    call.send(e.OperatorAudio(VOICE))
    agents = call.last(e.Play).reply
    assert call.last(e.Play).pcm != VOICE  # not before they take over
    call.send(e.TakenOver())
    for _ in range(5):
        call.send(e.OperatorAudio(VOICE))
        call.time(20)
    plays = call.all(e.Play)[-5:]
    assert {(play.reply, play.pcm, play.marks) for play in plays} == {(plays[0].reply, VOICE, ())}
    assert plays[0].reply > agents
    assert call.session.speaker == "operator"
    call.time(1000)
    call.send(e.OperatorAudio(VOICE))
    assert call.last(e.Play).reply > plays[0].reply  # the line has run dry meanwhile
    replayed(call)


def test_on_a_wide_band_line_it_is_wide_band() -> None:
    call = WideBand({})
    call.greet()
    call.send(e.TakenOver(), e.OperatorAudio(VOICE, VOICE * 2))
    assert call.last(e.Play).wide == VOICE * 2


def test_given_back_the_agent_listens_and_says_nothing_by_itself() -> None:
    call = talking()
    call.send(e.TakenOver())
    call.time(5000)
    started = len(call.all(e.StartReply))
    assert call.send(e.GivenBack()) == []
    assert call.session.state is State.LISTENING
    call.time(2000)
    assert len(call.all(e.StartReply)) == started
    assert [role for role, _ in call.history][-2:] == ["taken_over", "given_back"]
    call.speak()
    assert call.last(e.StartReply).request.cue is Cue.ANSWER
    replayed(call)


def test_a_turn_that_goes_on_when_the_call_is_given_back_is_answered() -> None:
    call = talking()
    call.send(e.TakenOver())
    call.time(600, speech=True)
    call.send(e.GivenBack())
    call.time(300, speech=True)
    call.until(e.StartReply)
    assert len(call.last(e.StartReply).request.audio) / 16 > 900


def test_speech_over_the_paused_reply_goes_on_as_a_turn() -> None:
    call = talking()
    call.say(100)
    assert call.session.state is State.INTERRUPTED
    call.send(e.TakenOver())
    assert call.session.state is State.TAKEN_OVER
    call.say(400)
    call.time(600)
    assert call.all(e.Transcribe)
    replayed(call)


def test_a_hold_outlasts_a_takeover_and_the_other_way_round() -> None:
    call = talking()
    call.send(e.TakenOver(), e.Held())
    assert call.session.taken_over
    assert call.send(e.OperatorAudio(VOICE)) == []
    call.send(e.Retrieved())
    assert call.session.state is State.TAKEN_OVER
    call.send(e.Held(), e.GivenBack())
    assert not call.session.taken_over
    call.send(e.Retrieved())
    assert call.session.state is State.LISTENING
    replayed(call)


@pytest.mark.parametrize("event", [e.TakenOver(), e.TransferRequested("+15550100")])
def test_on_hold_and_while_being_connected_nobody_takes_over(event: e.Event) -> None:
    call = talking()
    call.send(e.Held())
    with pytest.raises(IllegalEvent):
        call.session.handle(event)
    call = talking()
    call.send(e.TransferRequested("+15550100123"))
    with pytest.raises(IllegalEvent):
        call.session.handle(event)


def test_nobody_takes_over_twice_or_gives_back_what_is_not_theirs() -> None:
    call = talking()
    with pytest.raises(IllegalEvent):
        call.session.handle(e.GivenBack())
    call.send(e.TakenOver())
    with pytest.raises(IllegalEvent):
        call.session.handle(e.TakenOver())


@pytest.mark.parametrize("event", [e.Shutdown(), None])
def test_the_end_of_the_server_and_of_the_longest_call_are_told_by_the_agent(event: e.Event | None) -> None:
    call = talking()
    call.send(e.TakenOver())
    if event:
        call.send(event)
    else:
        call.time(1000 * call.settings.call.max_s + 1000)
    wanted = Cue.SHUTDOWN if event else Cue.FAREWELL
    assert call.last(e.StartReply).request.cue is wanted
    assert not call.session.taken_over


# Saying something


def test_it_is_said_at_once_where_nobody_speaks_and_the_history_knows() -> None:
    call = Call({})
    call.greet()
    call.send(e.SayRequested("Your taxi is here.", "en-gb", "george"))
    command = call.last(e.SpeakText)
    assert (command.language, command.voice, command.interruptible) == ("en-gb", "george", True)
    spoken(call, "Your taxi is here.")
    call.play_out()
    assert call.history[-1] == ("agent", "Your taxi is here.")
    assert call.session.state is State.LISTENING
    replayed(call)


def test_it_waits_for_the_agent_and_for_the_callers_answer() -> None:
    call = talking()
    call.send(e.SayRequested("One more thing."))
    assert not call.all(e.SpeakText)
    call.play_out()
    assert call.all(e.SpeakText)
    spoken(call, "One more thing.")
    call.play_out()
    call.time(400, speech=True)
    call.send(e.SayRequested("And another."))
    call.time(600)
    assert len(call.all(e.SpeakText)) == 1  # the caller's turn is answered first
    call.answer("Yes.", heard="really")
    call.play_out()
    assert call.last(e.SpeakText).text == "And another."
    replayed(call)


def test_a_caller_who_interrupts_it_leaves_what_was_heard() -> None:
    call = Call({}, resume=False)
    call.greet()
    call.send(e.SayRequested("Your taxi is here."))
    reply = spoken(call, "Your taxi is here.")
    call.send(e.Played(reply, 2 * WORD_MS))
    call.say(600)
    assert call.history[-1] == ("agent", "Your taxi")
    assert call.last(e.Said).interrupted


def test_not_interruptible_it_is_not_even_paused() -> None:
    call = Call({}, resume=False)
    call.greet()
    call.send(e.SayRequested("Please stay on the line.", interruptible=False))
    spoken(call, "Please stay on the line.")
    call.say(2000)
    assert not call.all(e.Pause)


def test_a_caller_who_speaks_before_it_is_heard_first_gets_their_answer() -> None:
    call = Call({})
    call.greet()
    call.send(e.SayRequested("Your taxi is here."))
    call.time(600, speech=True)
    assert e.CancelReply(call.last(e.SpeakText).reply) in call.commands
    call.time(600)
    call.answer("Fine.", heard="hello")
    call.play_out()
    assert [command.text for command in call.all(e.SpeakText)] == ["Your taxi is here."] * 2
    replayed(call)


def test_only_so_many_wait() -> None:
    call = talking()
    for _ in range(MOST_WAITING):
        assert not call.session.busy
        call.send(e.SayRequested("Wait."))
    assert call.session.busy
    with pytest.raises(IllegalEvent):
        call.session.handle(e.SayRequested("Wait."))


def test_one_that_fails_is_not_asked_of_the_model() -> None:
    call = Call({})
    call.greet()
    started = len(call.all(e.StartReply))
    for _ in range(3):
        call.send(e.SayRequested("Hello."))
        call.send(e.ReplyFailed(call.last(e.SpeakText).reply, "no such voice"))
    assert call.session.state is State.LISTENING
    assert len(call.all(e.StartReply)) == started


def test_the_models_question_stays_open_and_private() -> None:
    call = Call({})
    call.answer("Your PIN?", done=Done(expect=Expect.DIGITS, secret=True))
    call.play_out()
    call.send(e.SayRequested("It is 4 2."))
    spoken(call, "It is 4 2.")
    call.play_out()
    assert call.session.memory.expect is Expect.DIGITS
    assert call.session.memory.privacy.on
    assert call.last(e.Said).text == HIDDEN


def test_before_a_goodbye_that_is_due_nothing_is_said() -> None:
    call = talking()
    call.send(e.SayRequested("Wait."), e.Shutdown())
    call.play_out()
    assert call.last(e.StartReply).request.cue is Cue.SHUTDOWN
    assert not call.all(e.SpeakText)


# Instructions, keys, transfers, the end


def test_an_instruction_is_in_the_next_request() -> None:
    call = Call({})
    call.greet()
    call.send(e.Instructed("Offer a discount."))
    call.speak()
    assert call.last(e.StartReply).request.history[-1].text == "Offer a discount."
    assert call.last(e.StartReply).request.history[-1].role == "operator"
    replayed(call)


def test_keys_are_pressed_as_soon_as_the_agent_is_silent() -> None:
    call = talking()
    call.send(e.PressRequested("12#"))
    assert not call.all(e.Press)
    call.play_out()
    assert call.last(e.Press).keys == "12#"
    call.send(e.Played(call.last(e.Press).reply, 0.0))
    assert call.session.state is State.LISTENING
    assert call.history[-1] == ("keys", "12#")
    replayed(call)


def test_who_has_taken_over_presses_keys_at_once_and_is_not_heard_meanwhile() -> None:
    call = talking()
    call.send(e.TakenOver(), e.PressRequested("5"))
    pressed = call.last(e.Press)
    assert call.send(e.OperatorAudio(VOICE)) == []
    call.send(e.Played(pressed.reply, 0.0))
    assert names(call.send(e.OperatorAudio(VOICE))) == ["Play"]


@pytest.mark.parametrize("before", ["talking", "listening", "taken over"])
def test_a_transfer_is_made_at_once(before: str) -> None:
    call = talking()
    if before == "listening":
        call.play_out()
    if before == "taken over":
        call.send(e.TakenOver())
    call.send(e.TransferRequested("+15550100123"))
    assert call.last(e.Transfer).number == "+15550100123"
    assert call.session.state is State.CONNECTING
    call.send(e.TransferFailed("busy"))
    assert call.last(e.StartReply).request.cue is Cue.UNREACHED
    replayed(call)


@pytest.mark.parametrize("before", ["talking", "held", "taken over", "ending"])
def test_hanging_up_is_at_once(before: str) -> None:
    call = talking()
    match before:
        case "held":
            call.send(e.Held())
        case "taken over":
            call.send(e.TakenOver())
        case "ending":
            call.play_out()
            call.speak()
            call.answer("Goodbye.", heard="bye", done=Done(next=Next.HANG_UP))
    call.send(e.HangUpRequested())
    assert names(call.commands)[-1] == "HangUp"
    assert call.session.state is State.ENDED
    replayed(call)


# Whatever happens in whatever order

ACTS: list[Any] = [e.SayRequested("One two three."), e.PressRequested("1"), e.Instructed("Be brief."), e.TakenOver()]
ACTS += [e.GivenBack(), e.OperatorAudio(VOICE), e.TransferRequested("+15550100123"), e.Held(), e.Retrieved()]


@given(st.lists(st.tuples(st.sampled_from([*ACTS, "speech", "answer", "heard", "wait", "failed"]), st.integers(1, 30))))
def test_no_order_of_acts_breaks_a_call_and_its_tape_replays(steps: list[tuple[Any, int]]) -> None:
    """What is illegal in a state raises before anything has changed, and is refused by whoever asks (acts.py)."""
    call = Call({})
    for what, length in steps:
        if isinstance(what, e.Event):
            if legal(call, what):
                call.send(what)
        elif what == "heard" and (plays := call.all(e.Play)):
            call.send(*(e.Played(plays[-1].reply, mark) for mark in plays[-1].marks))
        elif what == "failed" and (asked := call.all(e.StartReply)):
            call.send(e.ReplyFailed(asked[-1].reply, "lost"))
        elif what == "answer":
            for command in call.all(e.StartReply)[-1:] + call.all(e.SpeakText)[-1:]:
                call.send(e.ReplyText(command.reply, "Hello there."), e.ReplyDone(command.reply, Done()))
                call.send(call.audio(command.reply, "Hello"), e.ReplyEnded(command.reply))
        else:
            call.time(20 * length, speech=what == "speech", db=-20 if what == "speech" else None)
        if call.session.state is State.ENDED:
            break
    replayed(call)


def legal(call: Call, event: e.Event) -> bool:
    session = call.session
    held, connecting = session.state is State.HOLD, session.state is State.CONNECTING
    allowed = {
        e.SayRequested: not session.busy and not session.taken_over,
        e.PressRequested: not session.busy and not (held and session.taken_over),
        e.TakenOver: not (held or connecting or session.taken_over),
        e.TransferRequested: not (held or connecting),
        e.GivenBack: session.taken_over,
        e.Held: not held,
        e.Retrieved: held,
    }
    return allowed.get(type(event), True)


def test_silence_on_the_line_costs_nothing_new() -> None:
    call = Call({})
    call.greet()
    assert call.send(e.CallerAudio(FRAME)) == []
