"""A session's deadlines."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from agent.timers import Timer, Timers


def test_the_earliest_is_known_and_each_comes_once() -> None:
    timers = Timers()
    assert timers.next_ms == inf
    timers.set(Timer.SILENCE, 300)
    timers.set(Timer.CALL, 900)
    timers.set(Timer.SILENCE, 500)
    assert timers.next_ms == 500
    assert timers.due(499) == []
    assert timers.due(500) == [Timer.SILENCE]
    assert timers.due(500) == []
    timers.unset(Timer.CALL)
    timers.unset(Timer.CALL)
    assert timers.next_ms == inf


@given(st.lists(st.tuples(st.sampled_from(Timer), st.integers(0, 100) | st.none())), st.integers(0, 100))
def test_what_is_due_is_what_was_set_and_not_unset(actions: list[tuple[Timer, int | None]], now: int) -> None:
    timers, expected = Timers(), dict[Timer, int]()
    for timer, at in actions:
        if at is None:
            timers.unset(timer)
            expected.pop(timer, None)
        else:
            timers.set(timer, at)
            expected[timer] = at
        assert timers.next_ms == min(expected.values(), default=inf)
    assert set(timers.due(now)) == {timer for timer, at in expected.items() if at <= now}
