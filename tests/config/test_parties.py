"""Who calls whom: bounded, plain, masked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.parties import MAX_CHARS, Parties, is_filled, masked, parties

ANN = Parties("+15550100123", "+15550100199", "Ann Lee", "sip:desk@example.com", verified=True)


def test_texts_are_filled() -> None:
    assert (
        ANN.fill("{caller} ({caller_name}) for {called}, {other}") == "+15550100123 (Ann Lee) for +15550100199, {other}"
    )
    assert Parties().fill("You call from {caller}.") == "You call from unknown."
    assert is_filled("for {called}")
    assert not is_filled("for {day}")


def test_an_agents_variables_are_filled_once_and_shown_nowhere() -> None:
    ann = Parties("+15550100123", variables={"customer": "{caller} {other}", "other": "x", "caller": "nobody"})
    assert ann.fill("{customer}, {other}, {caller}, {unknown}") == "{caller} {other}, x, +15550100123, {unknown}"
    assert is_filled("for {customer}", ann.variables)
    for numbers in ("full", "masked", "off"):
        assert ann.known(numbers).variables == {}  # type: ignore[arg-type]
    assert "customer" not in ann.record()


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+15550100123", "*********123"),
        ("sip:ann.lee@example.com", "sip:****lee@example.com"),
        ("sip:100@pbx.example", "sip:***@pbx.example"),
        ("anonymous", "******ous"),
        ("", ""),
    ],
)
def test_masked(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_what_the_log_and_a_record_hold() -> None:
    assert ANN.shown("off") == {}
    assert ANN.shown("full")["caller_name"] == "Ann Lee"
    assert ANN.shown("masked") == {
        "caller": "*********123",
        "called": "*********199",
        "forwarded_from": "sip:****@example.com",
    }
    assert ANN.record()["verified"] is True
    assert Parties().record() == {}


@given(st.text(max_size=200))
def test_whatever_is_told_is_plain_and_bounded(told: str) -> None:
    taken = parties(verified=False, caller=told, ids={"id": told})
    assert len(taken.caller) <= MAX_CHARS
    assert not any(ord(each) < 32 or ord(each) == 127 for each in taken.caller)


@pytest.mark.parametrize("told", ["+1555\r\nX: y", "\x1b[2J", "a\u202eb", "1" * (MAX_CHARS + 1), ""])
def test_what_no_number_can_be_is_not_taken(told: str) -> None:
    assert parties(verified=True, caller=told, caller_name="Ann") == Parties(caller_name="Ann", verified=True)
