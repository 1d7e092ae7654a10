"""Routes: the exact number first, then the longest pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.routing import Routes, user_of

ROUTES = Routes({"+31201234567": "desk", "+3120*": "bakery", "+31*": "dutch", "+3120123*": "garage", "sales": "shop"})


@pytest.mark.parametrize(
    ("called", "agent"),
    [
        ("+31201234567", "desk"),
        ("+31201234568", "garage"),
        ("+3120", "bakery"),
        ("+31101234567", "dutch"),
        ("+32101234567", None),
        ("sip:sales@pbx.example", "shop"),
        ("sips:%2B31201234567;phone-context=x@pbx.example", "desk"),
        ("salesman", None),
        ("", None),
        ("sip:@pbx.example", None),
    ],
)
def test_a_call_is_for_the_agent_of_its_route(called: str, agent: str | None) -> None:
    assert ROUTES.agent(called) == agent


def test_a_star_alone_is_the_rest() -> None:
    routes = Routes({"*": "rest", "1*": "one"})
    assert [routes.agent(called) for called in ("1", "2", "")] == ["one", "rest", None]


NUMBERS = st.text("+0123", min_size=1, max_size=6)


@given(st.dictionaries(st.builds(str.__add__, NUMBERS, st.sampled_from(["", "*"])), st.uuids().map(str)), NUMBERS)
def test_no_other_route_fits_better(routes: dict[str, str], called: str) -> None:
    fitting = [p for p in routes if p == called or (p.endswith("*") and called.startswith(p[:-1]))]
    best = max(fitting, key=lambda pattern: (pattern == called, len(pattern)), default=None)
    assert Routes(routes).agent(called) == (routes[best] if best else None)


@given(st.text())
def test_any_text_is_an_address(address: str) -> None:
    assert len(user_of(address)) <= len(address)
