"""Where a scripted conversation stands, and a reply in the making."""

from collections.abc import Container, Mapping
from typing import Any, Literal

import msgspec

from agent.engine.base import HIDDEN, Next, ToolCall
from agent.engine.embedded.conditions import Circumstances

# Open questions that belong to no slot.
CONFIRM, CORRECT, ANYTHING_ELSE, DID_YOU_MEAN = "?confirm", "?correct", "?anything_else", "?did_you_mean"


class DialogueState(msgspec.Struct):
    """Where a conversation stands; what changes is put into a copy."""

    task: str = ""  # the intent whose slots are being filled
    slots: dict[str, str] = {}
    question: str = ""  # what was asked last: a slot's name, one of those above or nothing in particular
    times: int = 0  # how often it was asked before
    misses: int = 0
    said: str = ""  # the whole of the last reply
    parts: list[str] = []  # of the number that is asked for
    filled: str = ""  # the number that the turn before has filled: more digits may follow
    heard_ms: dict[str, float] = {}  # where in the call slots were heard that a person may have to listen to
    maybe: list[str] = []  # the intents that DID_YOU_MEAN is about
    maybe_slots: dict[str, str] = {}  # what was said beside them: of dates and times the words
    later: str = ""  # another intent that the caller has named, to come after the task
    later_slots: dict[str, str] = {}  # what is known of its slots, but for secret ones
    secrets: dict[str, str] = {}  # the values of those of `slots` that are HIDDEN

    def ask(self, question: str) -> None:
        """Note what is asked next."""
        if question != self.question:
            self.parts = []
        if question != DID_YOU_MEAN:
            self.maybe, self.maybe_slots = [], {}
        self.times = self.times + 1 if question == self.question else 0
        self.question = question

    def begin(self, task: str, slots: dict[str, str] | None = None) -> None:
        """A new task takes the place of the one before."""
        self.task, self.slots, self.heard_ms, self.secrets = task, slots or {}, {}, {}

    def fill(self, slots: dict[str, str], secret: Container[str]) -> None:
        """All slots that are known; those that are `secret` are hidden."""
        hidden = {name: value for name, value in slots.items() if name in secret}
        self.secrets = {name: self.secrets[name] if value == HIDDEN else value for name, value in hidden.items()}
        self.slots = slots | dict.fromkeys(hidden, HIDDEN)

    def value(self, slot: str) -> str | None:
        """What a slot holds, even if that is secret; None if it is not known."""
        return self.secrets.get(slot, self.slots.get(slot))

    def drop_task(self) -> None:
        """The task is done, or given up."""
        self.begin("")


class Answer(msgspec.Struct):
    """A reply in the making."""

    circumstances: Circumstances
    texts: list[str] = []
    calls: list[ToolCall] = []
    next: Next = Next.LISTEN
    transfer_to: str = ""
    keys: str = ""  # to be pressed after the texts
    recording: Literal["", "pause", "resume"] = ""  # what becomes of the call's recording
    repeated: bool = False  # says again what was said, which changes nothing


def filled(state: Mapping[str, Any]) -> dict[str, str]:
    """The slots of a dialogue's state as plain data, also where it has taken over from a model. None that is secret; of
    a state that is no dialogue's none."""
    inner = state.get("fallback", state)
    inner = inner.get("dialogue", inner) if isinstance(inner, dict) else {}
    slots = inner.get("slots") if isinstance(inner, dict) else None
    if not isinstance(slots, dict):
        return {}
    return {name: value for name, value in slots.items() if isinstance(value, str) and value not in ("", HIDDEN)}
