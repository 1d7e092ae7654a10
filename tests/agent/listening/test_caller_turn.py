"""The caller's side: turns that open, grow, are heard again and end, and what the call teaches about this caller."""

import pytest

from agent.engine.base import Expect, Meaning
from agent.listening.caller_turn import MAX_DIGITS, CallerTurn
from audio.rate import WINDOW_MS
from config.settings import TurnSettings
from tests.agent.phone import frame


class Talk:
    """A caller whose audio and windows of speech go on in step."""

    def __init__(self, **turn: object) -> None:
        self.caller = CallerTurn(TurnSettings.model_validate({"endpoint_min_ms": 50} | turn))
        self.windows = 0

    def windows_of(self, count: int, *, speech: bool, db: float = -20) -> None:
        for _ in range(count):
            self.windows += 1
            self.caller.hear(frame(db) + frame(db)[:192])  # 32 ms
            self.caller.detector.update(0.9 if speech else 0.0, self.windows * WINDOW_MS)


def test_nobody_talks_at_first() -> None:
    caller = Talk().caller
    assert (caller.talking, caller.turn_speech_ms, caller.digits, caller.meaning) == (False, 0, "", None)


def test_a_turn_begins_with_the_moment_before_it_was_noticed() -> None:
    talk = Talk(preroll_ms=320)
    talk.windows_of(30, speech=False)
    talk.windows_of(1, speech=True)
    talk.caller.begin()
    assert talk.caller.talking
    assert len(talk.caller.utterance.whole()[0]) == 320 * 16


def test_a_turn_is_talked_through_its_pauses_and_its_speech_is_summed() -> None:
    talk = Talk()
    talk.windows_of(10, speech=True)
    talk.caller.begin()
    talk.windows_of(5, speech=False)
    assert talk.caller.talking
    assert talk.caller.turn_speech_ms == 10 * WINDOW_MS
    talk.caller.decided()
    assert not talk.caller.talking
    assert talk.caller.turn_speech_ms == 10 * WINDOW_MS
    talk.windows_of(4, speech=True)  # they go on before the answer
    talk.caller.begin()
    assert talk.caller.turn_speech_ms == 14 * WINDOW_MS


def test_a_turn_that_ended_leaves_nothing_to_the_next() -> None:
    talk = Talk()
    talk.windows_of(10, speech=True)
    caller = talk.caller
    caller.begin(over=True)
    caller.attempts = 2
    caller.dial("4")
    caller.decided()
    caller.end()
    assert (caller.turn_speech_ms, caller.digits, caller.utterance.open) == (0, "", False)
    talk.windows_of(2, speech=True)
    caller.begin()
    assert (caller.over, caller.attempts, caller.turn_speech_ms) == (False, 0, 2 * WINDOW_MS)


def test_more_of_an_open_turn_is_the_same_turn_under_a_new_number() -> None:
    talk = Talk()
    talk.windows_of(10, speech=True)
    caller = talk.caller
    caller.begin(over=True)
    caller.attempts = 2
    number, audio = caller.utterance.number, caller.utterance.whole()
    assert caller.utterance.block()
    caller.meaning, caller.complete = Meaning.BACKCHANNEL, True
    caller.begin()
    assert caller.utterance.number == number + 1
    assert caller.utterance.whole() == audio == caller.utterance.block()
    assert (caller.over, caller.attempts) == (True, 2)
    assert (caller.meaning, caller.complete) == (None, None)


def test_pauses_inside_turns_are_remembered_the_last_ones_only() -> None:
    talk = Talk(endpoint_ms=100, endpoint_max_ms=3000)
    talk.windows_of(5, speech=True)
    talk.caller.begin()
    assert talk.caller.wait_ms(Expect.OPEN) == 100
    talk.windows_of(20, speech=False)
    talk.windows_of(1, speech=True)
    talk.caller.paused_and_went_on()
    assert talk.caller.wait_ms(Expect.OPEN) == pytest.approx(1.15 * 20 * WINDOW_MS)
    for _ in range(20):
        talk.windows_of(10, speech=False)
        talk.windows_of(1, speech=True)
        talk.caller.paused_and_went_on()
    assert talk.caller.wait_ms(Expect.OPEN) == pytest.approx(1.15 * 10 * WINDOW_MS)


def test_the_wait_knows_what_the_recognizer_says_of_this_turn_only() -> None:
    caller = Talk(endpoint_ms=400).caller
    caller.begin()
    caller.complete = False
    assert caller.wait_ms(Expect.OPEN) > 400
    caller.listen_again()
    assert caller.wait_ms(Expect.OPEN) == 400
    assert caller.wait_ms(Expect.OPEN, answered=True) < 400


def test_a_pause_in_the_middle_of_an_answer_tells_nothing_of_its_end() -> None:
    talk = Talk(endpoint_ms=400, endpoint_complete_ms=260)
    talk.caller.begin()
    talk.windows_of(3, speech=True)
    for finished in (False, True):
        talk.caller.finished = finished
        talk.windows_of(19, speech=False)
        talk.windows_of(1, speech=True)
        talk.caller.paused_and_went_on()
        talk.caller.finished = True
        assert talk.caller.wait_ms(Expect.DIGITS) == pytest.approx(1.15 * 19 * WINDOW_MS if finished else 260)
    talk.caller.finished = None
    assert talk.caller.wait_ms(Expect.OPEN) == pytest.approx(1.15 * 19 * WINDOW_MS)


def test_near_is_told_by_the_burst_and_by_the_moment() -> None:
    talk = Talk(background_db=6)
    talk.windows_of(20, speech=True, db=-20)
    assert talk.caller.near()
    talk.caller.begin()
    talk.caller.level.learn()
    talk.caller.end()
    talk.windows_of(20, speech=False, db=-60)
    talk.caller.begin()
    talk.windows_of(20, speech=True, db=-40)
    assert not talk.caller.near()
    assert not talk.caller.surely_near_now()
    talk.windows_of(5, speech=True, db=-18)
    assert talk.caller.surely_near_now()


def test_digits_are_kept_in_order_and_bounded() -> None:
    caller = Talk().caller
    for digit in "12*" * MAX_DIGITS:
        caller.dial(digit)
    assert caller.digits == ("12*" * MAX_DIGITS)[:MAX_DIGITS]


@pytest.mark.parametrize(
    ("silence_ms", "attempts", "digit", "early"),
    [
        (199, 0, "", False),
        (200, 0, "", True),
        (399, 1, "", True),
        (399, 2, "", False),  # the turn has gone on twice
        (400, 0, "", False),  # the turn is about to be decided anyway
        (300, 0, "1", False),  # more keys may follow
    ],
)
def test_a_reply_is_made_early_in_a_short_silence(silence_ms: float, attempts: int, digit: str, early: bool) -> None:
    caller = Talk(eager_ms=200, endpoint_ms=400, eager_attempts=2).caller
    caller.attempts, caller.digits = attempts, digit
    assert caller.early(silence_ms) is early
