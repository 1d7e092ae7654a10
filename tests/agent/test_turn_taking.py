"""Turn-taking with everything on: speculative replies, adaptive silences, pauses resumed or cut; virtual time."""

from typing import Any

import pytest

from agent import events as e
from agent.engine.base import Cue, Done, Expect, Meaning, Next, ToolCall, ToolResult, Turn, Word
from agent.state import State
from audio.rate import WINDOW_MS
from tests.agent.phone import WORD_MS, Call, names

USUAL_DB, QUIET_DB = -20, -35
SLACK_MS = 60  # a window of the detector, and a frame


def adaptive(**turn: Any) -> Call:
    """A call with the settings as they are shipped; it has been greeted."""
    call = Call({}, **turn)
    call.greet()
    return call


def asked(call: Call) -> e.StartReply:
    """The caller is silent until the engine is asked."""
    (request,) = [command for command in call.until(e.StartReply) if isinstance(command, e.StartReply)]
    return request


def held(call: Call, speech_ms: float = 608) -> e.StartReply:
    """The caller says something; gives the early request."""
    call.say(speech_ms)
    request = asked(call)
    assert request.request.early
    return request


def gap_ms(call: Call) -> float:
    """The silence after which the last turn was decided."""
    decided = call.last(e.TurnDecided)
    return float(decided.at_ms - decided.speech_end_ms)


def speaking(words: int = 8, heard: int = 2, **turn: Any) -> tuple[Call, int]:
    """A call in the middle of a reply to a turn that was spoken as loud as usual."""
    call = adaptive(**turn)
    call.say(608)
    call.until(e.TurnDecided)
    reply = call.answer(" ".join(f"w{number}" for number in range(1, words + 1)), heard="hello", meaning=Meaning.TURN)
    assert call.session.state is State.SPEAKING
    if heard:
        call.send(e.Played(reply, heard * WORD_MS - 10))
    return call, reply


def paused(words: int = 8, heard: int = 2, db: float = USUAL_DB, **turn: Any) -> tuple[Call, int]:
    """The same, after the first moment of speech over it."""
    call, reply = speaking(words, heard, **turn)
    call.say(60, db)
    assert call.session.state is State.INTERRUPTED
    return call, reply


def resumed(call: Call, reply: int) -> bool:
    """Whether the paused reply goes on."""
    return call.session.state is State.SPEAKING and call.all(e.Resume)[-1:] == [e.Resume(reply)]


# Speculative replies


def test_a_short_silence_is_answered_early_and_held() -> None:
    call = adaptive()
    before = len(call.commands)
    early = held(call)
    assert early.request.cue is Cue.ANSWER
    assert call.session.now_ms - 608 <= 160 + SLACK_MS
    call.answer("Of course.", heard="hello")
    assert not {"Play", "TurnDecided", "Said", "RunTools"} & set(names(call.commands[before:]))
    assert call.session.state is State.LISTENING
    assert call.history == [("agent", "Welcome.")]


def test_a_held_reply_is_played_at_once_when_the_turn_is_decided() -> None:
    call = adaptive()
    early = held(call)
    call.answer("Of course.", heard="hello")
    commands = call.until(e.TurnDecided)
    assert names(commands) == ["TurnDecided", "Said", "Play", "Play", "Play"]  # two words and the last mark
    assert {command.reply for command in commands if isinstance(command, e.Play)} == {early.reply}
    assert commands[0].reply == early.reply
    assert len(call.all(e.StartReply)) == 2  # the greeting and this
    call.play_out()
    assert call.history[1:] == [("caller", "hello"), ("agent", "Of course.")]
    assert call.session.discarded == 0


def test_a_reply_that_is_still_being_made_when_the_turn_is_decided_goes_on() -> None:
    call = adaptive()
    early = held(call)
    call.send(e.CallerSaid(early.reply, "hello"), e.ReplyText(early.reply, "Of "))
    call.send(call.audio(early.reply, "Of"))
    assert names(call.until(e.TurnDecided)) == ["TurnDecided", "Said", "Play"]
    assert call.session.state is State.SPEAKING
    assert names(call.send(call.audio(early.reply, "course."))) == ["Play"]


def test_a_caller_who_goes_on_is_heard_again_from_the_beginning() -> None:
    call = adaptive()
    early = held(call)
    call.answer("Of course.", heard="hello")
    commands = call.say(64)
    assert [e.CancelReply(early.reply), e.ForgetUtterance(early.utterance)] == commands[:2]
    assert {play.reply for play in call.all(e.Play)} == {1}  # the greeting
    call.say(304)
    again = asked(call)
    assert again.utterance == early.utterance + 1
    assert again.request.audio.startswith(early.request.audio)
    assert len(again.request.audio) > len(early.request.audio) + 16 * 304
    joined = b"".join(hear.pcm for hear in call.all(e.Hear) if hear.utterance == again.utterance)
    assert joined == again.request.audio
    assert call.session.discarded == 1
    call.answer("All of it.", heard="hello it is me")
    call.until(e.TurnDecided)
    call.play_out()
    assert call.history[1:] == [("caller", "hello it is me"), ("agent", "All of it.")]


def test_a_reply_thrown_away_leaves_no_trace_when_its_events_come_late() -> None:
    call = adaptive()
    early = held(call)
    call.say(64)
    before = len(call.commands)
    call.send(e.CallerSaid(early.reply, "hello"), e.ReplyText(early.reply, "No"), call.audio(early.reply, "No"))
    call.send(e.ReplyDone(early.reply, Done(state={"lost": True}), (ToolCall("book", {}),)), e.ReplyEnded(early.reply))
    assert len(call.commands) == before
    call.say(304)
    call.until(e.StartReply)
    assert call.last(e.StartReply).request.state == {}


@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_early_replies_of_one_turn_are_limited(attempts: int) -> None:
    call = adaptive(eager_attempts=attempts)
    for _ in range(5):
        call.say(304)
        call.time(240)
    early = [start for start in call.all(e.StartReply) if start.request.early]
    assert len(early) == attempts
    assert call.session.discarded == max(0, attempts - (attempts == 5))
    call.until(e.TurnDecided)
    assert call.last(e.StartReply).request.early is False
    call.answer("Well.", heard="so long")
    call.play_out()
    call.say(304)
    call.time(240)
    assert call.last(e.StartReply).request.early is (attempts > 0)  # a new turn has its own


def test_tools_of_a_held_reply_run_once_and_only_after_the_decision() -> None:
    call = adaptive()
    early = held(call)
    booking = ToolCall("book", {"day": "monday"})
    call.send(e.CallerSaid(early.reply, "book monday"), e.ReplyText(early.reply, "Let me see."))
    call.send(call.audio(early.reply, "see."))
    call.send(e.ReplyDone(early.reply, Done(state={"step": 1}), (booking,)), e.ReplyEnded(early.reply))
    assert not call.all(e.RunTools)
    commands = call.until(e.TurnDecided)
    assert names(commands) == ["TurnDecided", "Said", "RunTools", "Play", "Play"]
    assert commands[2] == e.RunTools(early.reply, (booking,))
    result = ToolResult("book", {"day": "monday"}, {"ok": True})
    call.send(e.ToolsFinished(early.reply, (result,)))
    again = call.last(e.StartReply).request
    assert (again.cue, again.early, again.tool_results, again.state) == (Cue.TOOL, False, (result,), {"step": 1})
    call.answer("Booked.")
    call.play_out()
    assert len(call.all(e.RunTools)) == 1
    assert call.history[-2:] == [("caller", "book monday"), ("agent", "Let me see.Booked.")]


def test_tools_of_a_reply_that_is_thrown_away_never_run() -> None:
    call = adaptive()
    early = held(call)
    call.send(e.ReplyDone(early.reply, Done(), (ToolCall("book", {}),)), e.ReplyEnded(early.reply))
    call.say(304)
    call.time(1200)
    call.answer("Never mind.", heard="no")
    call.play_out()
    assert not call.all(e.RunTools)


def test_a_model_that_wants_more_is_waited_for_and_then_asked_anew() -> None:
    call = adaptive(endpoint_ms=400)
    early = held(call)
    call.send(e.CallerSaid(early.reply, "my number is"), e.ReplyUnfinished(early.reply))
    call.send(e.ReplyDone(early.reply, Done()), e.ReplyEnded(early.reply))
    assert not [command for command in call.time(500) if isinstance(command, e.TurnDecided)]
    commands = call.until(e.TurnDecided)
    assert 2.2 * 400 <= gap_ms(call) <= 2.2 * 400 + SLACK_MS
    assert commands[0] == e.CancelReply(early.reply)
    fresh = call.last(e.StartReply)
    assert (fresh.request.early, fresh.request.cue) == (False, Cue.ANSWER)
    assert fresh.reply != early.reply
    assert fresh.request.audio.startswith(early.request.audio)
    joined = b"".join(hear.pcm for hear in call.all(e.Hear) if hear.utterance == fresh.utterance)
    assert joined == fresh.request.audio
    call.answer("Which number?", heard="my number is")
    call.play_out()
    assert call.history[1:] == [("caller", "my number is"), ("agent", "Which number?")]


def test_a_model_that_wants_more_too_late_is_asked_again_at_once() -> None:
    call = adaptive()
    early = held(call)
    call.until(e.TurnDecided)  # before the engine has said anything
    call.send(e.CallerSaid(early.reply, "my number is"), e.ReplyUnfinished(early.reply))
    call.send(e.ReplyDone(early.reply, Done()), e.ReplyEnded(early.reply))
    call.time(1000)
    assert call.last(e.StartReply).reply != early.reply
    assert call.last(e.StartReply).request.early is False


def test_a_held_reply_that_fails_costs_nothing() -> None:
    call = adaptive(eager_attempts=1)
    early = held(call)
    call.send(e.CallerSaid(early.reply, "hello"), e.ReplyText(early.reply, "Br"), call.audio(early.reply, "Br"))
    call.send(e.ReplyFailed(early.reply, "broken"))
    call.until(e.TurnDecided)
    fresh = call.last(e.StartReply)
    assert (fresh.request.early, fresh.request.audio[: len(early.request.audio)]) == (False, early.request.audio)
    assert fresh.utterance != early.utterance
    call.answer("Here you are.", heard="hello")
    call.play_out()
    assert call.history[1:] == [("caller", "hello"), ("agent", "Here you are.")]
    assert not call.all(e.HangUp)


def test_early_failures_do_not_count_towards_giving_up_the_call() -> None:
    call = adaptive(eager_attempts=9)
    for _ in range(3):
        early = held(call)
        call.send(e.ReplyFailed(early.reply, "broken"))
    call.until(e.TurnDecided)
    assert call.session.state is State.PROCESSING
    call.answer("Here.", heard="hello")
    call.play_out()
    assert call.session.state is State.LISTENING


def test_going_on_between_the_decision_and_the_first_audio_grows_the_turn() -> None:
    call = adaptive()
    early = held(call)
    call.until(e.TurnDecided)
    commands = call.say(64)
    assert commands[:2] == [e.CancelReply(early.reply), e.ForgetUtterance(early.utterance)]
    again = held(call, 304)
    assert again.request.audio.startswith(early.request.audio)


def test_the_longest_turn_holds_for_one_that_grew_after_its_decision() -> None:
    call = adaptive(max_utterance_ms=2000)
    early = held(call)
    call.until(e.TurnDecided)
    call.say(4000)
    assert call.last(e.StartReply).reply != early.reply


def test_a_noise_is_not_answered_early() -> None:
    call = adaptive(min_speech_ms=96)
    before = len(call.all(e.StartReply))
    call.say(40)
    call.time(1000)
    assert len(call.all(e.StartReply)) == before


def test_no_reply_is_held_while_digits_are_dialled() -> None:
    call = adaptive()
    call.send(e.Dtmf("1"))
    call.say(304)
    call.time(300)
    assert not [start for start in call.all(e.StartReply) if start.request.early]


def test_a_key_throws_a_held_reply_away() -> None:
    call = adaptive()
    early = held(call)
    call.answer("Of course.", heard="hello")
    commands = call.send(e.Dtmf("5"))
    assert e.CancelReply(early.reply) in commands
    call.until(e.TurnDecided)
    assert call.last(e.StartReply).request.digits == "5"


def test_hanging_up_cancels_a_held_reply() -> None:
    call = adaptive()
    early = held(call)
    assert e.CancelReply(early.reply) in call.send(e.HungUp())
    assert call.session.state is State.ENDED


def test_shutting_down_throws_a_held_reply_away() -> None:
    call = adaptive()
    early = held(call)
    assert e.CancelReply(early.reply) in call.send(e.Shutdown())
    assert call.last(e.StartReply).request.cue is Cue.SHUTDOWN


# How long a silence ends the turn


def waited(call: Call, partial: bool | None = None, *, text: str = "on monday", answer: str = "") -> float:
    """The silence that ended a turn of which the recognizer and the model said this."""
    call.say(608)
    call.send(e.Partial(call.session.utterance, text, Meaning.TURN, partial))
    before = len(call.all(e.StartReply))
    while not [c for c in call.time(20) if isinstance(c, e.TurnDecided)]:
        if answer and len(call.all(e.StartReply)) > before:
            before += 1
            call.send(e.ReplyText(call.last(e.StartReply).reply, answer))
    return gap_ms(call)


def expecting(expect: Expect, **turn: Any) -> Call:
    call = Call({}, **{"endpoint_min_ms": 50, "endpoint_max_ms": 3000} | turn)
    call.answer("Tell me.", done=Done(expect=expect))
    call.play_out()
    return call


@pytest.mark.parametrize(
    ("expect", "partial", "answer", "wait"),
    [
        (Expect.OPEN, None, "", 400),
        (Expect.YES_NO, None, "", 0.8 * 400),
        (Expect.DIGITS, None, "", 2 * 400),
        (Expect.SPELLING, None, "", 2 * 400),
        (Expect.OPEN, True, "", 0.8 * 400),
        (Expect.OPEN, False, "", 2.2 * 400),
        (Expect.OPEN, None, "Well", 0.9 * 400),
        (Expect.DIGITS, False, "", 2 * 2.2 * 400),
        (Expect.YES_NO, True, "Good", 0.8 * 0.8 * 0.9 * 400),
    ],
)
def test_every_witness_changes_the_wait(expect: Expect, partial: bool | None, answer: str, wait: float) -> None:
    found = waited(expecting(expect), partial, answer=answer)
    assert wait <= found <= wait + SLACK_MS


@pytest.mark.parametrize(
    ("switch", "expect", "partial", "answer"),
    [
        ("adapt_question", Expect.DIGITS, None, ""),
        ("adapt_words", Expect.OPEN, False, ""),
        ("adapt_reply", Expect.OPEN, None, "Well"),
    ],
)
def test_every_witness_has_a_switch(switch: str, expect: Expect, partial: bool | None, answer: str) -> None:
    found = waited(expecting(expect, **{switch: False}), partial, answer=answer)
    assert 400 <= found <= 400 + SLACK_MS


def held_with(finished: bool | None, expect: Expect = Expect.TIME, *, may_go_on: bool = False, **turn: Any) -> Call:
    """A caller pauses, and of what was said so far the recognizer says whether it is all, and may go on."""
    call = expecting(expect, **{"endpoint_min_ms": 380, "endpoint_max_ms": 1000} | turn)
    call.say(608)
    call.until(e.StartReply)
    call.send(e.CallerSaid(call.last(e.StartReply).reply, "on monday at nine", Meaning.TURN, finished, may_go_on))
    return call


@pytest.mark.parametrize(
    ("finished", "turn", "wait"),
    [
        (True, {}, 260),
        (False, {}, 1000),
        (None, {}, 400),
        (True, {"endpoint_complete_ms": 300}, 300),
        (True, {"adapt_transcript": False}, 400),
        (False, {"adapt_transcript": False}, 400),
    ],
)
def test_the_final_words_tell_whether_the_turn_is_over(finished: bool | None, turn: Any, wait: float) -> None:
    call = held_with(finished, **turn)
    call.until(e.TurnDecided)
    assert wait <= gap_ms(call) <= wait + SLACK_MS


@pytest.mark.parametrize(("may_go_on", "wait"), [(False, 260), (True, 700)])
def test_a_whole_request_is_over_soon_unless_it_may_go_on(may_go_on: bool, wait: float) -> None:
    call = held_with(True, Expect.OPEN, may_go_on=may_go_on)
    call.until(e.TurnDecided)
    assert wait <= gap_ms(call) <= wait + SLACK_MS


def test_what_was_all_is_not_when_the_caller_goes_on() -> None:
    call = held_with(True)
    call.say(320)
    assert not call.all(e.TurnDecided)[1:]  # the first greeted
    call.until(e.TurnDecided)
    assert 400 <= gap_ms(call) <= 400 + SLACK_MS


@pytest.mark.parametrize(("learns", "wait"), [(True, 1.15 * 640), (False, 400)])
def test_a_caller_who_pauses_is_given_more_time(learns: bool, wait: float) -> None:
    call = expecting(Expect.OPEN, adapt_pauses=learns, eager_attempts=0)
    call.say(608)
    call.send(e.Partial(call.session.utterance, "on", Meaning.TURN, complete=False))
    call.time(640)  # thinks, for less than the 880 ms that half a wish is given
    assert len(call.all(e.TurnDecided)) == 1
    call.say(320)
    call.until(e.TurnDecided)
    call.answer("Monday.", heard="on monday")
    call.play_out()
    found = waited(call)
    assert wait - WINDOW_MS <= found <= wait + SLACK_MS + WINDOW_MS


def test_the_wait_has_bounds() -> None:
    short, long = expecting(Expect.YES_NO, endpoint_min_ms=350), expecting(Expect.DIGITS, endpoint_max_ms=1000)
    assert 350 <= waited(short, True, answer="Good") <= 350 + SLACK_MS
    assert 1000 <= waited(long, False) <= 1000 + SLACK_MS


# Talking over the agent


def test_the_first_window_of_speech_pauses_the_agent() -> None:
    call, reply = speaking()
    commands = call.say(40)
    assert names(commands)[0] == "Pause"
    pause = commands[0]
    assert (pause.reply, call.session.state) == (reply, State.INTERRUPTED)
    assert pause.at_ms - pause.onset_ms <= 2 * WINDOW_MS
    assert not call.all(e.Interrupted)
    call.say(240)
    assert call.last(e.Hear).over
    assert call.last(e.Hear).utterance == call.session.utterance


def test_it_takes_less_to_pause_the_agent_than_to_begin_a_turn() -> None:
    call, reply = speaking(onset_probability=0.5, pause_probability=0.3)
    at_ms = int(call.session.now_ms) // WINDOW_MS * WINDOW_MS + WINDOW_MS
    assert names(call.send(e.SpeechProbability(0.29, at_ms))) == []
    assert names(call.send(e.SpeechProbability(0.35, at_ms + WINDOW_MS))) == ["Pause"]
    assert call.last(e.Pause).reply == reply
    listening = adaptive(onset_probability=0.5, pause_probability=0.3)
    at_ms = int(listening.session.now_ms) // WINDOW_MS * WINDOW_MS + WINDOW_MS
    listening.send(*(e.SpeechProbability(0.35, at_ms + n * WINDOW_MS) for n in range(20)))
    listening.time(1000)
    assert len(listening.all(e.StartReply)) == 1


def test_an_uh_huh_resumes_and_the_reply_is_whole_in_the_history() -> None:
    call, reply = paused()
    call.say(240)
    call.send(e.Partial(call.session.utterance, "uh-huh", Meaning.BACKCHANNEL))
    assert call.session.state is State.INTERRUPTED
    early = asked(call)
    assert early.request.early
    assert early.request.history[-1] == Turn("agent", "w1 w2", interrupted=True)
    commands = call.send(e.CallerSaid(early.reply, "uh-huh", Meaning.BACKCHANNEL))
    assert commands[0] == e.CancelReply(early.reply)
    assert e.ForgetUtterance(early.utterance) in commands
    assert commands[-1] == e.Resume(reply)
    assert resumed(call, reply)
    call.time(1000)
    call.play_out()
    assert call.history[1:] == [("caller", "hello"), ("agent", "w1 w2 w3 w4 w5 w6 w7 w8")]
    assert not call.all(e.Interrupted)
    assert not call.all(e.Drop)
    assert call.session.state is State.LISTENING


@pytest.mark.parametrize("text", ["uh-huh", "mm hmm", "okay", "yeah right"])
def test_where_the_recognizer_gives_words_only_they_tell_a_backchannel(text: str) -> None:
    call, reply = paused()
    call.say(240)
    call.until(e.StartReply)
    call.send(e.CallerSaid(call.last(e.StartReply).reply, text))
    assert resumed(call, reply)


def test_two_uh_huhs_pause_and_resume_twice() -> None:
    call, reply = paused()
    for _ in range(2):
        call.say(240)
        call.until(e.StartReply)
        call.send(e.CallerSaid(call.last(e.StartReply).reply, "uh-huh", Meaning.BACKCHANNEL))
        assert resumed(call, reply)
        call.time(600)
    assert len(call.all(e.Pause)) == 2 == len(call.all(e.Resume))


def test_a_no_cuts_the_reply_off_at_the_words_heard() -> None:
    call, reply = paused()
    call.say(100)
    commands = call.send(e.Partial(call.session.utterance, "no", Meaning.TURN))
    assert names(commands) == ["Drop", "CancelReply", "Interrupted", "Said"]
    assert commands[0] == e.Drop(reply)
    assert commands[1] == e.CancelReply(reply)
    assert commands[2].heard == "w1 w2"
    assert call.session.memory.history.turns()[-1] == Turn("agent", "w1 w2", interrupted=True)
    assert call.session.state is State.LISTENING
    early = asked(call)
    assert early.request.early
    call.answer("As you like.", heard="no", meaning=Meaning.TURN)
    assert names(call.until(e.TurnDecided)) == ["TurnDecided", "Said", "Play", "Play", "Play", "Play"]
    call.play_out()
    assert call.history[-2:] == [("caller", "no"), ("agent", "As you like.")]


def test_a_no_that_is_only_told_after_it_is_answered_with_the_reply_held() -> None:
    call, reply = paused()
    call.say(200)
    early = asked(call)
    assert call.session.state is State.INTERRUPTED
    commands = call.send(e.CallerSaid(early.reply, "no", Meaning.TURN))
    assert names(commands) == ["Drop", "CancelReply", "Interrupted", "Said"]
    assert {command.reply for command in commands[:3]} == {reply}
    call.send(e.ReplyText(early.reply, "Fine."), e.ReplyDone(early.reply, Done()))
    call.send(call.audio(early.reply, "Fine."), e.ReplyEnded(early.reply))
    commands = call.until(e.TurnDecided)
    assert commands[0].reply == early.reply
    assert e.CancelReply(early.reply) not in call.commands
    call.play_out()
    assert call.history[-3:] == [("agent", "w1 w2"), ("caller", "no"), ("agent", "Fine.")]


def test_a_long_sentence_without_any_words_interrupts_after_a_while() -> None:
    call, reply = paused(interrupt_ms=900)
    call.say(700)
    assert call.session.state is State.INTERRUPTED
    call.say(200)
    assert call.session.state is State.LISTENING
    interrupted = call.last(e.Interrupted)
    assert (interrupted.reply, interrupted.heard) == (reply, "w1 w2")
    assert 900 - WINDOW_MS <= interrupted.at_ms - interrupted.onset_ms <= 900 + SLACK_MS
    assert call.last(e.Pause).onset_ms == interrupted.onset_ms


@pytest.mark.parametrize("ms", [200, 500])
def test_a_noise_or_a_word_that_is_not_known_is_no_interruption(ms: int) -> None:
    call, reply = paused()
    call.say(ms)
    call.until(e.StartReply)
    call.send(e.CallerSaid(call.last(e.StartReply).reply, "", Meaning.NOTHING))
    assert resumed(call, reply)


def test_a_click_resumes_without_asking_anybody() -> None:
    call, reply = speaking()
    call.say(40)
    assert call.session.state is State.INTERRUPTED
    before = len(call.all(e.StartReply))
    assert "Resume" in names(call.time(240))
    assert resumed(call, reply)
    assert len(call.all(e.StartReply)) == before


def test_the_same_word_goes_on_when_the_burst_does() -> None:
    """A pause inside the speech over the agent drops what was asked too early, and asks again with all of it."""
    call, _ = paused()
    call.say(200)
    first = asked(call)
    assert e.CancelReply(first.reply) in call.say(64)
    call.say(100)
    second = asked(call)
    assert second.request.audio.startswith(first.request.audio)
    assert second.utterance == first.utterance + 1


# Speech far below the caller's level


def test_a_voice_in_the_background_resumes_and_does_not_pause_the_same_reply_again() -> None:
    call, reply = paused(db=QUIET_DB)
    call.send(e.Partial(call.session.utterance, "the weather tomorrow", Meaning.TURN))
    assert call.session.state is State.INTERRUPTED  # not words, but the level tells
    call.say(300, QUIET_DB)
    call.time(300, db=-60)
    assert resumed(call, reply)
    for _ in range(3):
        call.say(600, QUIET_DB)
        call.time(600, db=-60)
    assert len(call.all(e.Pause)) == 1
    call.say(200)
    assert len(call.all(e.Pause)) == 2


def test_a_long_voice_in_the_background_is_not_waited_for() -> None:
    call, reply = paused(db=QUIET_DB, interrupt_ms=900)
    call.say(1000, QUIET_DB)
    assert resumed(call, reply)
    call.say(2000, QUIET_DB)
    assert len(call.all(e.Pause)) == 1
    call.say(160)  # and now the caller
    assert len(call.all(e.Pause)) == 2
    assert call.last(e.Pause).at_ms - 160 <= call.session.now_ms


def test_a_voice_nearly_as_loud_as_the_caller_pauses_the_reply_once() -> None:
    """Not again and again, each time that it was waited for in vain."""
    call, reply = speaking(words=40)
    call.say(8000, USUAL_DB - 5)
    assert resumed(call, reply)
    assert len(call.all(e.Pause)) == 1


def test_an_uh_huh_over_a_voice_in_the_background_is_still_an_uh_huh() -> None:
    call, reply = paused(db=QUIET_DB, interrupt_ms=900)
    call.say(3000, QUIET_DB)
    assert resumed(call, reply)
    call.say(240)
    call.time(400, db=-60)
    assert not call.all(e.Interrupted)


def test_the_next_reply_is_paused_by_the_first_window_again() -> None:
    call, _ = paused(db=QUIET_DB)
    call.say(300, QUIET_DB)
    call.time(1000, db=-60)
    call.play_out()
    call.say(608)
    call.until(e.TurnDecided)
    call.answer("And so on.", heard="and then")
    call.say(40, QUIET_DB)
    assert len(call.all(e.Pause)) == 2


def test_before_the_first_turn_nobody_is_too_quiet() -> None:
    call = Call({})
    reply = call.answer("Hello this is the desk.")
    call.send(e.Played(reply, 290))
    call.say(60, -50)
    call.send(e.Partial(call.session.utterance, "hi", Meaning.TURN))
    assert call.last(e.Interrupted).heard == "Hello"


# An engine that hears by itself


def test_without_a_recognizer_the_first_word_of_the_held_reply_interrupts() -> None:
    call, reply = paused()
    call.say(200)
    early = asked(call)
    commands = call.send(e.ReplyText(early.reply, "Sure"))
    assert names(commands) == ["Drop", "CancelReply", "Interrupted", "Said"]
    assert commands[0] == e.Drop(reply)
    assert call.until(e.TurnDecided)[0].reply == early.reply


@pytest.mark.parametrize(
    "event",
    [e.ReplyUnfinished(3), e.ReplyDone(3, Done(), (ToolCall("t", {}),)), e.ReplyDone(3, Done(next=Next.HANG_UP))],
)
def test_without_a_recognizer_anything_the_model_wants_interrupts(event: e.Event) -> None:
    call, _ = paused()
    call.say(200)
    call.until(e.StartReply)
    assert call.last(e.StartReply).reply == 3
    assert "Interrupted" in names(call.send(event))
    assert not call.all(e.RunTools)


def test_without_a_recognizer_a_model_that_says_nothing_resumes() -> None:
    call, reply = paused()
    call.say(200)
    call.until(e.StartReply)
    early = call.last(e.StartReply).reply
    call.send(e.ReplyDone(early, Done()), e.ReplyEnded(early))
    assert resumed(call, reply)


def test_a_held_reply_that_fails_while_paused_resumes() -> None:
    call, reply = paused()
    call.say(200)
    call.until(e.StartReply)
    call.send(e.ReplyFailed(call.last(e.StartReply).reply, "broken"))
    assert resumed(call, reply)
    call.play_out()
    assert call.history[-1] == ("agent", "w1 w2 w3 w4 w5 w6 w7 w8")


# What cannot be talked over, and what comes meanwhile


@pytest.mark.parametrize("done", [Done(next=Next.HANG_UP), Done(next=Next.TRANSFER), Done(interruptible=False)])
def test_what_must_be_heard_is_never_paused(done: Done) -> None:
    call = adaptive()
    call.say(608)
    call.until(e.TurnDecided)
    reply = call.answer("Goodbye then my friend.", heard="bye", done=done)
    call.send(e.Played(reply, 290))
    call.say(1500)
    call.send(e.Dtmf("1"))
    assert call.session.state is State.SPEAKING
    assert not call.all(e.Pause)


def test_a_key_while_paused_interrupts() -> None:
    call, reply = paused()
    commands = call.send(e.Dtmf("7"))
    assert names(commands)[:4] == ["Drop", "CancelReply", "Interrupted", "Said"]
    assert commands[0] == e.Drop(reply)
    call.until(e.TurnDecided, 4000)
    assert call.last(e.StartReply).request.digits == "7"


def test_a_key_over_the_agent_interrupts_at_once() -> None:
    call, reply = speaking()
    commands = call.send(e.Dtmf("7"))
    assert names(commands) == ["Pause", "Drop", "CancelReply", "Interrupted", "Said"]
    assert call.last(e.Interrupted).heard == "w1 w2"
    assert call.session.state is State.LISTENING
    assert {command.reply for command in commands[:4]} == {reply}


@pytest.mark.parametrize("asked", [False, True])
def test_hanging_up_while_paused_keeps_the_words_heard(asked: bool) -> None:
    call, reply = paused()
    call.say(200)
    if asked:
        call.until(e.StartReply)
    commands = call.send(e.HungUp())
    cancelled = {command.reply for command in commands if isinstance(command, e.CancelReply)}
    assert cancelled == ({reply, call.last(e.StartReply).reply} if asked else {reply})
    assert call.session.memory.history.turns()[-1] == Turn("agent", "w1 w2", interrupted=True)
    assert call.session.state is State.ENDED


@pytest.mark.parametrize("asked", [False, True])
def test_shutting_down_while_paused_says_goodbye_at_once(asked: bool) -> None:
    call, reply = paused()
    call.say(200)
    if asked:
        call.until(e.StartReply)
        early = call.last(e.StartReply).reply
    commands = call.send(e.Shutdown())
    assert e.Drop(reply) in commands
    assert call.last(e.StartReply).request.cue is Cue.SHUTDOWN
    assert call.last(e.StartReply).request.history[-1] == Turn("agent", "w1 w2", interrupted=True)
    if asked:
        assert e.CancelReply(early) in commands
    call.answer("Sorry, goodbye.")
    call.play_out()
    assert call.last(e.HangUp) == e.HangUp()


def unfinished_reply() -> tuple[Call, int]:
    """A reply of which only two words were made, paused after the first."""
    call = adaptive()
    call.say(608)
    call.until(e.TurnDecided)
    reply = call.last(e.StartReply).reply
    call.send(e.CallerSaid(reply, "hello"), e.ReplyText(reply, "One two three"))
    call.send(call.audio(reply, "One"), call.audio(reply, "two"))
    call.send(e.Played(reply, 290))
    call.say(60)
    assert call.session.state is State.INTERRUPTED
    return call, reply


def uh_huh(call: Call) -> None:
    call.say(200)
    call.until(e.StartReply)
    call.send(e.CallerSaid(call.last(e.StartReply).reply, "uh-huh", Meaning.BACKCHANNEL))


def test_audio_that_comes_while_paused_is_played_after_the_resume() -> None:
    call, reply = unfinished_reply()
    commands = call.send(call.audio(reply, "three"), e.ReplyDone(reply, Done(state={"s": 1})), e.ReplyEnded(reply))
    # To the line, which keeps it: the pause is the line's.
    assert b"".join(command.pcm for command in commands if isinstance(command, e.Play)) == bytes(16 * WORD_MS)
    assert call.session.state is State.INTERRUPTED
    uh_huh(call)
    assert resumed(call, reply)
    call.play_out()
    assert call.history[-1] == ("agent", "One two three")
    assert call.session.state is State.LISTENING


def test_an_engine_that_fails_while_paused_leaves_what_was_made() -> None:
    call, reply = unfinished_reply()
    call.send(e.ReplyFailed(reply, "broken"))
    assert call.session.state is State.INTERRUPTED
    uh_huh(call)
    assert resumed(call, reply)
    call.send(e.Played(reply, 2 * WORD_MS))
    assert call.session.state is State.LISTENING
    assert not call.all(e.HangUp)


def test_an_engine_that_fails_while_paused_can_still_be_interrupted() -> None:
    call, reply = unfinished_reply()
    call.send(e.ReplyFailed(reply, "broken"))
    call.send(e.Partial(call.session.utterance, "stop", Meaning.TURN))
    assert call.last(e.Interrupted).heard == "One"
    call.until(e.TurnDecided)
    call.answer("Yes?", heard="stop")
    call.play_out()
    assert call.history[-1] == ("agent", "Yes?")


def test_a_reply_that_had_ended_at_the_pause_finishes_after_the_resume() -> None:
    """Audio without word times: how it ends, nobody can tell."""
    call = adaptive()
    call.say(608)
    call.until(e.TurnDecided)
    reply = call.last(e.StartReply).reply
    call.send(e.CallerSaid(reply, "hello"), e.ReplyText(reply, "Hm."), e.ReplyAudio(reply, bytes(16 * WORD_MS)))
    call.send(e.ReplyDone(reply, Done(expect=Expect.YES_NO)), e.ReplyEnded(reply))
    call.heard_ms = float(WORD_MS)  # all of it, but the mark is on its way
    call.say(60)
    assert call.session.state is State.INTERRUPTED
    uh_huh(call)
    assert e.Resume(reply) in call.commands
    assert call.session.state is State.LISTENING
    assert call.session.memory.history.turns()[-1] == Turn("agent", "Hm.")
    assert call.session.memory.expect is Expect.YES_NO
    assert not call.all(e.Interrupted)
    call.time(9000)
    assert call.last(e.StartReply).request.cue is Cue.REPROMPT


def test_speech_in_the_silence_after_the_last_word_is_an_answer_at_once() -> None:
    call, reply = speaking(words=2, heard=2)  # 10 ms of silence are still to come
    commands = call.say(40)
    assert names(commands)[:4] == ["Pause", "Drop", "CancelReply", "Interrupted"]
    assert call.session.memory.history.turns()[-1] == Turn("agent", "w1 w2")
    assert call.session.state is State.LISTENING
    call.say(200)
    early = asked(call)
    call.answer("Good.", heard="yeah", meaning=Meaning.BACKCHANNEL)
    assert call.until(e.TurnDecided)[0].reply == early.reply
    assert early.reply != reply
    call.play_out()
    assert call.history[-2:] == [("caller", "yeah"), ("agent", "Good.")]


def test_a_reply_that_is_still_being_made_has_no_last_word_yet() -> None:
    call = adaptive()
    call.say(608)
    call.until(e.TurnDecided)
    reply = call.last(e.StartReply).reply
    call.send(e.CallerSaid(reply, "hello"), e.ReplyText(reply, "One two"), call.audio(reply, "One"))
    call.heard_ms = 295.0
    call.say(60)
    assert call.session.state is State.INTERRUPTED


def test_an_engine_that_says_nothing_of_a_burst_does_not_leave_the_caller_in_silence() -> None:
    call, reply = paused(endpoint_max_ms=1000)
    call.say(200)
    early = asked(call)
    commands = call.until(e.Drop)
    assert commands[0] == e.Drop(reply)
    assert call.last(e.Interrupted).heard == "w1 w2"
    decided = next((command for command in commands if isinstance(command, e.TurnDecided)), None)
    assert (decided or call.until(e.TurnDecided)[0]).reply == early.reply
    assert gap_ms(call) <= 1000 + 2 * SLACK_MS


def test_a_mark_that_comes_while_paused_does_not_end_the_reply() -> None:
    call, reply = paused()
    call.send(e.Played(reply, 8 * WORD_MS))
    assert call.session.state is State.INTERRUPTED
    uh_huh(call)
    assert call.session.state is State.LISTENING
    assert call.history[-1] == ("agent", "w1 w2 w3 w4 w5 w6 w7 w8")


def test_without_resuming_speech_ends_a_reply_at_once() -> None:
    call, reply = speaking(resume=False)
    commands = call.say(40)
    assert names(commands)[:5] == ["Pause", "Drop", "CancelReply", "Interrupted", "Said"]
    assert call.last(e.Interrupted).heard == "w1 w2"
    call.send(e.Partial(call.session.utterance, "uh-huh", Meaning.BACKCHANNEL))
    call.time(1000)
    assert not call.all(e.Resume)
    assert call.last(e.Drop).reply == reply


def test_words_that_end_where_the_pause_was_are_heard() -> None:
    call = adaptive()
    call.say(608)
    call.until(e.TurnDecided)
    reply = call.last(e.StartReply).reply
    words = (Word("We", 0, 200), Word("open", 200, 500), Word("at", 500, 600))
    call.send(e.CallerSaid(reply, "hello"), e.ReplyText(reply, "We open at"), e.ReplyAudio(reply, bytes(9600), words))
    call.heard_ms = 500.0
    call.say(60)
    call.send(e.Partial(call.session.utterance, "wait", Meaning.TURN))
    assert call.last(e.Interrupted).heard == "We open"


# How loud the caller is, beside the voice detector


def loudness(**turn: Any) -> tuple[Call, float]:
    """A caller on a line with some noise, who has just said something; and where that ended, in ms."""
    call = Call({}, **{"eager_attempts": 0} | turn)
    call.greet()
    call.time(1000, db=-60)
    call.say(600)
    return call, call.session.now_ms


def decided(call: Call) -> e.TurnDecided:
    """The room's noise until the turn is decided."""
    while not any(command.cue is Cue.ANSWER for command in call.all(e.TurnDecided)):
        call.time(20, db=-60)
    return call.last(e.TurnDecided)


def test_the_silence_counts_from_the_last_loud_frame_not_from_the_detectors_last_window() -> None:
    call, end_ms = loudness(endpoint_ms=400)
    call.time(100, speech=True, db=-60)  # the detector has not noticed
    turn = decided(call)
    assert abs(turn.speech_end_ms - end_ms) <= 64
    assert turn.at_ms - end_ms <= 440
    late, end_ms = loudness(endpoint_ms=400, adapt_loudness=False)
    late.time(100, speech=True, db=-60)
    assert decided(late).at_ms - end_ms >= 480


def test_a_turn_that_is_over_waits_for_a_sound_that_may_be_speech() -> None:
    call, end_ms = loudness(endpoint_ms=400)
    call.time(360, db=-60)
    call.time(100, db=-20)  # the detector is not sure yet
    assert len(call.all(e.TurnDecided)) == 1
    call.say(300)
    assert decided(call).at_ms - end_ms > 760 + 360
    assert len(call.all(e.StartReply)) == 2
    plain, _ = loudness(endpoint_ms=400, adapt_loudness=False)
    plain.time(360, db=-60)
    plain.time(100, db=-20)
    assert len(plain.all(e.TurnDecided)) == 2


def test_a_sound_that_is_no_speech_holds_a_turn_up_for_a_moment_only() -> None:
    call, end_ms = loudness(endpoint_ms=400)
    call.time(300, db=-60)
    call.time(1000, db=-30)
    assert 560 <= decided(call).at_ms - end_ms <= 680
