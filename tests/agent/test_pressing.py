"""Keys that the agent presses: after its words, exactly once, whatever the other side says; in virtual time."""

from typing import Any

import msgspec
import pytest

from agent import events as e
from agent.engine.base import Cue, Done, Next, ToolCall, ToolResult, Turn
from agent.state import State
from agent.tape.reader import read
from agent.tape.replay import replay
from agent.tape.whatif import what_if
from config.keys import MOST
from tests.agent.phone import Call, names


def asked(**turn: Any) -> Call:
    """A call in which a menu has been heard, and the engine been asked."""
    call = Call(**turn)
    call.greet()
    call.speak()
    return call


def out(call: Call) -> list[e.Command]:
    """The carrier says that the last keys are out."""
    return call.send(e.Played(call.last(e.Press).reply, 0.0))


def test_a_menu_is_answered_by_keys_alone() -> None:
    call = asked()
    reply = call.answer("", heard="for the pharmacy press two", done=Done(keys="2"))
    press = call.last(e.Press)
    assert (press.keys, press.reply) == ("2", reply + 1)
    assert call.session.state is State.SPEAKING
    assert {play.reply for play in call.all(e.Play)} == {1}
    out(call)
    assert call.session.state is State.LISTENING
    assert call.history[1:] == [("caller", "for the pharmacy press two"), ("keys", "2")]
    call.speak()
    request = call.last(e.StartReply)
    assert request.reply == press.reply + 1
    assert request.request.history[-1] == Turn("keys", "2")


def test_keys_come_after_the_last_word_was_heard() -> None:
    call = asked()
    reply = call.answer("I will dial it.", heard="dial it", done=Done(keys="104#"))
    call.send(e.Played(reply, 890))
    assert not call.all(e.Press)
    call.play_out()
    assert call.last(e.Press) == e.Press(reply + 1, "104#")
    assert call.session.state is State.SPEAKING
    out(call)
    assert call.history[-2:] == [("agent", "I will dial it."), ("keys", "104#")]


@pytest.mark.parametrize("moment", ["words", "keys"])
def test_speech_over_them_neither_stops_nor_doubles_them(moment: str) -> None:
    """The settings as they are shipped; what was said meanwhile is heard as a turn once they are out."""
    call = Call({})
    call.greet()
    call.say(608)
    call.until(e.TurnDecided)
    reply = call.answer("I will dial it.", heard="dial it", done=Done(keys="12"))
    if moment == "keys":
        call.play_out()
    call.say(1000)
    call.send(e.Dtmf("5"))
    assert not call.all(e.Pause)
    if moment == "words":
        call.send(e.Played(reply, 290))
        call.play_out()
    out(call)
    assert [press.keys for press in call.all(e.Press)] == ["12"]
    assert call.session.state is State.LISTENING
    call.say(300)
    call.until(e.TurnDecided)
    assert [press.keys for press in call.all(e.Press)] == ["12"]


def test_an_early_reply_presses_nothing_until_the_turn_is_decided() -> None:
    call = Call({})
    call.greet()
    call.say(608)
    call.until(e.StartReply)
    call.answer("", heard="press two", done=Done(keys="2"))
    assert not call.all(e.Press)
    call.say(608)  # the menu goes on: nobody has heard of it
    assert call.session.discarded == 1
    call.until(e.StartReply)
    call.answer("", heard="press two or three", done=Done(keys="3"))
    commands = call.until(e.TurnDecided)
    assert names(commands).index("TurnDecided") < names(commands).index("Press")
    assert [press.keys for press in call.all(e.Press)] == ["3"]


def test_a_reply_that_is_thrown_away_presses_nothing_and_does_not_end_the_call() -> None:
    call = asked()
    first = call.last(e.StartReply).reply
    call.send(e.ReplyText(first, "One moment."), e.ReplyDone(first, Done(keys="2")))
    call.speak()
    assert call.last(e.CancelReply).reply == first
    assert call.last(e.StartReply).request.cue is Cue.ANSWER
    assert not call.all(e.Press)


def test_what_must_be_heard_to_its_end_does_not_end_the_call_when_it_is_thrown_away() -> None:
    call = asked()
    first = call.last(e.StartReply).reply
    call.send(e.ReplyText(first, "Calls are recorded."), e.ReplyDone(first, Done(interruptible=False)))
    call.speak()
    assert call.last(e.StartReply).request.cue is Cue.ANSWER


def test_a_reply_that_was_paused_before_its_keys_presses_them_only_if_it_goes_on() -> None:
    for goes_on in (True, False):
        call = Call({})
        call.greet()
        call.say(608)
        call.until(e.TurnDecided)
        reply = call.last(e.StartReply).reply
        call.send(e.CallerSaid(reply, "hello"), e.ReplyText(reply, "one two"))
        call.send(call.audio(reply, "one"), call.audio(reply, "two"))
        call.heard_ms = 0.0
        call.say(60)
        assert call.session.state is State.INTERRUPTED
        call.send(e.ReplyDone(reply, Done(keys="7")), e.ReplyEnded(reply))
        if goes_on:
            call.until(e.Resume)
            call.play_out()
            assert call.last(e.Press).keys == "7"
        else:
            call.say(1500)
            assert call.last(e.Interrupted)
            assert not call.all(e.Press)


def test_keys_then_the_end() -> None:
    call = asked()
    call.answer("Bye.", heard="bye", done=Done(next=Next.HANG_UP, keys="*9"))
    call.play_out()
    assert not call.all(e.HangUp)
    out(call)
    assert call.last(e.HangUp) == e.HangUp()


def test_keys_of_every_round_of_tools_are_pressed_one_after_another() -> None:
    call = asked()
    reply = call.last(e.StartReply).reply
    call.send(e.CallerSaid(reply, "note it and press one"))
    call.send(e.ReplyDone(reply, Done(keys="1"), (ToolCall("note", {}),)), e.ReplyEnded(reply))
    assert not call.all(e.Press)
    call.send(e.ToolsFinished(reply, (ToolResult("note", {}),)))
    call.send(e.ReplyDone(reply, Done(keys="2")), e.ReplyEnded(reply))
    assert [press.keys for press in call.all(e.Press)] == ["1"]
    out(call)
    assert [press.keys for press in call.all(e.Press)] == ["1", "2"]
    assert out(call) == []
    assert call.history[-2:] == [("keys", "1"), ("keys", "2")]
    call.speak()
    assert call.last(e.StartReply).request.tool_results == ()  # they have been acted on


def test_the_end_of_the_server_waits_for_the_keys() -> None:
    call = asked()
    call.answer("", heard="press two", done=Done(keys="2"))
    assert call.send(e.Shutdown()) == []
    assert e.StartReply in map(type, out(call))
    assert call.last(e.StartReply).request.cue is Cue.SHUTDOWN


def test_hanging_up_while_keys_are_on_their_way() -> None:
    call = asked()
    call.answer("Two then.", heard="press two", done=Done(keys="2"))
    call.play_out()
    call.send(e.HungUp())
    assert call.session.state is State.ENDED
    assert call.history[-2:] == [("agent", "Two then."), ("keys", "2")]
    assert [said.text for said in call.all(e.Said)].count("Two then.") == 1


def test_keys_before_the_greeting() -> None:
    call = Call(keys="ww104#")
    assert call.commands == [e.Press(2, "ww104#")]
    call.say(400)  # "Hello?"
    assert not call.all(e.StartReply)
    out(call)
    request = call.last(e.StartReply).request
    assert (request.cue, request.history) == (Cue.GREET, (Turn("keys", "ww104#"),))
    call.time(500)
    call.answer("Hello, this is the desk.")
    call.play_out()
    assert call.session.state is State.LISTENING
    assert [press.keys for press in call.all(e.Press)] == ["ww104#"]


@pytest.mark.parametrize("keys", ["", "x", "1 2", "2\n", "a", "1" * (MOST + 1)])
def test_what_is_no_key_is_no_command(keys: str) -> None:
    with pytest.raises(ValueError, match="key"):
        e.Press(1, keys)


def pressing_call() -> Call:
    """Keys before the greeting, and after a menu."""
    call = Call(keys="104#")
    out(call)
    call.greet()
    call.speak()
    call.answer("Two, then.", heard="for the pharmacy press two", done=Done(keys="2"))
    call.play_out()
    call.time(200)
    out(call)
    call.speak()
    call.answer("Goodbye.", heard="goodbye", done=Done(next=Next.HANG_UP))
    call.play_out()
    assert call.session.state is State.ENDED
    return call


def test_a_tape_with_keys_replays_and_can_be_tried_with_other_settings() -> None:
    call = pressing_call()
    lines = [msgspec.json.encode(call.header()) + b"\n", *call.tape()]
    found = replay(*read(lines))
    assert found.difference is None
    assert found.commands == len(call.commands)
    assert what_if(*read(lines), {"turn.endpoint_ms": 500}).turns == 2


def test_a_tape_without_words_holds_no_keys() -> None:
    lines = b"".join(pressing_call().tape(words=False))
    assert lines.count(b'"Press"') == 2
    assert b'"keys"' not in lines
    assert b"104#" not in lines
