"""The throttle: guesses are slowed more and more, but nobody for ever, and by bounded means."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.server.sign_in.throttle import FORGOTTEN_S, FREE, Throttle

LONGEST_S = 30.0


def test_the_first_failures_cost_nothing_and_then_the_wait_doubles() -> None:
    throttle = Throttle(4096, LONGEST_S)
    now_s, waits = 0.0, []
    for _ in range(FREE + 8):
        wait_s = throttle.wait_s("ann", now_s)
        waits.append(wait_s)
        now_s += wait_s
        throttle.attempt("ann", now_s)
    assert waits == [0.0] * FREE + [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_S, LONGEST_S, LONGEST_S]


def test_success_and_time_forget_them() -> None:
    throttle = Throttle(4096, LONGEST_S)
    for _ in range(FREE):
        throttle.attempt("ann", 0)
    assert throttle.wait_s("ann", 0) > 0
    throttle.succeeded("ann")
    assert throttle.wait_s("ann", 0) == 0
    for _ in range(FREE + 9):
        throttle.attempt("ann", 0)
    assert throttle.wait_s("ann", FORGOTTEN_S + 1) == 0
    throttle.attempt("ann", FORGOTTEN_S + 1)
    assert throttle.wait_s("ann", FORGOTTEN_S + 1) == 0


def test_many_at_once_are_no_way_round() -> None:
    """They count before it is known whether they fail."""
    throttle = Throttle(4096, LONGEST_S)
    allowed = 0
    for _ in range(1000):
        if throttle.wait_s("ann", 0) == 0:
            throttle.attempt("ann", 0)
            allowed += 1
    assert allowed == FREE


def test_any_number_of_names_takes_the_same_memory() -> None:
    throttle = Throttle(16, LONGEST_S)
    for number in range(1000):
        throttle.attempt(f"{number}\ud800", 0)
    assert len(throttle._failures) <= 16


@given(st.lists(st.tuples(st.floats(0, 2000), st.booleans()), max_size=60))
def test_nobody_waits_longer_than_the_longest(steps: list[tuple[float, bool]]) -> None:
    throttle = Throttle(1, LONGEST_S)
    now_s = 0.0
    for passed_s, good in steps:
        now_s += passed_s
        assert 0 <= throttle.wait_s("ann", now_s) <= LONGEST_S
        throttle.attempt("ann", now_s)
        if good:
            throttle.succeeded("ann")
            assert throttle.wait_s("ann", now_s) == 0
