"""What callers can want in a dialogue, and what then happens."""

import re
from collections.abc import Container, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.conditions import When
from config.keys import Keys
from config.parties import FIELDS
from config.phrase import Choice, Phrase, parse_phrase
from config.usual import PHRASES, UNLESS, Usual

FIELD = re.compile(r"\{([^{}]*)\}")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# One text, or several wordings of it: the first is said first, the others when it has to be said again.
_Wording = Annotated[str, Field(min_length=1)]
Wordings = Annotated[tuple[_Wording, ...], BeforeValidator(_listed, json_schema_input_type=_Wording | list[_Wording])]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(_Model):
    """How a slot is asked for, and when."""

    say: Wordings = Field(min_length=1)  # the question
    when: When | None = None  # asked only then; otherwise the slot stays empty, and tools are given ""


def _said(value: Any) -> Any:
    return {"say": value} if isinstance(value, (str, list, tuple)) else value


_Question = Annotated[Question, BeforeValidator(_said, json_schema_input_type=_Wording | list[_Wording] | Question)]


class Case(_Model):
    """What is different when something holds. What it does not name stays as the intent has it."""

    when: When  # the first case that holds counts
    confirm: Wordings = ()  # in place of the intent's
    answer: str = ""  # in place of the intent's
    press: Keys = ""  # in place of the intent's
    transfer: str = ""  # in place of the intent's
    next: str = ""  # in place of the intent's


class Intent(_Model):
    """Something a caller can want."""

    phrases: tuple[Phrase, ...] = Field((), min_length=1)  # what callers say for it
    usual: Usual | None = None  # what callers of any business want: its phrases come on top
    unless: tuple[str, ...] = ()  # words beside which it is something else: "email" beside "address"
    about: str = ""  # what it is, such as "a visit": "are you calling about a visit?" is asked where that is not clear
    ask: dict[str, _Question] = {}  # the slots it needs, each with its question, in the order they are asked
    confirm: Wordings = ()  # reads back the slots and asks yes or no
    correct: str = ""  # what to say to a bare "no"; empty: the slots are asked for once more
    tool: str = ""  # runs when everything is known (and confirmed)
    courtesy: bool = False  # such as thanks: beside anything else it means nothing
    answer: str = ""  # said at the end, when the tool has worked
    press: Keys = ""  # keys pressed after the answer, which may then be empty
    transfer: str = ""  # one of the agent's transfers: the caller is put through after the answer
    next: str = ""  # another intent, which goes on after the answer
    recording: Literal["", "pause", "resume"] = ""  # what becomes of the call's recording, from the answer on
    failed: str = "I'm sorry, that did not work just now."  # said when the tool has failed
    cases: tuple[Case, ...] = ()  # what is different at other hours, with other slots or for other callers

    @model_validator(mode="after")
    def _fields(self) -> "Intent":
        if not (self.phrases or self.usual):
            raise ValueError("`phrases` is missing: what callers say for it, or `usual`")
        if not (self.answer or self.press or self.transfer or self.next):
            raise ValueError(
                "`answer` is missing: what is said, or `press`: the keys that are pressed, or `transfer`, or `next`"
            )
        confirms = [self.confirm, *(case.confirm for case in self.cases)]
        if (any(confirms) or self.correct) and not self.ask:
            raise ValueError("there is nothing to confirm or correct without `ask`")
        for when in self.conditions():
            for name in when.slots:
                if name not in self.ask:
                    raise ValueError(f"when.slots: {name!r} is no slot that `ask` fills")
        return self

    def spoken(self) -> tuple[Choice, ...]:
        """All phrases that callers say for it."""
        return (*self.phrases, *(map(parse_phrase, PHRASES[self.usual]) if self.usual else ()))

    def excluding(self) -> frozenset[str]:
        """Words beside which it is something else."""
        return frozenset((*self.unless, *(UNLESS[self.usual] if self.usual else ())))

    def typical(self) -> tuple[Choice, ...]:
        """Its own phrases, or the usual ones if it has none: few words, for what is led astray by many."""
        return self.phrases or self.spoken()

    def texts(self) -> Iterator[str]:
        """Everything that is said for it."""
        yield from (*self.confirm, self.correct, self.answer, self.failed)
        for case in self.cases:
            yield from (*case.confirm, case.answer)
        for question in self.ask.values():
            yield from question.say

    def unfilled(self, variables: Container[str]) -> Iterator[tuple[str, str]]:
        """The fields of its texts that nothing fills, each with its text; `variables` are the agent's."""
        for text in self.texts():
            for name in FIELD.findall(text):
                if name not in self.ask and name not in FIELDS and name not in variables:
                    yield name, text

    def conditions(self) -> Iterator[When]:
        """Everything that it depends on."""
        yield from (case.when for case in self.cases)
        yield from (question.when for question in self.ask.values() if question.when)

    def all_of(self, key: str) -> set[str]:
        """What stands under a key, in the intent and in its cases, such as `answer` or `next`."""
        return {value for part in (self, *self.cases) if (value := getattr(part, key))}

    def in_case(self, case: Case) -> "Intent":
        """The intent as it is when a case holds."""
        return self.model_copy(update={key: getattr(case, key) for key in case.model_fields_set - {"when"}})
