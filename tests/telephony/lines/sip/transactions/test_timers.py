"""Deadlines."""

from math import inf

from telephony.lines.sip.transactions.timers import COMPACT_FROM, Timers


def test_in_order_of_time_then_of_setting() -> None:
    timers, fired = Timers(), []
    for name, due in (("b", 20.0), ("a", 10.0), ("c", 20.0), ("later", 30.0)):
        timers.start(due, lambda now, name=name: fired.append((name, now)))  # type: ignore[misc]
    assert timers.next_ms == 10.0
    timers.run(25.0)
    assert fired == [("a", 25.0), ("b", 25.0), ("c", 25.0)]
    assert (timers.next_ms, len(timers)) == (30.0, 1)


def test_stopped_timers_do_not_go_off() -> None:
    timers, fired = Timers(), []
    timer = timers.start(1.0, fired.append)
    timer.stop()
    timer.stop()
    assert (len(timers), timers.next_ms, timer.running) == (0, inf, False)
    timers.run(2.0)
    assert fired == []


def test_an_action_may_set_and_stop_others() -> None:
    timers, fired = Timers(), []
    other = timers.start(5.0, fired.append)

    def action(now: float) -> None:
        other.stop()
        timers.start(now, lambda _: fired.append(7.0))

    timers.start(5.0, action).stop()
    timers.start(4.0, action)
    timers.run(5.0)
    assert fired == [7.0]
    assert len(timers) == 0


def test_stopped_timers_take_no_room() -> None:
    """A thousand long session timers that were set anew leave nothing behind."""
    timers = Timers()
    kept = timers.start(9e9, lambda _: None)
    for n in range(10_000):
        timers.start(1e9 + n, lambda _: None).stop()
    assert len(timers._heap) <= COMPACT_FROM + 2
    assert (len(timers), timers.next_ms) == (1, 9e9)
    kept.stop()
    assert timers.next_ms == inf
