"""What a model is told with a request."""

from agent import events as e
from agent.engine.base import ANY_DIGITS, HIDDEN, Cue, Done, Expect, ToolResult, Turn, Word
from agent.listening.caller_turn import CallerTurn
from agent.memory import Memory
from agent.speaking.reply import Reply
from config.settings import TurnSettings

RESULT = ToolResult("book", {"day": "monday"}, {"ok": True})


def caller_with(pcm: bytes, digits: str = "", wide: bytes = b"") -> CallerTurn:
    caller = CallerTurn(TurnSettings())
    caller.hear(pcm, wide)
    caller.begin()
    caller.digits = digits
    return caller


def memory() -> Memory:
    return Memory("CA1", "desk", max_turns=4)


def test_an_answer_has_the_turns_audio_and_digits_and_other_requests_have_not() -> None:
    pcm, reply = bytes(range(256)) * 10, Reply(3, Cue.ANSWER, speculative=True)
    reply.rounds = 2
    answer = memory().request(reply, Cue.ANSWER, caller_with(pcm, "12"), None)
    assert (answer.id, answer.call, answer.agent, answer.early) == ("CA1/3.2", "CA1", "desk", True)
    assert (answer.audio, answer.digits) == (pcm, "12")
    assert answer.wide == b""
    tool = memory().request(reply, Cue.TOOL, caller_with(pcm, "12"), None)
    assert (tool.audio, tool.digits) == (b"", "")


def test_of_a_wide_band_line_the_turns_audio_is_there_at_both_rates() -> None:
    pcm, wide = bytes(range(256)) * 10, bytes(range(256)) * 20
    answer = memory().request(Reply(1, Cue.ANSWER), Cue.ANSWER, caller_with(pcm, wide=wide), None)
    assert (answer.audio, answer.wide) == (pcm, wide)
    tool = memory().request(Reply(1, Cue.ANSWER), Cue.TOOL, caller_with(pcm, wide=wide), None)
    assert (tool.audio, tool.wide) == (b"", b"")


def test_what_was_heard_of_a_paused_reply_counts_as_cut_off() -> None:
    known, paused = memory(), Reply(1, Cue.ANSWER)
    known.caller_said("hello", 0)
    nothing = known.request(Reply(2, Cue.ANSWER), Cue.ANSWER, caller_with(b""), paused)
    assert nothing.history == (Turn("caller", "hello"),)
    paused.heard.add(600, (Word("Good", 0, 290), Word("morning", 300, 590)))
    paused.heard.played(300)
    asked = known.request(Reply(2, Cue.ANSWER), Cue.ANSWER, caller_with(b""), paused)
    assert asked.history == (Turn("caller", "hello"), Turn("agent", "Good", interrupted=True))
    assert known.history.turns() == (Turn("caller", "hello"),)


def test_results_are_told_until_the_caller_has_heard_something() -> None:
    known = memory()
    known.ran((RESULT,))
    known.caller_said("and then?", 10)
    for _ in range(2):
        assert known.request(Reply(2, Cue.ANSWER), Cue.ANSWER, caller_with(b""), None).tool_results == (RESULT,)
    assert known.caller_heard("It is booked.", 20, interrupted=True) == e.Said("agent", "It is booked.", True, 20)
    assert known.request(Reply(3, Cue.ANSWER), Cue.ANSWER, caller_with(b""), None).tool_results == ()


def test_the_models_state_stays_until_there_is_another_and_what_is_expected_changes_each_time() -> None:
    known = memory()
    known.keep(Done(state={"step": 1}, expect=Expect.DIGITS, expect_digits=(6, 8)))
    assert (known.expect, known.expect_digits) == (Expect.DIGITS, (6, 8))
    known.keep(Done())
    assert (known.expect, known.expect_digits) == (Expect.OPEN, ANY_DIGITS)
    assert known.request(Reply(2, Cue.ANSWER), Cue.ANSWER, caller_with(b""), None).state == {"step": 1}


def test_a_turn_without_words_is_filled_in_once() -> None:
    known = memory()
    assert known.caller_spoke(7) == e.Transcribe(7)
    assert known.transcribed(7, "", 5) == []
    assert known.transcribed(7, "hello", 5) == [e.Said("caller", "hello", False, 5)]
    assert known.transcribed(7, "hello", 6) == []


def test_keys_that_were_pressed_are_a_turn_and_settle_the_tools_before_them() -> None:
    one = memory()
    one.ran((RESULT,))
    one.pressed("2#")
    request = one.request(Reply(2, Cue.ANSWER), Cue.ANSWER, caller_with(b""), None)
    assert (request.history, request.tool_results) == ((Turn("keys", "2#"),), ())


def test_a_request_says_when_the_call_began_and_when_the_caller_spoke() -> None:
    caller = caller_with(bytes(16000))
    caller.detector.last_speech_ms = 840
    known = Memory("CA1", "desk", max_turns=4, started_s=1_790_000_000.5)
    request = known.request(Reply(1, Cue.ANSWER), Cue.ANSWER, caller, None)
    assert (request.started_s, request.turn_end_ms) == (1_790_000_000.5, caller.speech_end_ms)
    assert request.turn_end_ms > 0


def test_what_a_dialogue_has_filled_is_kept_over_its_tasks_but_no_secret_and_nothing_private() -> None:
    known = memory()
    known.keep(Done({"slots": {"day": "Friday", "pin": HIDDEN, "time": ""}}))
    known.keep(Done({"slots": {}}))
    known.keep(Done({"fallback": {"dialogue": {"slots": {"day": "Monday"}}}}))
    assert known.filled == {"day": "Monday"}
    known.privacy.switch(0, on=False)
    known.keep(Done({"slots": {"day": "Monday", "street": "12 Oak Avenue"}}))
    known.privacy.switch(0, on=True)
    known.keep(Done({"slots": {"day": "Monday", "street": "12 Oak Avenue", "at": "15:00"}}))
    assert known.filled == {"day": "Monday", "at": "15:00"}
    for state in ({"slots": 5}, {"fallback": 5}, {"fallback": {"dialogue": 5}}, {"slots": {"n": [1, None]}}):
        known.keep(Done(state))
    assert known.filled == {"day": "Monday", "at": "15:00"}
