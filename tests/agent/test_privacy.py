"""What is private: asked for by a secret, by a model or by a person; and what then stands nowhere."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent import events as e
from agent.engine.base import HIDDEN, Done, Meaning, ToolCall, ToolResult
from agent.privacy import Privacy
from agent.session import Session
from agent.state import State
from agent.tape.reader import read
from agent.tape.recorder import Recorder
from agent.tape.replay import replay
from agent.tape.whatif import what_if
from tests.agent.phone import Call

SECRET = Done(secret=True)
PIN = "4711"


class Taped(Call):
    """Keeps which steps were private."""

    def __init__(self) -> None:
        self.private = [False]  # the first step is the start
        super().__init__()

    def send(self, *events: e.Event) -> list[e.Command]:
        """See Call."""
        found: list[e.Command] = []
        for event in events:
            self.private.append(self.session.is_private(event))
            found += super().send(event)
        return found

    def lines(self) -> list[bytes]:
        """The whole tape."""
        recorder, steps = Recorder(words=True), zip(self.steps, self.private, strict=True)
        head = msgspec.json.encode(self.header()) + b"\n"
        return [head, *(recorder.step(*step, private=private) for step, private in steps)]


def records(commands: list[e.Command]) -> list[bool]:
    return [command.on for command in commands if isinstance(command, e.Record)]


def ask_for_pin() -> Taped:
    """The caller has said something, and is now asked for a PIN."""
    call = Taped()
    call.greet()
    call.speak()
    call.answer("Your PIN please.", heard="my balance", done=SECRET)
    return call


def test_a_secret_is_private_from_the_question_until_it_was_given() -> None:
    call = ask_for_pin()
    assert records(call.commands) == [False]
    call.play_out()
    for digit in PIN:
        call.send(e.Dtmf(digit))
    call.until(e.StartReply)
    assert call.last(e.StartReply).request.digits == PIN
    call.answer("Thank you.", heard="")
    assert records(call.commands) == [False, True]
    said = [(command.role, command.text) for command in call.all(e.Said)]
    assert said == [("agent", "Welcome."), ("caller", "my balance"), ("agent", "Your PIN please."), ("caller", HIDDEN)]
    assert PIN not in str([turn.text for turn in call.session.memory.history.turns()])


def test_its_tape_has_neither_keys_nor_words_and_replays_until_there() -> None:
    call = ask_for_pin()
    call.play_out()
    for digit in PIN:
        call.send(e.Dtmf(digit))
    call.until(e.StartReply)
    state = {"slots": {"pin": HIDDEN}, "secrets": {"pin": PIN}}
    done = Done(state=state)
    call.answer("Thank you.", heard="", done=done)
    call.play_out()
    call.speak()
    call.answer("You are welcome.", heard="thanks")
    tape = b"".join(call.lines()).decode()
    assert PIN not in tape
    assert '"digit":' not in tape
    assert "my balance" in tape
    assert "thanks" in tape  # afterwards everything is kept again
    assert '"slots":{"pin":"***"}' in tape
    head, steps = read(call.lines())
    found = replay(head, steps)
    assert found.difference is None, str(found.difference)
    assert found.left_out_ms is not None
    assert found.left_out_ms > 1000
    assert what_if(*read(call.lines()), {"turn.endpoint_ms": 450}).turns >= 1  # of what is there


def test_words_that_come_late_are_private_too() -> None:
    call = ask_for_pin()
    call.play_out()
    call.speak()
    utterance = call.session.utterance
    call.answer("Thank you.", heard="four seven one one")
    assert call.session.is_private(e.Partial(utterance, "four seven one one"))
    assert call.session.is_private(e.Transcribed(utterance, "four seven one one"))
    assert not call.session.is_private(e.Partial(utterance + 1, "thanks"))
    assert call.all(e.Said)[-1].text == HIDDEN


def test_a_secret_turn_that_only_a_model_heard_is_never_transcribed() -> None:
    call = ask_for_pin()
    call.play_out()
    call.speak()
    call.answer("Thank you.")
    assert not call.all(e.Transcribe)
    assert call.session.memory.history.turns()[-1].text == HIDDEN


def test_a_model_pauses_the_recording_and_knows_what_was_said_meanwhile() -> None:
    call = Taped()
    call.greet()
    call.speak()
    call.answer("Your card number please.", heard="i want to pay", done=Done(recording="pause"))
    call.play_out()
    call.speak()
    call.answer("Thank you.", heard="five five", done=Done(recording="resume"))
    call.play_out()
    assert records(call.commands) == [False, True]
    texts = [turn.text for turn in call.session.memory.history.turns()]
    assert texts[-2:] == ["five five", "Thank you."]
    call.speak()
    call.answer("Goodbye.", heard="bye")
    tape = b"".join(call.lines()).decode()
    assert "five five" not in tape  # nor in the history of the request after it
    assert "bye" in tape


def test_what_tools_are_given_meanwhile_is_private_until_they_have_finished() -> None:
    call = Taped()
    call.greet()
    call.speak()
    call.answer("Your card number please.", heard="i want to pay", done=Done(recording="pause"))
    call.play_out()
    call.speak()
    reply = max(start.reply for start in call.all(e.StartReply))
    pay = ToolCall("pay", {"card": "5555"})
    call.send(e.CallerSaid(reply, "five five five five", Meaning.TURN))
    call.send(e.ReplyDone(reply, Done(recording="resume"), (pay,)), e.ReplyEnded(reply))
    assert records(call.commands) == [False]
    call.send(e.ToolsFinished(reply, (ToolResult("pay", {"card": "5555"}, {"paid": "5555"}),)))
    assert call.last(e.StartReply).request.tool_results[0].arguments == {"card": "5555"}
    call.send(e.ReplyText(reply, "Paid."), e.ReplyDone(reply, Done()), call.audio(reply, "Paid."), e.ReplyEnded(reply))
    assert records(call.commands) == [False, True]
    call.play_out()
    assert "5555" not in b"".join(call.lines()).decode()


def test_a_person_pauses_it_in_any_state() -> None:
    call = Taped()
    assert records(call.send(e.RecordingSwitched(False))) == [False]
    assert records(call.send(e.RecordingSwitched(False))) == []
    call.greet()
    assert call.all(e.Said)[-1].text == HIDDEN
    call.send(e.Held())
    assert records(call.send(e.RecordingSwitched(True))) == [True]
    call.send(e.Retrieved())
    assert call.session.state is State.LISTENING


def test_a_person_cannot_make_a_secret_public() -> None:
    call = ask_for_pin()
    assert records(call.send(e.RecordingSwitched(False), e.RecordingSwitched(True))) == []
    assert call.session.is_private(e.Dtmf("1"))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["", "pause", "resume"]), st.booleans()), max_size=12))
def test_it_is_told_of_every_change_and_of_nothing_else(steps: list[tuple[bool, Any, bool]]) -> None:
    privacy, told = Privacy(), [True]
    for secret, recording, tools in steps:
        commands = privacy.follow(Done(secret=secret, recording=recording), 1, tools=tools)
        told += [command.on for command in commands if isinstance(command, e.Record)]
        assert told[-1] is not privacy.on
        assert privacy.on or not secret
    assert all(one is not other for one, other in pairwise(told))


def test_a_session_without_secrets_says_nothing_of_it() -> None:
    session = Session("CA1", "desk", Call().settings)
    assert not session.is_private(e.Dtmf("1"))
