"""The kinds of slots, as an agent's file states them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from config.slots import SlotOfKind, SlotType

SLOT: TypeAdapter[SlotType] = TypeAdapter(SlotOfKind)


@pytest.mark.parametrize(
    ("given", "kind", "shortest", "longest"),
    [
        ("date", "date", 3, 12),
        ("number", "number", 3, 12),
        ({"digits": 4}, "number", 4, 4),
        ({"digits": "3-12"}, "number", 3, 12),
        ({"values": {"one": []}}, "choice", 3, 12),
        ({"type": "text", "max_words": 8}, "text", 3, 12),
        ({"type": "number", "digits": 6, "called": ["zip code"]}, "number", 6, 6),
    ],
)
def test_a_slot_is_written_briefly(given: Any, kind: str, shortest: int, longest: int) -> None:
    slot = SLOT.validate_python(given)
    assert (slot.type, slot.shortest, slot.longest) == (kind, shortest, longest)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("dates", "'choice', 'number', 'text', 'date', 'time', 'yes_no' or 'spell'"),
        ("choice", "needs `values`"),
        ({}, "what it holds is missing"),
        ({"digits": 4, "values": {"one": []}}, "either `values` or `digits`"),
        ({"digits": 0}, "a count from 1 to 20"),
        ({"digits": "12-3"}, "such as 3-12"),
        ({"digits": "some"}, "such as 3-12"),
        ({"type": "date", "digits": 3}, "belong to a number only"),
        ({"type": "date", "secret": True}, "a date cannot be `secret`; allowed: number, spell, text"),
        ({"values": {"one": []}, "secret": True}, "a choice cannot be `secret`"),
        ({"type": "time", "past": True}, "belongs to a date only"),
        ({"type": "date", "values": {"one": []}}, "needs `values`"),
        ({"values": {"one": ["{two}"]}}, "cannot hold a slot"),
        ({"type": "text", "called": ["the {street}"]}, "cannot hold a slot"),
        ({"type": "text", "max_words": 0}, "greater than or equal to 1"),
        ({"type": "text", "min_words": 1}, "Extra inputs"),
    ],
)
def test_a_mistake_is_named(given: Any, named: str) -> None:
    with pytest.raises(ValidationError) as error:
        SLOT.validate_python(given)
    assert named in str(error.value)
