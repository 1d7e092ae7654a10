"""What the words of slots mean at a given time, and how the agent says it."""

from datetime import datetime

import pytest

from agent.engine.embedded.slot_values import SlotValues
from config.slots import SlotType

KINDS = {"day": "date", "at": "time", "name": "spell", "street": "text"}
SLOTS = {name: SlotType.model_validate({"type": kind}) for name, kind in KINDS.items()}
SLOTS["cake"] = SlotType.model_validate({"values": {"apple": []}})
EVENINGS = {"mon": "08:00-12:00", "tue": "17:00-23:00"}
NOW = datetime(2026, 11, 30, 23, 59)


@pytest.mark.parametrize(
    ("hours", "heard", "known", "values"),
    [
        ({}, {"at": "three"}, {}, {"at": "15:00"}),
        ({}, {"at": "seven"}, {}, {"at": "07:00"}),
        ({}, {"at": "seven", "day": "tomorrow"}, {}, {"day": "2026-12-01", "at": "07:00"}),
        ({"mon-sun": "17:00-23:00"}, {"at": "seven"}, {}, {"at": "19:00"}),
        ({}, {"at": "seven", "day": "tomorrow evening"}, {}, {"day": "2026-12-01", "at": "19:00"}),
        ({}, {"at": "nine", "day": "friday night"}, {}, {"day": "2026-12-04", "at": "21:00"}),
        ({}, {"at": "seven in the morning", "day": "tomorrow night"}, {}, {"day": "2026-12-01", "at": "07:00"}),
        (EVENINGS, {"at": "eight"}, {"day": "2026-12-01"}, {"at": "20:00"}),
        (EVENINGS, {"at": "eight", "day": "monday"}, {}, {"day": "2026-12-07", "at": "08:00"}),
        ({}, {"day": "february thirty", "street": "Hill Road"}, {}, {"street": "Hill Road"}),
        ({}, {"cake": "apple"}, {}, {"cake": "apple"}),
    ],
)  # fmt: skip
def test_words_become_values(
    hours: dict[str, str], heard: dict[str, str], known: dict[str, str], values: dict[str, str]
) -> None:
    assert SlotValues(SLOTS, hours).resolve(heard, known, NOW) == values


def test_values_are_spoken() -> None:
    text = "{day} at {at}, {name}, {street}, {number}, {other}"
    slots = {"day": "2026-12-04", "at": "15:30", "name": "BOB", "street": "Hill Road", "number": "123"}
    assert SlotValues(SLOTS, {}).filled(text, slots, NOW) == (
        "Friday, December fourth at three thirty in the afternoon, B, O, B, Hill Road, 1 2 3, {other}"
    )


def test_a_date_of_birth_may_be_in_the_past() -> None:
    values = SlotValues({"born": SlotType.model_validate({"type": "date", "past": True})}, {})
    assert values.resolve({"born": "march the fourth nineteen eighty"}, {}, NOW) == {"born": "1980-03-04"}
    assert values.filled("{born}", {"born": "1980-03-04"}, NOW) == "Tuesday, March fourth, nineteen eighty"


@pytest.mark.parametrize(
    ("words", "over"), [("yesterday", True), ("february thirty", False), ("today", None), ("next friday", None)]
)
def test_why_a_date_is_left_out(words: str, over: bool | None) -> None:
    values = SlotValues(SLOTS, {})
    assert values.dates_over({"day": words, "street": "yesterday"}, NOW) is over
    assert ("day" in values.resolve({"day": words}, {}, NOW)) is (over is None)
