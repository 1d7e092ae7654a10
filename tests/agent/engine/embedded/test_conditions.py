"""When conditions hold."""

from datetime import datetime
from typing import Any

import pytest

from agent.engine.embedded.conditions import Circumstances
from config.conditions import When
from config.intent import Intent
from config.parties import Parties

HOURS = {"mon-fri": "08:00-17:00"}
DAY, NIGHT = datetime(2026, 11, 30, 10), datetime(2026, 11, 30, 23)
CALLER = Parties(caller="+15550100123")


@pytest.mark.parametrize(
    ("when", "now", "slots", "parties", "holds"),
    [
        (None, DAY, {}, Parties(), True),
        ({"open": True}, DAY, {}, Parties(), True),
        ({"open": False}, DAY, {}, Parties(), False),
        ({"open": False}, NIGHT, {}, Parties(), True),
        ({"hours": {"mon-sun": "22:00-06:00"}}, NIGHT, {}, Parties(), True),
        ({"hours": {"mon-sun": "22:00-06:00"}}, DAY, {}, Parties(), False),
        ({"slots": {"leak": "yes"}}, DAY, {"leak": "yes"}, Parties(), True),
        ({"slots": {"leak": ["yes", "no"]}}, DAY, {"leak": "no"}, Parties(), True),
        ({"slots": {"leak": "yes"}}, DAY, {}, Parties(), False),
        ({"caller": True}, DAY, {}, CALLER, True),
        ({"caller": False}, DAY, {}, CALLER, False),
        ({"caller": True}, DAY, {}, Parties(), False),
        ({"open": False, "slots": {"leak": "yes"}}, NIGHT, {"leak": "yes"}, Parties(), True),
        ({"open": False, "slots": {"leak": "yes"}}, DAY, {"leak": "yes"}, Parties(), False),
    ],
)
def test_a_condition_holds_if_all_of_it_does(
    when: dict[str, Any] | None, now: datetime, slots: dict[str, str], parties: Parties, holds: bool
) -> None:
    condition = When.model_validate(when) if when else None
    assert Circumstances(now, HOURS, slots, parties).hold(condition) is holds


def test_a_business_without_hours_is_always_open() -> None:
    assert Circumstances(NIGHT).open
    assert not Circumstances(NIGHT, HOURS).open


def test_the_first_case_that_holds_changes_what_it_names() -> None:
    intent = Intent.model_validate(
        {
            "phrases": ["price"],
            "answer": "Ninety.",
            "press": "1",
            "cases": [{"when": {"open": False}, "answer": "More."}, {"when": {"caller": False}, "press": "2"}],
        }
    )
    closed, unknown = Circumstances(NIGHT, HOURS).of(intent), Circumstances(DAY, HOURS).of(intent)
    assert (closed.answer, closed.press) == ("More.", "1")
    assert (unknown.answer, unknown.press) == ("Ninety.", "2")
    assert Circumstances(DAY, HOURS, parties=CALLER).of(intent) is intent
