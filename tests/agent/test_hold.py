"""Calls on hold, in virtual time: nobody listens, nothing is said, no tool begins, and afterwards it goes on."""

from collections.abc import Callable

import pytest

from agent import events as e
from agent.engine.base import Cue, Done, Meaning, Next, ToolCall, ToolResult
from agent.exceptions import IllegalEvent
from agent.state import State
from agent.timers import Timer
from tests.agent.phone import Call, names

ANNOUNCEMENT = 4  # times that a queue says "please hold the line"


def wait(call: Call) -> list[e.Command]:
    """28 s on hold: a spoken announcement again and again, and a key that is for somebody else."""
    found: list[e.Command] = []
    for _ in range(ANNOUNCEMENT):
        found += call.say(2500) + call.time(4500)
        found += call.send(e.Dtmf("5"), e.Dtmf("#"))
    return found


def listening() -> Call:
    call = Call(reprompt_ms=5000)
    call.greet()
    call.time(1000)
    return call


def talking() -> Call:
    call = listening()
    call.say(600)
    return call


def dialling() -> Call:
    call = listening()
    call.send(e.Dtmf("1"), e.Dtmf("2"))
    return call


def asked() -> Call:
    call = listening()
    call.speak()
    assert call.session.state is State.PROCESSING
    return call


def speaking() -> Call:
    call = asked()
    call.answer("We are open.", heard="when are you open")
    call.send(e.Played(call.last(e.Play).reply, 290))
    return call


def talked_over() -> Call:
    call = Call({}, reprompt_ms=5000)
    call.greet()
    call.say(600)
    call.until(e.StartReply)
    call.answer("We are open.", heard="when are you open", meaning=Meaning.TURN)
    call.until(e.TurnDecided)
    call.send(e.Played(call.last(e.Play).reply, 290))
    call.say(200)
    assert call.session.state is State.INTERRUPTED
    return call


def connecting() -> Call:
    call = listening()
    call.speak()
    call.answer("One moment.", heard="a person", done=Done(next=Next.TRANSFER, transfer_to="person"))
    call.play_out()
    return call


@pytest.mark.parametrize("begin", [listening, talking, dialling, asked, speaking, talked_over, connecting])
def test_on_hold_nothing_happens_whatever_is_heard(begin: Callable[[], Call]) -> None:
    call = begin()
    call.send(e.Held())
    assert call.session.state is State.HOLD
    assert wait(call) == []
    assert call.session.state is State.HOLD
    assert not any(role == "caller" and "hold" in text for role, text in call.history)


def test_who_comes_back_is_listened_to() -> None:
    call = listening()
    call.send(e.Held())
    wait(call)
    assert call.send(e.Retrieved()) == []
    assert call.session.state is State.LISTENING
    assert call.time(4900) == []  # no stale "are you still there?"
    call.speak()
    request = call.last(e.StartReply).request
    assert request.cue is Cue.ANSWER
    assert len(request.audio) / 16 < 600 + 320 + 500  # nothing of the time on hold, and nothing of before


def test_silence_after_a_hold_is_asked_about_in_its_time() -> None:
    call = listening()
    call.time(4500)
    call.answer("Are you there?")
    call.play_out()
    call.send(e.Held())
    wait(call)
    call.send(e.Retrieved())
    call.time(5100)
    assert call.last(e.StartReply).request.cue is Cue.REPROMPT
    assert call.session._agent_turn.reprompts == 1


@pytest.mark.parametrize("begin", [talking, dialling])
def test_a_turn_that_was_not_over_is_thrown_away(begin: Callable[[], Call]) -> None:
    call = begin()
    heard = call.session.utterance
    commands = call.send(e.Held())
    assert names(commands) == (["ForgetUtterance"] if begin is talking else [])
    wait(call)
    call.send(e.Retrieved())
    call.time(2000)
    call.speak()
    request, utterance = call.last(e.StartReply).request, call.last(e.StartReply).utterance
    assert (request.cue, request.digits) == (Cue.ANSWER, "")
    assert utterance > heard
    assert len(request.audio) / 16 < 600 + 320 + 500


def test_a_question_that_was_cut_off_is_asked_again() -> None:
    call = speaking()
    call.say(64)
    assert call.session.state is State.LISTENING
    call.say(300)
    call.send(e.Held())
    wait(call)
    assert names(call.send(e.Retrieved())) == ["TurnDecided", "StartReply"]
    assert call.last(e.StartReply).request.cue is Cue.REPROMPT


def test_a_turn_that_was_over_is_answered_afterwards() -> None:
    call = asked()
    asked_once = call.all(e.StartReply)
    call.send(e.Held())
    call.answer("At nine.", heard="when do you open")
    wait(call)
    commands = call.send(e.Retrieved())
    assert names(commands) == ["Said", "Play", "Play", "Play"]
    call.play_out()
    assert call.all(e.StartReply) == asked_once
    assert call.history[-2:] == [("caller", "when do you open"), ("agent", "At nine.")]


def test_a_reply_goes_on_from_the_sample_that_was_heard_last() -> None:
    call = speaking()
    reply = call.last(e.Play).reply
    assert names(call.send(e.Held())) == ["Pause"]
    assert call.last(e.Pause) == e.Pause(reply, call.session.now_ms, None)
    wait(call)
    assert call.send(e.Retrieved()) == [e.Resume(reply)]
    assert call.session.state is State.SPEAKING
    call.play_out()
    assert call.history[-1] == ("agent", "We are open.")


def test_what_was_said_over_a_reply_that_is_put_on_hold_was_not_for_the_agent() -> None:
    call = talked_over()
    reply = call.last(e.Pause).reply
    assert not call.all(e.Interrupted)
    assert "ForgetUtterance" in names(call.send(e.Held()))
    wait(call)
    assert call.send(e.Retrieved()) == [e.Resume(reply)]
    call.play_out()
    assert call.history[-1] == ("agent", "We are open.")


def test_no_tool_begins_on_hold() -> None:
    call = speaking()
    reply = call.last(e.Play).reply
    call.send(e.Held())
    call.send(e.ReplyDone(reply, Done(), (ToolCall("book", {"day": 1}),)))
    assert not call.all(e.RunTools)
    assert names(call.send(e.Retrieved())) == ["Resume", "RunTools"]


def test_a_tool_that_had_begun_is_told_of_afterwards() -> None:
    call = asked()
    reply = call.last(e.StartReply).reply
    call.send(e.CallerSaid(reply, "book"), e.ReplyDone(reply, Done(), (ToolCall("book", {}),)), e.ReplyEnded(reply))
    call.send(e.Held())
    assert call.send(e.ToolsFinished(reply, (ToolResult("book", {}, {"ok": True}),))) == []
    call.send(e.Retrieved())
    request = call.last(e.StartReply).request
    assert (request.cue, [result.name for result in request.tool_results]) == (Cue.TOOL, ["book"])


def test_a_reply_that_fails_on_hold_is_asked_for_again_afterwards() -> None:
    call = asked()
    reply = call.last(e.StartReply).reply
    call.send(e.Held(), e.ReplyFailed(reply, "broken"))
    assert call.last(e.StartReply).reply == reply
    call.send(e.Retrieved())
    again = call.last(e.StartReply)
    assert (again.reply, again.request.cue) == (reply + 1, Cue.ANSWER)
    assert again.request.audio


def test_who_speaks_after_a_hold_before_the_answer_does_not_count_as_pausing_so_long() -> None:
    call = asked()
    call.send(e.Held())
    call.time(40_000)
    call.send(e.Retrieved())
    call.time(500)
    call.speak()
    assert max(call.session._caller._pauses) < 1000


def test_keys_wait_by_themselves() -> None:
    call = Call(keys="12#")
    pressed = call.last(e.Press).reply
    assert call.send(e.Held()) == []
    assert call.send(e.Played(pressed, 0.0)) == []
    assert names(call.send(e.Retrieved())) == ["TurnDecided", "StartReply"]
    assert call.last(e.StartReply).request.cue is Cue.GREET


def test_a_failed_transfer_is_told_of_afterwards() -> None:
    call = connecting()
    call.send(e.Held())
    assert call.send(e.TransferFailed("busy")) == []
    call.send(e.Retrieved())
    assert call.last(e.StartReply).request.cue is Cue.UNREACHED


def test_a_transfer_goes_on_while_the_call_is_on_hold() -> None:
    """Phones put the call on hold while they follow a REFER."""
    call = connecting()
    call.send(e.Held())
    call.session._timers.set(Timer.CALL, call.session.now_ms + 100)
    assert call.time(200) == []
    call.send(e.Retrieved())
    assert call.session.state is State.CONNECTING
    call.send(e.TransferFailed("busy"))
    assert call.last(e.StartReply).request.cue is Cue.FAREWELL


@pytest.mark.parametrize("begin", [listening, asked, speaking])
def test_the_longest_call_ends_on_hold_too(begin: Callable[[], Call]) -> None:
    """Nobody would hear a farewell."""
    call = begin()
    call.send(e.Held())
    call.session._timers.set(Timer.CALL, call.session.now_ms + 1000)
    assert call.time(900) == []
    assert call.time(200)[-1] == e.HangUp()
    assert call.session.state is State.ENDED
    assert call.send(e.Retrieved()) == []


@pytest.mark.parametrize("begin", [listening, talking, asked, speaking])
def test_who_comes_back_when_the_server_ends_is_said_goodbye_to(begin: Callable[[], Call]) -> None:
    call = begin()
    call.send(e.Held())
    assert call.send(e.Shutdown()) == []
    call.send(e.Retrieved())
    if begin is speaking:
        call.play_out()
    assert call.last(e.StartReply).request.cue is Cue.SHUTDOWN
    call.answer("Goodbye.")
    call.play_out()
    assert call.last(e.HangUp) == e.HangUp()


def test_a_goodbye_is_heard_to_its_end_after_a_hold() -> None:
    call = asked()
    call.answer("Goodbye then.", heard="bye", done=Done(next=Next.HANG_UP))
    call.send(e.Held())
    wait(call)
    assert not call.all(e.HangUp)
    call.send(e.Retrieved())
    call.play_out()
    assert call.last(e.HangUp) == e.HangUp()


def test_hanging_up_on_hold_ends_the_call() -> None:
    call = speaking()
    reply = call.last(e.Play).reply
    call.send(e.Held(), e.ReplyText(reply, " more"))
    assert e.CancelReply(reply) in call.send(e.HungUp())
    assert call.session.state is State.ENDED
    assert call.history[-1] == ("agent", "We")


def test_it_can_be_done_again_and_again() -> None:
    call = speaking()
    reply = call.last(e.Play).reply
    for heard_ms in (300, 400, 500):
        call.send(e.Held(), e.Retrieved())
        call.send(e.Played(reply, heard_ms))
    call.play_out()
    assert len(call.all(e.Pause)) == len(call.all(e.Resume)) == 3
    assert call.history[-1] == ("agent", "We are open.")


def test_illegal_events_raise() -> None:
    call = listening()
    with pytest.raises(IllegalEvent):
        call.send(e.Retrieved())
    call.send(e.Held())
    with pytest.raises(IllegalEvent):
        call.send(e.Held())
