"""Text of strangers: what is stored, and what a CSV cell, a terminal and a program are given."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.records.text import cell, clean, clean_json, json_text
from tests.telephony.records.calls import NASTY, any_text

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@given(any_text)
def test_what_is_stored_is_text_for_every_database(text: str) -> None:
    stored = clean(text)
    assert "\x00" not in stored
    assert stored.encode().decode() == stored
    assert clean(stored) == stored


@given(anything)
def test_plain_data_is_stored_as_json(value: Any) -> None:
    stored = clean_json(value)
    assert json.loads(json.dumps(stored, allow_nan=False).encode()) == stored


@pytest.mark.parametrize(
    "text", ["=1+1", "+1555", "-2", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n@x", "\uff1d1+1", "\uff20x", "\x00=1"]
)
def test_no_cell_is_run(text: str) -> None:
    shown = cell(clean(text))
    assert not shown.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff20"))


@given(any_text)
def test_a_cell_is_one_printable_line_that_comes_back_as_it_was_written(text: str) -> None:
    shown = cell(clean(text))
    assert shown.isprintable()
    written = io.StringIO()
    csv.writer(written).writerow([shown, "next"])
    assert next(csv.reader([written.getvalue()])) == [shown, "next"]
    assert shown.lstrip()[:1] not in ("=", "+", "-", "@")


@given(anything)
def test_json_is_printable_and_says_the_same(value: Any) -> None:
    stored = clean_json(value)
    assert json_text(stored).isprintable()
    assert json.loads(json_text(stored)) == stored


def test_usual_cells_are_left_as_they_are() -> None:
    assert [cell(value) for value in ("Ann Lee", 5, None, 0.5, "a-b", "naïve — 日本")] == [
        "Ann Lee",
        "5",
        "",
        "0.5",
        "a-b",
        "naïve — 日本",
    ]


def test_a_terminal_is_given_no_control_sequence() -> None:
    assert json_text({"name": clean(NASTY)}).isprintable()
    assert cell(clean(NASTY)).isprintable()
