"""Whether the conditions of a dialogue hold. Pure functions of the time, the slots and who calls."""

from datetime import datetime

import msgspec

from config.conditions import When
from config.hours import Hours, is_within
from config.intent import Intent
from config.parties import NOBODY, Parties


class Circumstances(msgspec.Struct, frozen=True):
    """What conditions depend on: the time by the agent's clock, its opening hours, and what is known."""

    now: datetime
    hours: Hours = {}
    slots: dict[str, str] = {}
    parties: Parties = NOBODY

    @property
    def open(self) -> bool:
        """Whether the agent's business is open; one without hours always is."""
        return not self.hours or is_within(self.hours, self.now)

    def hold(self, when: When | None) -> bool:
        """Whether a condition holds; none always does."""
        if when is None:
            return True
        return (
            when.open in (None, self.open)
            and (not when.hours or is_within(when.hours, self.now))
            and when.caller in (None, bool(self.parties.caller))
            and all(self.slots.get(name) in values for name, values in when.slots.items())
        )

    def of(self, intent: Intent) -> Intent:
        """The intent as it is now: with the first of its cases that holds, if one does."""
        case = next((case for case in intent.cases if self.hold(case.when)), None)
        return intent.in_case(case) if case else intent
