"""eot-bench's measure: what a setting cuts off and how late it answers, and the best of many."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.eot_measure import Outcome, Pause, best, outcome

LENGTHS = (100.0, 200.0, 400.0, 900.0, 5000.0, 6000.0)


def silence(wait_ms: float) -> Outcome:
    """What silence alone does to these pauses and to two turns."""
    return outcome([Pause(ms, wait_ms < ms) for ms in LENGTHS], [wait_ms, wait_ms], 3500, {"wait_ms": wait_ms})


def test_pauses_shorter_than_the_wait_are_not_cut_off() -> None:
    # 100 ms is no pause, 6 s a break: four count.
    assert silence(300) == Outcome(3 / 4, 300, {"wait_ms": 300})
    assert silence(900).cut_off == 1 / 4
    assert silence(5000).cut_off == 0


def test_a_rule_that_never_ends_a_turn_has_its_timeout_for_latency() -> None:
    found = outcome([Pause(400, False)], [200, inf], 1000)
    assert found == Outcome(0, 600)


def test_the_soonest_of_those_that_cut_off_few_enough() -> None:
    settings = [Outcome(0.04, 900), Outcome(0.05, 700), Outcome(0.051, 500), Outcome(0.3, 200)]
    assert best(settings, 0.05) == Outcome(0.05, 700)
    assert best(settings, 0.10) == Outcome(0.051, 500)
    assert best(settings, 0.01) is None


@pytest.mark.parametrize(("pauses", "ends"), [([], [300.0]), ([Pause(100, True)], [300.0]), ([Pause(400, True)], [])])
def test_a_set_without_pauses_or_ends_has_no_measure(pauses: list[Pause], ends: list[float]) -> None:
    with pytest.raises(ValueError, match="turns, and pauses"):
        outcome(pauses, ends, 1000)


@given(lengths=st.lists(st.floats(200, 5000), min_size=1), waits=st.lists(st.floats(200, 3500), min_size=1))
def test_silence_alone_is_best_at_the_length_of_a_pause_or_the_shortest_wait(
    lengths: list[float], waits: list[float]
) -> None:
    settings = [outcome([Pause(ms, wait < ms) for ms in lengths], [wait], 3500) for wait in waits]
    found = best(settings, 0.10)
    allowed = [wait for wait in waits if sum(wait < ms for ms in lengths) <= 0.10 * len(lengths) + 1e-6]
    assert (found.latency_ms if found else None) == pytest.approx(min(allowed, default=None))
