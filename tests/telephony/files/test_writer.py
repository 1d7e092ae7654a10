"""The thread that writes: each file's turn, its end, and a stop that waits only so long."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from telephony.files.writer import Writer
from tests.waiting import until_here

Open = Callable[..., Writer[str]]


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What was done with which file."""
    return []


@pytest.fixture
def writer(told: list[tuple[str, str]]) -> Iterator[Open]:
    """A writer of names that looks every 10 ms; stopped at the end."""
    writers: list[Writer[str]] = []

    def start(**options: Any) -> Writer[str]:
        usual: dict[str, Any] = {
            "every_s": 0.01,
            "stop_s": 5,
            "begin": lambda: False,
            "flush": lambda name: told.append(("flush", name)),
            "finish": lambda name: told.append(("finish", name)),
            "idle": lambda: False,
        }
        writers.append(Writer("test", **usual | options))
        writers[-1].start()
        return writers[-1]

    yield start
    for one in writers:
        one.stop()


def test_an_open_file_is_flushed_again_and_again(writer: Open, told: list[tuple[str, str]]) -> None:
    writer().open("a")
    until_here(lambda: told.count(("flush", "a")) > 2)
    assert ("finish", "a") not in told


def test_a_closed_file_is_flushed_finished_and_forgotten(writer: Open, told: list[tuple[str, str]]) -> None:
    one = writer(every_s=60)  # it is woken
    one.open("a")
    assert one.close("a", most=1)
    until_here(lambda: told == [("flush", "a"), ("finish", "a")])


def test_what_is_asked_is_done_after_what_was_closed_has_been_finished(
    writer: Open, told: list[tuple[str, str]]
) -> None:
    one = writer(every_s=60)  # it is woken
    one.open("a")
    one.close("a", most=1)
    assert one.ask(lambda: told[-1]).result(20) == ("finish", "a")


def test_what_is_asked_and_fails_costs_nothing_else(writer: Open, told: list[tuple[str, str]]) -> None:
    one = writer(every_s=60)
    with pytest.raises(OSError, match="no disk"):
        one.ask(lambda: (_ for _ in ()).throw(OSError("no disk"))).result(20)
    one.open("a")
    one.close("a", most=1)
    until_here(lambda: ("finish", "a") in told)


def test_a_stop_finishes_what_is_open(writer: Open, told: list[tuple[str, str]]) -> None:
    one = writer(every_s=0.5)
    one.open("a")
    one.stop()
    assert not one.thread.is_alive()
    assert told[-1] == ("finish", "a")


def test_only_so_many_wait_to_be_finished(writer: Open) -> None:
    hangs = threading.Event()
    one = writer(flush=lambda _: hangs.wait(10), stop_s=0.1)
    one.open("a")
    until_here(lambda: one.close("a", most=1))
    until_here(lambda: not one._closed or hangs.wait(0.05))
    closed = [one.close(name, most=1) for name in "bcd"]
    assert closed.count(True) <= 1
    hangs.set()


def test_while_there_is_something_to_do_rounds_follow_at_once(writer: Open) -> None:
    rests = list(range(100))
    writer(every_s=60, begin=lambda: True, idle=lambda: bool(rests and rests.pop() is not None and rests))
    until_here(lambda: not rests)


def test_a_stop_waits_only_so_long(writer: Open) -> None:
    hangs = threading.Event()
    one = writer(flush=lambda _: hangs.wait(10), stop_s=0.05)
    one.open("a")
    one.stop()
    assert one.thread.is_alive()
    hangs.set()
