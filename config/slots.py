"""What a caller may fill in: the kinds of slots of a dialogue, as its YAML states them.

day: date                            by its kind alone
number: {digits: 4}                  a number of so many digits, or of 3-12
cake: {values: {chocolate: []}}      one of these values, each with other ways to say it
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from config.phrase import Choice, Phrase, Slot, parse_phrase

Kind = Literal["choice", "number", "text", "date", "time", "yes_no", "spell"]
MOST_DIGITS = 20
SECRET_KINDS: tuple[Kind, ...] = ("number", "spell", "text")  # the others have few values, which the file lists

_RANGE = re.compile(r"(\d{1,2})-(\d{1,2})")


class SlotType(BaseModel):
    """One slot of a dialogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Kind = "choice"  # what it holds; `values` makes it a choice, `digits` a number
    values: dict[str, tuple[Phrase, ...]] = {}  # of a choice: each value with other ways to say it
    digits: int | str = Field(default="", validate_default=False)  # of a number: how many, such as 4 or 3-12
    called: tuple[str, ...] = ()  # other names by which callers correct it, such as "phone number"
    past: bool = False  # of a date: whether it may be over, such as a date of birth
    max_words: int = Field(default=40, ge=1, le=60)  # of a text; what is longer is cut off
    secret: bool = False  # of a number, a text or spelled words: nothing keeps it but the tool, such as a PIN

    @model_validator(mode="before")
    @classmethod
    def _infer(cls, given: Any) -> Any:
        """The kind, where the other keys say it."""
        if not isinstance(given, dict) or "type" in given:
            return given
        if "digits" in given and "values" in given:
            raise ValueError("a slot has either `values` or `digits`")
        if "digits" in given:
            return {**given, "type": "number"}
        if "values" in given:
            return {**given, "type": "choice"}
        raise ValueError("what it holds is missing: `values`, `digits`, or `type`: text, date, time, yes_no or spell")

    @field_validator("digits")
    @classmethod
    def _count(cls, digits: int | str) -> int | str:
        shortest, longest = _bounds(digits)
        if not 1 <= shortest <= longest <= MOST_DIGITS:
            raise ValueError(f"a count from 1 to {MOST_DIGITS}, or two of them, such as 3-12")
        return digits

    @model_validator(mode="after")
    def _keys_of_kind(self) -> "SlotType":
        if bool(self.values) != (self.type == "choice"):
            raise ValueError("a choice, and nothing else, needs `values`")
        if self.digits != "" and self.type != "number":
            raise ValueError("`digits` belong to a number only")
        if self.past and self.type != "date":
            raise ValueError("`past` belongs to a date only")
        if self.secret and self.type not in SECRET_KINDS:
            raise ValueError(f"a {self.type} cannot be `secret`; allowed: {', '.join(SECRET_KINDS)}")
        for name in self.called:
            if any(isinstance(part, Slot) for part in parse_phrase(name).parts()):
                raise ValueError(f"called: {name!r} is a name, which cannot hold a slot")
        for value, phrase in self.phrases():
            if any(isinstance(part, Slot) for part in phrase.parts()):
                raise ValueError(f"the value {value!r} of a slot cannot hold a slot")
        return self

    @property
    def shortest(self) -> int:
        """Fewest digits of a number."""
        return _bounds(self.digits)[0]

    @property
    def longest(self) -> int:
        """Most digits of a number."""
        return _bounds(self.digits)[1]

    def constants(self) -> set[str] | None:
        """All values it can have; None if they cannot be listed."""
        if self.type == "yes_no":
            return {"yes", "no"}
        return set(self.values) if self.type == "choice" else None

    def phrases(self) -> Iterator[tuple[str, Choice]]:
        """Every value of a choice with each way to say it; the value's own name comes first."""
        for value, others in self.values.items():
            yield from ((value, phrase) for phrase in (parse_phrase(value), *others))


def _by_kind(given: Any) -> Any:
    return {"type": given} if isinstance(given, str) else given


SlotOfKind = Annotated[SlotType, BeforeValidator(_by_kind, json_schema_input_type=Kind | SlotType)]


def _bounds(digits: int | str) -> tuple[int, int]:
    """Fewest and most digits; (0, 0) for what is no count."""
    if digits == "":
        return 3, 12
    if isinstance(digits, int):
        return digits, digits
    found = _RANGE.fullmatch(digits)
    return (int(found[1]), int(found[2])) if found else (0, 0)
