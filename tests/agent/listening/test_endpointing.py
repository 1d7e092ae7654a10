"""How long a silence ends the turn: what each witness changes, its switch, and the bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Expect
from agent.listening.endpointing import PAUSE_MARGIN, wait_ms
from config.settings import TurnSettings

UNBOUND = {"endpoint_ms": 400, "endpoint_min_ms": 50, "endpoint_max_ms": 100_000}
SWITCHES = ("adapt_question", "adapt_words", "adapt_reply", "adapt_pauses")


def settings(**turn: object) -> TurnSettings:
    return TurnSettings.model_validate(UNBOUND | turn)


def test_with_nothing_known_it_is_the_usual_silence() -> None:
    assert wait_ms(settings()) == 400
    assert wait_ms(settings(endpoint_ms=700)) == 700


def test_a_yes_or_no_is_soon_over_and_digits_are_not() -> None:
    waits = [wait_ms(settings(), expect=expect) for expect in (Expect.YES_NO, Expect.OPEN, Expect.DIGITS)]
    assert waits == sorted(waits)
    assert waits[0] < 400 < waits[2]
    assert wait_ms(settings(), expect=Expect.SPELLING) == waits[2]


@pytest.mark.parametrize("witness", ["complete", "answered"])
def test_words_and_model_shorten_or_lengthen_it(witness: str) -> None:
    assert wait_ms(settings(), **{witness: True}) < 400 < wait_ms(settings(), **{witness: False})
    assert wait_ms(settings(), **{witness: None}) == 400


def test_witnesses_multiply() -> None:
    both = wait_ms(settings(), expect=Expect.DIGITS, complete=False)
    assert both == pytest.approx(400 * 2.0 * 2.2)


def test_a_caller_who_pauses_is_waited_for_a_little_longer_than_that() -> None:
    assert wait_ms(settings(), pauses=[600]) == pytest.approx(600 * PAUSE_MARGIN)
    assert wait_ms(settings(), pauses=[100, 200]) == 400  # never shorter
    # One long pause among many short ones is an exception; the eighth of ten is not.
    assert wait_ms(settings(), pauses=[100] * 9 + [2000]) == 400
    assert wait_ms(settings(), pauses=[100] * 7 + [700, 800, 900]) == pytest.approx(700 * PAUSE_MARGIN)
    assert wait_ms(settings(), pauses=[900, 800, 700] + [100] * 7) == pytest.approx(700 * PAUSE_MARGIN)


def test_every_witness_has_a_switch() -> None:
    off = settings(**dict.fromkeys(SWITCHES, False))
    known = {"expect": Expect.DIGITS, "pauses": [900.0], "complete": False, "answered": False}
    assert wait_ms(off, **known) == 400
    for switch, (name, value) in zip(
        SWITCHES, [("expect", Expect.DIGITS), ("complete", False), ("answered", False), ("pauses", [900])], strict=True
    ):
        assert wait_ms(settings(**dict.fromkeys(SWITCHES, False) | {switch: True}), **known) > 400
        assert wait_ms(settings(**{switch: False}), **{name: value}) == 400


def test_the_final_words_decide_and_only_long_pauses_count_beside_them() -> None:
    bound = settings(endpoint_complete_ms=260, endpoint_open_ms=700, endpoint_min_ms=380, endpoint_max_ms=1000)
    known = {"expect": Expect.DIGITS, "complete": False, "answered": False}
    assert wait_ms(bound, finished=True, **known) == 260
    assert wait_ms(bound, finished=True) == 260
    assert wait_ms(bound, finished=False, complete=True, answered=True) == 1000
    assert wait_ms(bound, finished=None, complete=True, answered=True) == 380
    assert wait_ms(bound, finished=True, complete=True, may_go_on=True) == 700  # a request without its day
    assert wait_ms(bound, finished=None, may_go_on=True) == 700
    assert wait_ms(bound, finished=None, may_go_on=True, expect=Expect.DIGITS) == 800  # never sooner than by the rest
    assert wait_ms(bound, finished=True, expect=Expect.YES_NO, pauses=[400]) == pytest.approx(400 * PAUSE_MARGIN)
    off = settings(adapt_transcript=False)
    assert wait_ms(off, finished=True, may_go_on=True) == wait_ms(off, finished=False) == 400


@given(
    expect=st.sampled_from(Expect),
    pauses=st.lists(st.floats(0, 10_000), max_size=12),
    complete=st.sampled_from([None, True, False]),
    answered=st.sampled_from([None, True, False]),
)
def test_whatever_is_known_the_bounds_hold(
    expect: Expect, pauses: list[float], complete: bool | None, answered: bool | None
) -> None:
    bound = settings(endpoint_min_ms=350, endpoint_max_ms=1000)
    assert 350 <= wait_ms(bound, expect=expect, pauses=pauses, complete=complete, answered=answered) <= 1000


@given(pauses=st.lists(st.floats(0, 3000), min_size=1, max_size=12), more=st.floats(0, 500))
def test_longer_pauses_never_shorten_it(pauses: list[float], more: float) -> None:
    assert wait_ms(settings(), pauses=[pause + more for pause in pauses]) >= wait_ms(settings(), pauses=pauses)
