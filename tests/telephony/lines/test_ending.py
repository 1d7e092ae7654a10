"""How a call ends: the first reason counts, and what was planned follows unless something failed."""

from telephony.lines.ending import End, Ending, Failed, HangUp, Transfer


def test_a_call_that_never_came_to_an_end_was_cancelled_and_failed() -> None:
    ending = Ending()
    assert ending.outcome == Failed()
    assert ending.summary() == {"reason": "cancelled", "outcome": "failed"}


def test_the_first_end_counts() -> None:
    ending = Ending()
    ending.finish(End("the caller hung up"))
    ending.finish(End("socket lost", failed=True))
    assert ending.outcome == HangUp()
    assert ending.summary() == {"reason": "the caller hung up", "outcome": "hangup"}


def test_what_was_planned_outlives_an_end_that_came_without_a_plan() -> None:
    ending = Ending()
    ending.finish(End("transferred"), Transfer("+15550100"))
    ending.finish(End("socket closed (1000)"))
    assert ending.outcome == Transfer("+15550100")
    assert ending.summary() == {"reason": "transferred", "outcome": "transfer"}


def test_nothing_that_was_planned_follows_a_failure() -> None:
    ending = Ending()
    ending.finish(End("internal error", failed=True), Transfer("+15550100"))
    assert ending.outcome == Failed()
