"""What follows a stream: answered as often as asked, but not kept forever."""

from telephony.lines.ending import Failed, HangUp, Transfer
from telephony.lines.outcomes import Outcomes


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_outcome_is_told_again_when_twilio_asks_again() -> None:
    outcomes = Outcomes(60, Clock())
    outcomes.put("a", Transfer("+15550100"))
    outcomes.put("b", Failed())
    assert outcomes.get("a") == Transfer("+15550100")
    assert outcomes.get("a") == Transfer("+15550100")
    assert outcomes.get("b") == Failed()
    assert outcomes.get("unknown") == HangUp()


def test_a_later_outcome_replaces_the_earlier() -> None:
    outcomes = Outcomes(60, Clock())
    outcomes.put("a", Transfer("+15550100"))
    outcomes.put("a", HangUp())
    assert outcomes.get("a") == HangUp()


def test_calls_that_are_just_hung_up_take_no_memory() -> None:
    outcomes = Outcomes(60, Clock())
    for number in range(1000):
        outcomes.put(f"call {number}", HangUp())
    assert len(outcomes) == 0


def test_outcomes_expire() -> None:
    clock = Clock()
    outcomes = Outcomes(60, clock)
    outcomes.put("a", Failed())
    outcomes.put("b", Failed())
    clock.now += 60
    assert outcomes.get("a") == HangUp()
    outcomes.put("c", Failed())
    assert len(outcomes) == 1  # a and b are gone


def test_the_oldest_goes_when_there_are_too_many() -> None:
    outcomes = Outcomes(60, Clock(), limit=2)
    for call in "abc":
        outcomes.put(call, Failed())
    assert len(outcomes) == 2
    assert outcomes.get("a") == HangUp()
    assert (outcomes.get("b"), outcomes.get("c")) == (Failed(), Failed())
