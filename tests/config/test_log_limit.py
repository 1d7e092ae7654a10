"""A bound for log lines that strangers cause."""

import logging

from hypothesis import given
from hypothesis import strategies as st

from config.log_limit import MAX_KINDS, LogLimit

NAME = "voxline.refused"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def line(message: str, *args: object, name: str = NAME) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, __file__, 1, message, args, None)


def test_a_flood_leaves_the_burst_and_then_a_line_a_second_with_the_number_of_those_left_out() -> None:
    clock = Clock()
    limit = LogLimit([NAME], burst=3, per_s=1, clock=clock)
    assert [limit.filter(line("refused: %s", n)) for n in range(10)] == [True] * 3 + [False] * 7
    clock.now_s += 1
    told, more = line("refused: %s", "x"), line("refused: %s", "y")
    assert (limit.filter(told), limit.filter(more)) == (True, False)
    assert vars(told)["left_out"] == 7
    clock.now_s += 3600
    quiet = [line("refused: %s", n) for n in range(4)]
    assert [limit.filter(one) for one in quiet] == [True] * 3 + [False]
    assert [vars(one).get("left_out") for one in quiet[:3]] == [1, None, None]


def test_what_is_flooded_leaves_room_for_other_lines() -> None:
    limit = LogLimit([NAME], burst=1, clock=Clock())
    assert [limit.filter(line("no route")) for _ in range(3)] == [True, False, False]
    assert limit.filter(line("the signature is wrong"))
    assert all(limit.filter(line("no route", name="voxline.call")) for _ in range(3))
    assert all(limit.filter(line("no route", name=NAME + ".more")) for _ in range(3))


def test_kinds_are_bounded_too() -> None:
    clock = Clock()
    limit = LogLimit([NAME], burst=2, per_s=1, clock=clock)
    passed = sum(limit.filter(line(f"written by somebody who fills in: {n}")) for n in range(10_000))
    assert passed == MAX_KINDS + 2
    assert len(limit._kinds) == MAX_KINDS + 1
    clock.now_s += 3
    assert limit.filter(line("something else"))
    assert len(limit._kinds) == 1


@given(st.lists(st.floats(0, 5), max_size=200))
def test_never_more_than_the_burst_and_the_rate(gaps: list[float]) -> None:
    clock = Clock()
    limit = LogLimit([NAME], burst=5, per_s=2, clock=clock)
    passed = left_out = 0
    for gap in gaps:
        clock.now_s += gap
        record = line("refused: %s", gap)
        passed += limit.filter(record)
        left_out += vars(record).get("left_out", 0)
    assert passed <= 5 + 2 * (clock.now_s - 100) + 1e-6
    assert passed + left_out <= len(gaps)
