"""What is asked and said until a caller's task is done: its slots are filled, read back, corrected and carried out.
Pure functions of the conversation's state."""

import msgspec

from agent.engine.base import TRANSFER, Next, ToolCall, ToolResult
from agent.engine.embedded import corrections
from agent.engine.embedded.dialogue_state import (
    ANYTHING_ELSE,
    CONFIRM,
    CORRECT,
    DID_YOU_MEAN,
    Answer,
    DialogueState,
)
from agent.engine.embedded.slot_values import SlotValues
from agent.engine.embedded.understanding import Understood
from config.dialogue import Dialogue
from config.intent import Intent

Wish = tuple[str, dict[str, str]]  # an intent, and what was said of its slots


class TaskScript:
    """The tasks of one agent's dialogue: its intents, with what they ask for."""

    def __init__(self, dialogue: Dialogue, values: SlotValues) -> None:
        self._dialogue = dialogue
        self._texts = dialogue.texts
        self._values = values
        self._secret = frozenset(name for name, slot in dialogue.slots.items() if slot.secret)

    def first(self, answer: Answer, state: DialogueState, wish: Wish, second: Wish) -> Wish:
        """Of two wishes in one turn the one to begin with: a plain question is answered here and now; of two others
        the second comes later."""
        for (name, _), other in ((wish, second), (second, wish)):
            at = answer.circumstances.of(self._dialogue.intents[name])
            if not (at.ask or at.tool or at.press or at.transfer or at.next or at.recording):
                answer.texts.append(self._values.filled(at.answer, {}, answer.circumstances.now))
                return other
        state.later, slots = second
        state.later_slots = {name: value for name, value in slots.items() if name not in self._secret}
        return wish

    def begin(self, answer: Answer, state: DialogueState, wanted: str, slots: dict[str, str]) -> None:
        """Do what an intent is for, with what is known of its slots."""
        if self._dialogue.intents[wanted].ask:
            self.fill(answer, state, wanted, slots)
        else:
            self.inform(answer, state, self._dialogue.intents[wanted])

    def fill(self, answer: Answer, state: DialogueState, wanted: str, slots: dict[str, str]) -> None:
        """Slots of an intent, which becomes the task if it is not: ask for what is still missing."""
        if wanted != state.task:
            state.begin(wanted)
        changes = self.changes(state, slots)
        state.fill({**state.slots, **changes}, self._secret)
        state.filled = next((name for name in changes if self._dialogue.slots[name].type == "number"), "")
        self.go_on(answer, state)

    def changes(self, state: DialogueState, slots: dict[str, str]) -> dict[str, str]:
        """Those of the slots that the task asks for and does not know yet, or knows otherwise."""
        ask = self._dialogue.intents[state.task].ask if state.task else {}
        return {name: value for name, value in slots.items() if name in ask and state.value(name) != value}

    def correct(self, answer: Answer, state: DialogueState, understood: Understood) -> bool:
        """Take back what was read back wrong, and ask for it anew unless the caller has said what is right; False when
        the caller has named nothing."""
        intent, slots = self._intent(answer, state), state.slots
        numbers = [name for name in slots.keys() - self._secret if self._dialogue.slots[name].type == "number"]
        if understood.digit and len(numbers) == 1:
            if not (number := corrections.with_digit(understood.digit, slots[numbers[0]])):
                return False
            state.fill({**slots, numbers[0]: number}, self._secret)
            self.go_on(answer, state)
            return True
        order = corrections.order(wording(intent.confirm, state.times), list(slots))
        named = [corrections.at_place(each[1:], order) if each[0] == "#" else each for each in understood.wrong]
        wrong = {name for name in (*named, *understood.denied) if name in slots} - understood.slots.keys()
        if not wrong:
            return False
        kept = {name: value for name, value in slots.items() if name not in wrong}
        state.fill(kept, self._secret)
        state.fill(kept | self.changes(state, understood.slots), self._secret)
        self.go_on(answer, state)
        return True

    def _intent(self, answer: Answer, state: DialogueState) -> Intent:
        """The intent that is being filled, as it is with what is known now."""
        at = msgspec.structs.replace(answer.circumstances, slots=state.slots)
        return at.of(self._dialogue.intents[state.task])

    def go_on(self, answer: Answer, state: DialogueState) -> None:
        """Ask for what is missing, otherwise for confirmation, otherwise carry it out."""
        intent = self._intent(answer, state)
        at = msgspec.structs.replace(answer.circumstances, slots=state.slots)
        missing = (name for name, each in intent.ask.items() if name not in state.slots and at.hold(each.when))
        question = next(missing, CONFIRM if intent.confirm else "")
        if question:
            state.ask(question)
            answer.texts.append(self.question(answer, state))
        else:
            self.carry_out(answer, state)

    def carry_out(self, answer: Answer, state: DialogueState) -> None:
        """Call the task's tool, or answer at once where it has none."""
        intent = self._intent(answer, state)
        if intent.tool:
            # Its result comes with the next request; `tell` then answers with these slots.
            arguments = {name: state.slots.get(name, "") for name in intent.ask}
            answer.calls.append(ToolCall(intent.tool, arguments, state.heard_ms, state.secrets))
            state.question = ""
            return
        slots = state.slots
        state.drop_task()
        self._conclude(answer, state, intent, slots)
        self.resume(answer, state)

    def _conclude(self, answer: Answer, state: DialogueState, intent: Intent, slots: dict[str, str]) -> None:
        """What an intent ends with: its answer, its keys, a transfer, the intent that goes on; some of it, or all."""
        if intent.answer:
            answer.texts.append(self._values.filled(intent.answer, slots, answer.circumstances.now))
        answer.keys = intent.press or answer.keys
        answer.recording = intent.recording or answer.recording
        if intent.transfer:
            answer.next, answer.transfer_to = Next.TRANSFER, intent.transfer
        if intent.next:
            following = self._dialogue.intents[intent.next]
            known = following.ask.keys() - self._secret
            state.begin(intent.next, {name: value for name, value in slots.items() if value and name in known})

    def ask_for_correction(self, answer: Answer, state: DialogueState) -> None:
        """A bare "no" to what was read back."""
        intent = self._intent(answer, state)
        if intent.correct:
            # The slots stay: what the caller now says replaces some of them.
            state.ask(CORRECT)
            answer.texts.append(self.question(answer, state))
        else:
            state.fill({}, self._secret)
            self.go_on(answer, state)

    def tell(self, answer: Answer, state: DialogueState, results: tuple[ToolResult, ...]) -> None:
        """The outcome of the tools."""
        for result in results:
            if result.name == TRANSFER:
                answer.texts.append(self._texts.unreached)
            intents = self._dialogue.intents
            names = [name for name in (state.task, *intents) if name and intents[name].tool == result.name]
            if not names:
                continue
            slots = {name: str(value) for name, value in result.arguments.items()}
            at = msgspec.structs.replace(answer.circumstances, slots=slots)
            state.drop_task()
            if result.error:
                answer.texts.append(self._values.filled(intents[names[0]].failed, slots, answer.circumstances.now))
            else:
                self._conclude(answer, state, at.of(intents[names[0]]), slots)

    def inform(self, answer: Answer, state: DialogueState, intent: Intent) -> None:
        """Answer a plain question, and return to what was open."""
        self._conclude(answer, state, answer.circumstances.of(intent), {})
        self.resume(answer, state)

    def resume(self, answer: Answer, state: DialogueState, otherwise: str = "") -> None:
        """Back to the task that is open, if there is one; else the caller's turn is next: offer more, unless keys or a
        transfer were the answer, which want no question after them."""
        if answer.next is not Next.LISTEN:
            return
        if state.task:
            self.go_on(answer, state)
        elif state.later:
            later, slots = state.later, state.later_slots
            state.later, state.later_slots = "", {}
            if about := self._dialogue.intents[later].about:
                answer.texts.append(self._texts.second.replace("{this}", about))
            self.begin(answer, state, later, slots)
        elif answer.keys:
            state.ask("")
        elif otherwise:
            answer.texts.append(otherwise)
        else:
            self.offer_more(answer, state)

    def offer_more(self, answer: Answer, state: DialogueState) -> None:
        """Ask whether there is anything else."""
        state.ask(ANYTHING_ELSE)
        answer.texts.append(self.question(answer, state))

    def question(self, answer: Answer, state: DialogueState) -> str:
        """The open question, worded anew each time it is asked."""
        if state.question == ANYTHING_ELSE:
            return wording(self._texts.anything_else, state.times)
        if state.question == DID_YOU_MEAN and state.maybe:
            text = self._texts.did_you_mean if len(state.maybe) == 1 else self._texts.which
            first, last = (self._dialogue.intents[name].about for name in (state.maybe[0], state.maybe[-1]))
            return text.replace("{this}", first).replace("{that}", last)
        if not state.task or not state.question:
            return wording(self._texts.help, state.times)
        intent = self._intent(answer, state)
        if state.question == CORRECT:
            return self._values.filled(intent.correct, state.slots, answer.circumstances.now)
        wordings = intent.confirm if state.question == CONFIRM else intent.ask[state.question].say
        return self._values.filled(wording(wordings, state.times), state.slots, answer.circumstances.now)


def wording(wordings: tuple[str, ...], times: int) -> str:
    """The one for something that has been said so often: the first, then the next, at last always the last."""
    return wordings[min(times, len(wordings) - 1)]
