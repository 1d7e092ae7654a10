"""What one agent's dialogue says next: pure functions of the conversation's state and of what the caller said."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from agent.engine.base import TRANSFER, Cue, Expect, Next, ReplyRequest, ToolCall, ToolResult
from agent.engine.embedded.number_parts import joined
from agent.engine.embedded.slot_values import SlotValues
from agent.engine.embedded.understanding import Understanding, Understood
from config.dialogue import Dialogue, Intent
from config.hours import Hours
from config.slots import Kind, SlotType

MAX_MISSES = 3  # turns in a row that are not understood before a person has to help
CONFIRM, ANYTHING_ELSE = "?confirm", "?anything_else"  # open questions that belong to no slot
OPERATOR_KEY = "0"
EXPECTED: dict[Kind, Expect] = {
    "choice": Expect.OPEN,
    "number": Expect.DIGITS,
    "text": Expect.TEXT,
    "date": Expect.DATE,
    "time": Expect.TIME,
    "yes_no": Expect.YES_NO,
    "spell": Expect.SPELLING,
}


class DialogueState(msgspec.Struct):
    """Where a conversation stands; what changes is put into a copy."""

    task: str = ""  # the intent whose slots are being filled
    slots: dict[str, str] = {}
    question: str = ""  # what was asked last: a slot's name, CONFIRM, ANYTHING_ELSE or nothing in particular
    times: int = 0  # how often it was asked before
    misses: int = 0
    said: str = ""  # the whole of the last reply
    parts: list[str] = []  # of the number that is asked for
    heard_ms: dict[str, float] = {}  # where in the call slots were heard that a person may have to listen to

    def ask(self, question: str) -> None:
        """Note what is asked next."""
        if question != self.question:
            self.parts = []
        self.times = self.times + 1 if question == self.question else 0
        self.question = question

    def drop_task(self) -> None:
        """The task is done, or given up."""
        self.task, self.slots, self.heard_ms = "", {}, {}


class Answer(msgspec.Struct):
    """A reply in the making."""

    texts: list[str] = []
    calls: list[ToolCall] = []
    next: Next = Next.LISTEN
    transfer_to: str = ""
    keys: str = ""  # to be pressed after the texts
    repeated: bool = False  # says again what was said, which changes nothing


class DialogueScript:
    """One agent's dialogue. Pure: the same request always gives the same answer; the time comes with it."""

    def __init__(self, dialogue: Dialogue, time_zone: str = "UTC", hours: Hours | None = None) -> None:
        self._dialogue = dialogue
        self._texts = dialogue.texts
        self._understanding = Understanding(dialogue)
        self._values = SlotValues(dialogue.slots, hours or {})
        self._zone = ZoneInfo(time_zone)

    def answer(self, request: ReplyRequest) -> tuple[Answer, DialogueState]:
        """What is said and done now, and where the conversation stands after it."""
        state = msgspec.convert(request.state, DialogueState)
        answer = Answer()
        self._tell(answer, state, request.tool_results)
        match request.cue:
            case Cue.GREET:
                answer.texts.append(self._texts.greeting)
            case Cue.ANSWER:
                self._answer_caller(answer, state, request)
            case Cue.TOOL:
                self._hand_over(answer, state)
            case Cue.UNREACHED:
                self._return(answer, state)
            case Cue.REPROMPT:
                self._reprompt(answer, state, request)
            case Cue.FAREWELL:
                self._end(answer, self._texts.farewell)
            case Cue.SHUTDOWN:
                self._end(answer, self._texts.shutdown)
        answer.texts = [request.parties.fill(text) for text in answer.texts]
        if answer.texts and not answer.repeated:
            state.said = " ".join(answer.texts)
        return answer, state

    def incomplete(self, request: ReplyRequest) -> bool:
        """Whether the caller is sure to go on, and there is time to wait."""
        if not request.early or request.cue is not Cue.ANSWER or request.digits:
            return False
        expect = self.expect(msgspec.convert(request.state, DialogueState))
        return self._understanding.complete(request.transcript or "", expect) is False

    def protects(self, answer: Answer) -> bool:
        """Whether something in the answer must be played to its end, whatever the caller says meanwhile."""
        return any(map(self._dialogue.is_uninterruptible, answer.texts))

    def expect(self, state: DialogueState) -> Expect:
        """What kind of answer the open question asks for."""
        if slot := self._asked(state):
            return EXPECTED[slot.type]
        return Expect.YES_NO if state.question == CONFIRM else Expect.OPEN

    def _asked(self, state: DialogueState) -> SlotType | None:
        """The slot that was asked for, if one was."""
        return self._dialogue.slots.get(state.question)

    def _now(self, request: ReplyRequest) -> datetime:
        """When the caller spoke, by the agent's clock."""
        return datetime.fromtimestamp(request.started_s + request.turn_end_ms / 1000, self._zone)

    # The caller's turn

    def _answer_caller(self, answer: Answer, state: DialogueState, request: ReplyRequest) -> None:
        understood = self.understand(request, state)
        slot = self._asked(state)
        if slot and slot.type == "number" and self._continues(answer, state, slot, understood, request):
            return
        heard = understood.slots
        understood = msgspec.structs.replace(
            understood, slots=self._values.resolve(heard, state.slots, self._now(request))
        )
        if heard and not understood:
            answer.texts.append(self._texts.no_such_date)
            state.ask(state.question)
            answer.texts.append(self._question(state))
        elif not self._react(answer, state, understood):
            self._not_understood(answer, state)
        elif not answer.repeated:
            state.misses = 0
            self._note_heard(state, understood, request)

    def understand(self, request: ReplyRequest, state: DialogueState) -> Understood:
        """What the caller's turn means as an answer to the open question."""
        transcript = request.transcript or ""
        slot = self._asked(state)
        understood = self._understanding.read(transcript, self.expect(state), self._wanted(state))
        if request.digits:
            if slot and slot.type == "number" and slot.shortest <= len(request.digits) <= slot.longest:
                return Understood(understood.intent, understood.built_in, {state.question: request.digits})
            by_key = request.digits == OPERATOR_KEY and not state.parts
            return Understood(built_in="person") if by_key else understood
        yes_no = state.question == CONFIRM or (slot is not None and slot.type == "yes_no")
        if yes_no and self._understanding.agrees(transcript):
            understood = Understood(built_in="yes")
        elif state.question == ANYTHING_ELSE and understood == Understood(built_in="no") and _was_cut_off(request):
            return Understood(built_in="stop")  # a "no" to what was being said; the question was not heard
        if slot and slot.type == "yes_no" and understood.built_in in ("yes", "no") and not understood.intent:
            return Understood(slots={**understood.slots, state.question: understood.built_in})
        free = slot is not None and slot.type == "text" and state.question not in understood.slots
        text = self._understanding.free_text(transcript, state.question) if free else ""
        return Understood(slots={state.question: text}) if text else understood

    def _wanted(self, state: DialogueState) -> list[str]:
        """Slots in the order in which they are likely to be given: the one asked for, those that are missing."""
        ask = self._dialogue.intents[state.task].ask if state.task else {}
        missing = [name for name in ask if name not in state.slots]
        return [*([state.question] if self._asked(state) else []), *missing, *ask]

    def _continues(
        self, answer: Answer, state: DialogueState, slot: SlotType, understood: Understood, request: ReplyRequest
    ) -> bool:
        """Whether the turn is (part of) the number that was asked for, and then what follows from it: what is known of
        it is read back until it is whole."""
        if understood.built_in not in ("", "no") or understood.intent:
            return False
        dialled = request.digits if request.digits.isdecimal() else ""
        digits = dialled or self._understanding.digits(self._without_no(request.transcript or "", understood))
        corrects = understood.built_in == "no"
        if not digits and not (corrects and state.parts):
            return False
        state.parts, number = joined(state.parts, digits, slot, corrects=corrects)
        if number:
            state.misses = 0
            return self._wish(answer, state, Understood(slots={state.question: number}))
        if not state.parts and digits:
            return False
        state.misses = 0
        state.ask(state.question)
        if state.parts:
            heard = " ".join("".join(state.parts))
            answer.texts.append(_wording(self._texts.part, len(state.parts) - 1).replace("{heard}", heard))
        else:
            answer.texts.append(self._question(state))
        return True

    @staticmethod
    def _without_no(transcript: str, understood: Understood) -> str:
        """ "No, five five six" without its first word."""
        return transcript.lower().lstrip().removeprefix("no") if understood.built_in == "no" else transcript

    def _note_heard(self, state: DialogueState, understood: Understood, request: ReplyRequest) -> None:
        """Where the audio of texts and of what was spelled ends, for a person to find it."""
        for name in understood.slots:
            if name in state.slots and self._dialogue.slots[name].type in ("text", "spell"):
                state.heard_ms = {**state.heard_ms, name: round(request.turn_end_ms)}

    def _react(self, answer: Answer, state: DialogueState, understood: Understood) -> bool:
        """Do what the caller wants; False when it is unknown, or does not fit here."""
        match understood.built_in:
            case "repeat" if state.said:
                answer.texts.append(state.said)
                answer.repeated = True
            case "person":
                self._person(answer, self._texts.person)
            case "goodbye":
                self._end(answer, self._texts.goodbye)
            case "never_mind":
                state.drop_task()
                answer.texts.append(self._texts.never_mind)
                self._anything_else(answer, state)
            case "stop" if not (understood.intent or understood.slots):
                answer.texts.append(self._texts.go_ahead)
            case "yes" | "no" if self._yes_or_no(answer, state, understood):
                pass
            case _:
                return self._wish(answer, state, understood)
        return True

    def _yes_or_no(self, answer: Answer, state: DialogueState, understood: Understood) -> bool:
        """An answer to the open yes/no question; False when there is more to it, or no such question."""
        yes = understood.built_in == "yes"
        if understood.intent and not self._dialogue.intents[understood.intent].courtesy:
            return False
        if state.question == ANYTHING_ELSE and not understood.slots:
            if yes:
                answer.texts.append(self._texts.go_ahead)
                state.ask("")
            else:
                self._end(answer, self._texts.goodbye)
            return True
        if state.question != CONFIRM or self._changes(state, understood.slots):
            return False
        if yes:
            self._carry_out(answer, state)
        else:
            self._ask_for_correction(answer, state)
        return True

    def _wish(self, answer: Answer, state: DialogueState, understood: Understood) -> bool:
        """An intent, or slots of one: answer it, or go on filling it."""
        intents = self._dialogue.intents
        wanted = understood.intent
        if not wanted and understood.slots:
            names = set(understood.slots)
            known = [state.task] if state.task else list(intents)
            wanted = next((name for name in known if names & set(intents[name].ask)), "")
        if not wanted:
            return False
        intent = intents[wanted]
        if not intent.ask:
            self._inform(answer, state, intent)
            return True
        if wanted != state.task:
            state.drop_task()
            state.task = wanted
        state.slots = {**state.slots, **self._changes(state, understood.slots)}
        self._go_on(answer, state)
        return True

    def _changes(self, state: DialogueState, slots: dict[str, str]) -> dict[str, str]:
        """Those of the slots that the task asks for and does not know yet, or knows otherwise."""
        ask = self._dialogue.intents[state.task].ask if state.task else {}
        return {name: value for name, value in slots.items() if name in ask and state.slots.get(name) != value}

    # Tasks

    def _go_on(self, answer: Answer, state: DialogueState) -> None:
        """Ask for what is missing, otherwise for confirmation, otherwise carry it out."""
        intent = self._dialogue.intents[state.task]
        missing = next((name for name in intent.ask if name not in state.slots), "")
        if missing or intent.confirm:
            state.ask(missing or CONFIRM)
            answer.texts.append(self._question(state))
        else:
            self._carry_out(answer, state)

    def _carry_out(self, answer: Answer, state: DialogueState) -> None:
        intent = self._dialogue.intents[state.task]
        if intent.tool:
            # Its result comes with the next request; `_tell` then answers with these slots.
            answer.calls.append(ToolCall(intent.tool, dict(state.slots), state.heard_ms))
            state.question = ""
            return
        self._conclude(answer, intent, state.slots)
        state.drop_task()
        self._hand_over(answer, state)

    def _conclude(self, answer: Answer, intent: Intent, slots: dict[str, str]) -> None:
        """What an intent ends with: its answer, its keys, or both."""
        if intent.answer:
            answer.texts.append(self._values.filled(intent.answer, slots))
        answer.keys = intent.press or answer.keys

    def _ask_for_correction(self, answer: Answer, state: DialogueState) -> None:
        """A bare "no" to what was read back."""
        intent = self._dialogue.intents[state.task]
        if intent.correct:
            # The slots stay: what the caller now says replaces some of them.
            answer.texts.append(self._values.filled(intent.correct, state.slots))
            state.ask(CONFIRM)
        else:
            state.slots = {}
            self._go_on(answer, state)

    def _tell(self, answer: Answer, state: DialogueState, results: tuple[ToolResult, ...]) -> None:
        """The outcome of the tools."""
        for result in results:
            if result.name == TRANSFER:
                answer.texts.append(self._texts.unreached)
            for intent in self._dialogue.intents.values():
                if intent.tool == result.name:
                    slots = {name: str(value) for name, value in result.arguments.items()}
                    if result.error:
                        answer.texts.append(self._values.filled(intent.failed, slots))
                    else:
                        self._conclude(answer, intent, slots)
                    state.drop_task()
                    break

    def _inform(self, answer: Answer, state: DialogueState, intent: Intent) -> None:
        """Answer a plain question, and return to what was open."""
        self._conclude(answer, intent, {})
        self._return(answer, state)

    def _return(self, answer: Answer, state: DialogueState) -> None:
        """Back to the task that was open, if there was one."""
        if state.task:
            self._go_on(answer, state)
        else:
            self._hand_over(answer, state)

    def _hand_over(self, answer: Answer, state: DialogueState) -> None:
        """The caller's turn is next: offer more, unless keys were the answer, which want no question after them."""
        if answer.keys:
            state.ask("")
        else:
            self._anything_else(answer, state)

    def _anything_else(self, answer: Answer, state: DialogueState) -> None:
        state.ask(ANYTHING_ELSE)
        answer.texts.append(self._question(state))

    # When nothing was understood, or nothing is left

    def _not_understood(self, answer: Answer, state: DialogueState) -> None:
        state.misses += 1
        if state.misses >= MAX_MISSES:
            self._person(answer, self._texts.way_out)
            state.misses = 0
            return
        answer.texts.append(_wording(self._texts.not_understood, state.misses - 1))
        state.ask(state.question)
        answer.texts.append(self._question(state))

    def _reprompt(self, answer: Answer, state: DialogueState, request: ReplyRequest) -> None:
        """After silence, ask again; after a noise that cut us off, repeat."""
        if request.history and request.history[-1].interrupted and state.said:
            answer.texts.append(state.said)
            answer.repeated = True
            return
        answer.texts.append(_wording(self._texts.still_there, state.times))
        state.ask(state.question)
        answer.texts.append(self._question(state))

    def _person(self, answer: Answer, text: str) -> None:
        if self._dialogue.person:
            answer.texts.append(text)
            answer.next, answer.transfer_to = Next.TRANSFER, self._dialogue.person
        else:
            answer.texts += [self._texts.nobody, self._texts.help[0]]

    def _end(self, answer: Answer, text: str) -> None:
        answer.texts.append(text)
        answer.next = Next.HANG_UP

    def _question(self, state: DialogueState) -> str:
        """The open question, worded anew each time it is asked."""
        if state.question == ANYTHING_ELSE:
            return _wording(self._texts.anything_else, state.times)
        if not state.task or not state.question:
            return _wording(self._texts.help, state.times)
        intent = self._dialogue.intents[state.task]
        wordings = intent.confirm if state.question == CONFIRM else intent.ask[state.question]
        return self._values.filled(_wording(wordings, state.times), state.slots)


def _was_cut_off(request: ReplyRequest) -> bool:
    """Whether the agent's last turn was interrupted before its question was out."""
    last = next((turn for turn in reversed(request.history) if turn.role == "agent"), None)
    return last is not None and last.interrupted and not last.text.endswith("?")


def _wording(wordings: tuple[str, ...], times: int) -> str:
    return wordings[min(times, len(wordings) - 1)]
