"""Queries: what they ask for, and what is wrong with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.records.call_filter import KEYS, CallFilter, FilterError, parse
from telephony.records.call_id import first_id, show
from tests.telephony.records.calls import any_text


def test_a_query_is_read() -> None:
    wanted = parse(
        {"q": "Table NOON table", "agent": "desk", "status": "ended", "min_latency_ms": "900", "limit": "7", "line": ""}
    )
    assert wanted == CallFilter(
        words=("table", "noon"), equal={"agent": "desk", "status": "ended"}, min_latency_ms=900, limit=7
    )


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01.5", 1500),
        ("1970-01-01T01:00:01+01:00", 1000),
        ("1970-01-01T00:00:01Z", 1000),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, ms: int) -> None:
    assert parse({"since": text}).since == first_id(ms)


def test_the_nearer_of_two_ends_counts() -> None:
    page = show(first_id(5000))
    assert parse({"until": "1970-01-01T00:00:09Z", "before": page}).until == first_id(5000)
    assert parse({"until": "1970-01-01T00:00:03Z", "before": page}).until == first_id(3000)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"colour": "red"}, "there is no filter 'colour'; there are q, agent"),
        ({"q": "?!"}, "q: 1 to 16 words"),
        ({"q": " ".join(map(str, range(17)))}, "q: 1 to 16 words"),
        ({"status": "open"}, "status: active or ended or broken_off is wanted, not 'open'"),
        ({"direction": "up"}, "direction: inbound or outbound"),
        ({"limit": "0"}, "limit: a whole number from 1 to 200"),
        ({"limit": "201"}, "limit: a whole number from 1 to 200"),
        ({"limit": "٣"}, "limit: a whole number"),
        ({"limit": "9" * 150}, "limit: a whole number"),
        ({"min_latency_ms": "-1"}, "min_latency_ms: a whole number"),
        ({"since": "yesterday"}, "since: a date or time is wanted"),
        ({"until": "2026-13-01"}, "until: a date or time is wanted"),
        ({"before": "12"}, "before: the id of a call is wanted"),
        ({"agent": "x" * 201}, "agent: at most 200 characters"),
        ({"agent": "a\x00b"}, "agent: at most 200 characters of text"),
        ({"caller": "\ud800"}, "caller: at most 200 characters of text"),
    ],
)
def test_what_is_wrong_is_said(query: dict[str, str], why: str) -> None:
    with pytest.raises(FilterError, match=r".") as error:
        parse(query)
    assert why in str(error.value)


@given(st.dictionaries(st.sampled_from(KEYS) | any_text, any_text, max_size=4))
def test_no_query_raises_anything_else(query: dict[str, str]) -> None:
    try:
        parse(query)
    except FilterError as error:
        assert str(error).encode()
