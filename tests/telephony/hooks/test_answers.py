"""What hooks answer: taken whole, or refused with a reason that quotes nothing of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.agent import MAX_VARIABLE, MAX_VARIABLES
from telephony.hooks.answers import AnswerError, costs, verdict
from telephony.lines.screening import Verdict

LONG = "x" * (MAX_VARIABLE + 1)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Verdict()),
        (b" \r\n", Verdict()),
        (b"{}", Verdict()),
        (b'{"agent": "bakery"}', Verdict("bakery")),
        ('{"variables": {"name": "Zoë", "empty": ""}}'.encode(), Verdict("", {"name": "Zoë", "empty": ""})),
        (b'{"refuse": "busy"}', Verdict(refuse="busy")),
        (b'{"refuse": null, "agent": ""}', Verdict()),
    ],
)
def test_what_is_taken(body: bytes, expected: Verdict) -> None:
    assert verdict(body) == expected


@pytest.mark.parametrize(
    "content",
    [
        [],
        "ok",
        {"agents": "bakery"},
        {"agent": 5},
        {"agent": "x" * 101},
        {"refuse": "maybe"},
        {"refuse": True},
        {"variables": {"name": 5}},
        {"variables": {"Name": "Ann"}},
        {"variables": {"": "Ann"}},
        {"variables": {"name": "Ann\nLee"}},
        {"variables": {"name": "\u202eAnn"}},
        {"variables": {"name": LONG}},
        {"variables": {f"v{number}": "" for number in range(MAX_VARIABLES + 1)}},
    ],
)
def test_what_is_refused(content: Any) -> None:
    with pytest.raises(AnswerError) as refused:
        verdict(json.dumps(content).encode())
    assert "Ann" not in str(refused.value)
    assert LONG not in str(refused.value)


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe", b'{"agent": "\\ud800"}', b"[" * 10_000, b'{"a":' * 10_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerError):
        verdict(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    for read in (verdict, costs):
        try:
            read(body)
        except AnswerError as error:
            assert str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
likely = st.fixed_dictionaries(
    {},
    optional={
        "agent": st.text(max_size=3) | json_values,
        "variables": st.dictionaries(st.from_regex("[a-z_]{1,3}", fullmatch=True), st.text(max_size=5)) | json_values,
        "refuse": st.sampled_from(["busy", "rejected", None]) | json_values,
    },
)


@given(likely | json_values)
def test_what_is_taken_is_bounded_and_plain(content: Any) -> None:
    try:
        found = verdict(json.dumps(content).encode())
    except AnswerError:
        return
    assert len(found.agent) <= 100
    assert len(found.variables) <= MAX_VARIABLES
    for value in found.variables.values():
        assert len(value) <= MAX_VARIABLE
        assert value.isprintable()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"ok", {}),
        (b"<html></html>", {}),
        (b'{"ok": true}', {}),
        (b'{"cost_micros": 12000, "cost_currency": "EUR"}', {"cost_micros": 12000, "cost_currency": "EUR"}),
    ],
)
def test_costs(body: bytes, expected: dict[str, Any]) -> None:
    assert costs(body) == expected


@pytest.mark.parametrize(
    "content",
    [
        {"cost_micros": 5},
        {"cost_currency": "EUR"},
        {"cost_micros": 1.5, "cost_currency": "EUR"},
        {"cost_micros": 2**60, "cost_currency": "EUR"},
        {"cost_micros": 5, "cost_currency": "euro"},
        {"cost_micros": 5, "cost_currency": "EUR\n"},
    ],
)
def test_costs_that_are_none(content: Any) -> None:
    with pytest.raises(AnswerError):
        costs(json.dumps(content).encode())
