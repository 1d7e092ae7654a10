"""What a turn means as the answer to the question that is open. Pure functions."""

import re

import msgspec

from agent.engine.base import ANY_DIGITS, DigitRange, Expect, ReplyRequest
from agent.engine.embedded import corrections
from agent.engine.embedded.dialogue_state import CONFIRM, CORRECT, DID_YOU_MEAN, DialogueState
from agent.engine.embedded.likeness import COMMON
from agent.engine.embedded.number_parts import joined
from agent.engine.embedded.understanding import UNCLEAR, Understanding, Understood
from config.dialogue import Dialogue
from config.slots import Kind, SlotType

OPERATOR_KEY = "0"
_NO = re.compile(r"\s*(no|nope|wrong)\b", re.IGNORECASE)
EXPECTED: dict[Kind, Expect] = {
    "choice": Expect.OPEN,
    "number": Expect.DIGITS,
    "text": Expect.TEXT,
    "date": Expect.DATE,
    "time": Expect.TIME,
    "yes_no": Expect.YES_NO,
    "spell": Expect.SPELLING,
}


class OpenQuestion:
    """Reads turns after the questions of one dialogue."""

    def __init__(self, dialogue: Dialogue, understanding: Understanding) -> None:
        self._dialogue = dialogue
        self._understanding = understanding

    def expect(self, state: DialogueState) -> Expect:
        """What kind of answer it asks for."""
        if slot := self._slot(state):
            return EXPECTED[slot.type]
        yes_no = state.question in (CONFIRM, CORRECT) or (state.question == DID_YOU_MEAN and len(state.maybe) == 1)
        return Expect.YES_NO if yes_no else Expect.OPEN

    def secret(self, state: DialogueState) -> bool:
        """Whether the answer may hold a secret: it is asked for, or may be corrected, or more digits of it may come."""
        if (slot := self._slot(state)) and slot.secret:
            return True
        more = state.filled in state.secrets
        if more and len(state.secrets[state.filled]) < self._dialogue.slots[state.filled].longest:
            return True
        return state.question in (CONFIRM, CORRECT) and bool(state.secrets)

    def digits(self, state: DialogueState) -> DigitRange:
        """How many digits may follow: what is missing of the number that is asked for, or all of it anew."""
        slot = self._slot(state)
        if not slot or slot.type != "number":
            return ANY_DIGITS
        return slot.shortest - len("".join(state.parts)), slot.longest

    def understand(self, request: ReplyRequest, state: DialogueState) -> Understood:
        """What the caller's turn means after it; of dates and times the words."""
        transcript, slot = request.transcript or "", self._slot(state)
        expect = self.expect(state)
        understood = self._understanding.read(transcript, expect, self._wanted(state))
        if request.digits:
            return self._dialled(understood, request.digits, slot, state)
        if expect is Expect.YES_NO and self._understanding.agrees(transcript):
            understood = Understood(built_in="yes")
        if not understood and state.question in (CONFIRM, CORRECT):
            understood = self._instead(transcript, state)
        if state.question == DID_YOU_MEAN and (meant := self._meant(transcript, understood, state)):
            return Understood(meant, slots=state.maybe_slots | understood.slots)
        if slot and slot.type == "number" and self._understanding.digits(transcript):
            # "Three oh four" is part of the number, or of too long a one: no time, and no choice either.
            open_part = state.question if state.parts else ""  # `number` joins it
            kept = {
                name: value for name, value in understood.slots.items() if self._is_number(name) and name != open_part
            }
            understood = msgspec.structs.replace(understood, slots=kept)
        if slot and slot.type == "text" and state.question not in understood.slots:
            given = self._understanding.free_text(transcript, state.question)
            return Understood(slots=given) if given else understood
        value = self._value(understood, slot) if slot else ""
        if not understood and slot and slot.type in ("choice", "date", "time"):
            value = value or self._understanding.value(transcript, expect, state.question)
        return Understood(slots={**understood.slots, state.question: value}) if value else understood

    def number(self, request: ReplyRequest, state: DialogueState, understood: Understood) -> str | None:
        """If a number was asked for and the turn is it, or part of it: the whole number, or "" while more must come,
        with `state.parts` what there is. None if the turn is something else."""
        slot = self._slot(state)
        if not slot or slot.type != "number" or understood.built_in not in ("", "no") or understood.intent:
            return None
        no = _NO.match(request.transcript or "")
        corrects = understood.built_in == "no" or no is not None
        spoken = self._understanding.digits((request.transcript or "")[no.end() if no else 0 :])
        digits = (request.digits if request.digits.isdecimal() else "") or spoken
        if not digits and not (corrects and state.parts):
            return None
        state.parts, number = joined(state.parts, digits, slot, corrects=corrects)
        return None if digits and not (number or state.parts) else number

    def _slot(self, state: DialogueState) -> SlotType | None:
        """The slot that was asked for, if one was."""
        return self._dialogue.slots.get(state.question)

    def _is_number(self, name: str) -> bool:
        return self._dialogue.slots[name].type == "number"

    def _wanted(self, state: DialogueState) -> list[str]:
        """Slots in the order in which they are likely to be given: the one asked for, those that are missing."""
        ask = self._dialogue.intents[state.task].ask if state.task else {}
        missing = [name for name in ask if name not in state.slots]
        return [*([state.question] if self._slot(state) else []), *missing, *ask]

    @staticmethod
    def _dialled(understood: Understood, digits: str, slot: SlotType | None, state: DialogueState) -> Understood:
        if slot and slot.type == "number" and slot.shortest <= len(digits) <= slot.longest:
            return Understood(understood.intent, understood.built_in, {state.question: digits})
        return Understood(built_in="person") if digits == OPERATOR_KEY and not state.parts else understood

    def _instead(self, transcript: str, state: DialogueState) -> Understood:
        """What is right, without what was wrong: "no, it's Thursday", or any words, which are then the text that was
        read back last."""
        said = self._understanding.instead(transcript, denied=state.question == CONFIRM)
        if not said:
            return Understood()
        if understood := self._understanding.read(said, Expect.YES_NO, self._wanted(state)):
            return Understood(built_in=UNCLEAR) if understood.built_in == "yes" else understood
        types = self._dialogue.slots
        texts = [name for name in state.slots if types[name].type == "text" and not types[name].secret]
        text = self._understanding.free_text(said, texts[-1]).get(texts[-1]) if texts else ""
        return Understood(slots={texts[-1]: text}) if text else Understood()

    @staticmethod
    def _value(understood: Understood, slot: SlotType) -> str:
        """What only the question makes a value: yes or no, "the third one" of a choice; empty: nothing."""
        match slot.type:
            case "yes_no" if not understood.intent and understood.built_in in ("yes", "no"):
                return understood.built_in
            case "choice" if understood.wrong and understood.wrong[0][0] == "#" and not understood.slots:
                return corrections.at_place(understood.wrong[0][1:], list(slot.values))
        return ""

    def _meant(self, transcript: str, understood: Understood, state: DialogueState) -> str:
        """Which of the intents asked about the caller has chosen: by yes, by its place, or by its name."""
        if understood.built_in == "yes" and len(state.maybe) == 1:
            return state.maybe[0]
        if understood.wrong and understood.wrong[0][0] == "#":
            return corrections.at_place(understood.wrong[0][1:], state.maybe)
        if understood.intent or understood.built_in or len(state.maybe) < 2:
            return ""
        said = set(transcript.lower().replace(".", "").split()) - COMMON
        shared = {name: len(said & set(self._dialogue.intents[name].about.lower().split())) for name in state.maybe}
        first, second = sorted(shared, key=lambda name: -shared[name])
        return first if shared[first] > shared[second] else ""
