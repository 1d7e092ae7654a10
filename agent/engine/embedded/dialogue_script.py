"""What one agent's dialogue says next: pure functions of the conversation's state and of what the caller said."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from agent.engine.base import Cue, DigitRange, Expect, Next, ReplyRequest
from agent.engine.embedded.conditions import Circumstances
from agent.engine.embedded.dialogue_state import (
    ANYTHING_ELSE,
    CONFIRM,
    CORRECT,
    DID_YOU_MEAN,
    Answer,
    DialogueState,
)
from agent.engine.embedded.likeness import SURE
from agent.engine.embedded.open_question import OpenQuestion
from agent.engine.embedded.slot_values import SlotValues
from agent.engine.embedded.task_script import TaskScript, wording
from agent.engine.embedded.understanding import Understanding, Understood
from config.dialogue import Dialogue
from config.hours import Hours

MAX_MISSES = 3  # turns in a row that are not understood before a person has to help


class DialogueScript:
    """One agent's dialogue. Pure: the same request always gives the same answer; the time comes with it."""

    def __init__(self, dialogue: Dialogue, time_zone: str = "UTC", hours: Hours | None = None) -> None:
        self._dialogue = dialogue
        self._texts = dialogue.texts
        self._understanding = Understanding(dialogue)
        self._open_question = OpenQuestion(dialogue, self._understanding)
        self._hours = hours or {}
        self._values = SlotValues(dialogue.slots, self._hours)
        self._tasks = TaskScript(dialogue, self._values)
        self._zone = ZoneInfo(time_zone)

    def answer(self, request: ReplyRequest) -> tuple[Answer, DialogueState]:
        """What is said and done now, and where the conversation stands after it."""
        state = msgspec.convert(request.state, DialogueState)
        answer = Answer(Circumstances(self._now(request), self._hours, parties=request.parties))
        self._tasks.tell(answer, state, request.tool_results)
        match request.cue:
            case Cue.GREET:
                closed = "" if answer.circumstances.open else self._texts.greeting_closed
                answer.texts.append(closed or self._texts.greeting)
            case Cue.ANSWER:
                self._answer_caller(answer, state, request)
            case Cue.TOOL | Cue.UNREACHED:
                self._tasks.resume(answer, state)
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
        state = msgspec.convert(request.state, DialogueState)
        complete = self._understanding.complete(request.transcript or "", self.expect(state), self.digits(state))
        return complete is False

    def protects(self, answer: Answer) -> bool:
        """Whether something in the answer must be played to its end, whatever the caller says meanwhile."""
        return any(map(self._dialogue.is_uninterruptible, answer.texts))

    def expect(self, state: DialogueState) -> Expect:
        """What kind of answer the open question asks for."""
        return self._open_question.expect(state)

    def digits(self, state: DialogueState) -> DigitRange:
        """How many digits may follow."""
        return self._open_question.digits(state)

    def secret(self, state: DialogueState) -> bool:
        """Whether what the caller says next may be secret."""
        return self._open_question.secret(state)

    def understand(self, request: ReplyRequest, state: DialogueState) -> Understood:
        """What the caller's turn means after the open question."""
        understood = self._open_question.understand(request, state)
        no = understood == Understood(built_in="no")
        if state.question == ANYTHING_ELSE and no and not request.digits and _was_cut_off(request):
            return Understood(built_in="stop")  # a "no" to what was being said; the question was not heard
        return understood

    def _now(self, request: ReplyRequest) -> datetime:
        """When the caller spoke, by the agent's clock."""
        return datetime.fromtimestamp(request.started_s + request.turn_end_ms / 1000, self._zone)

    # The caller's turn

    def _answer_caller(self, answer: Answer, state: DialogueState, request: ReplyRequest) -> None:
        understood = self.understand(request, state)
        filled, state.filled = state.filled, ""
        if self._continues_number(answer, state, understood, request):
            return
        heard = understood.slots
        now = answer.circumstances.now
        understood = msgspec.structs.replace(understood, slots=self._values.resolve(heard, state.slots, now))
        over = self._values.dates_over(heard, now)
        if over is not None:
            answer.texts.append(self._texts.date_over if over else self._texts.no_such_date)
        if heard and not understood:
            self._ask_again(answer, state)
        elif self._react(answer, state, understood):
            if not answer.repeated:
                state.misses = 0
                self._note_heard(state, understood, request)
        elif self._extends_number(answer, state, filled, request):
            state.misses = 0
        elif not self._guess(answer, state, request):
            self._not_understood(answer, state)

    def _continues_number(
        self, answer: Answer, state: DialogueState, understood: Understood, request: ReplyRequest
    ) -> bool:
        """Whether the turn is (part of) the number that was asked for, and then what follows from it: what is known of
        it is read back until it is whole."""
        number = self._open_question.number(request, state, understood)
        if number is None:
            return False
        state.misses = 0
        if number:
            return self._wish(answer, state, Understood(slots={state.question: number}))
        state.ask(state.question)
        if state.parts:
            heard = " ".join("".join(state.parts))
            texts = self._texts.part_secret if self._dialogue.slots[state.question].secret else self._texts.part
            answer.texts.append(wording(texts, len(state.parts) - 1).replace("{heard}", heard))
        else:
            answer.texts.append(self._tasks.question(answer, state))
        return True

    def _extends_number(self, answer: Answer, state: DialogueState, name: str, request: ReplyRequest) -> bool:
        """Whether digits that mean nothing else go on with the number that was whole a turn before."""
        digits = self._understanding.digits(request.transcript or "")
        if not digits or name not in state.slots:
            return False
        number = (state.value(name) or "") + digits
        return len(number) <= self._dialogue.slots[name].longest and self._wish(
            answer, state, Understood(slots={name: number})
        )

    def _note_heard(self, state: DialogueState, understood: Understood, request: ReplyRequest) -> None:
        """Where the audio of texts and of what was spelled ends, for a person to find it."""
        for name in understood.slots:
            if name in state.slots and self._dialogue.slots[name].type in ("text", "spell"):
                state.heard_ms = {**state.heard_ms, name: round(request.turn_end_ms)}

    def _react(self, answer: Answer, state: DialogueState, understood: Understood) -> bool:
        """Do what the caller wants; False when it is unknown, or does not fit here."""
        if state.question in (CONFIRM, CORRECT) and state.task and self._tasks.correct(answer, state, understood):
            return True
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
                state.later, state.later_slots = "", {}
                answer.texts.append(self._texts.never_mind)
                self._tasks.offer_more(answer, state)
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
        if state.question == DID_YOU_MEAN and not yes and not understood.slots:
            state.ask("")
            self._tasks.resume(answer, state, self._texts.help[0])
            return True
        if state.question not in (CONFIRM, CORRECT) or self._tasks.changes(state, understood.slots):
            return False
        if yes and state.question == CONFIRM:
            self._tasks.carry_out(answer, state)
        elif yes:  # to "which part is wrong?": nothing is settled by it
            self._tasks.go_on(answer, state)
        else:
            self._tasks.ask_for_correction(answer, state)
        return True

    def _wish(self, answer: Answer, state: DialogueState, understood: Understood) -> bool:
        """An intent, or slots of one: answer it, or go on filling it."""
        intents = self._dialogue.intents
        wanted = understood.intent
        if not wanted and understood.slots:
            names = set(understood.slots)
            known = [state.task] if state.task else list(intents)
            if not state.task:  # a text alone may be anybody's words
                names = {name for name in names if self._dialogue.slots[name].type != "text"}
            wanted = next((name for name in known if names & set(intents[name].ask)), "")
        if not wanted:
            return False
        slots = understood.slots
        if second := understood.second:
            others = self._values.resolve(second.slots, {}, answer.circumstances.now)
            wanted, slots = self._tasks.first(answer, state, (wanted, slots), (second.intent, others))
        self._tasks.begin(answer, state, wanted, slots)
        return True

    # When nothing was understood, or nothing is left

    def _guess(self, answer: Answer, state: DialogueState, request: ReplyRequest) -> bool:
        """Whether the turn is like an intent: then do it where that is sure, else ask whether it was meant."""
        if request.digits or state.question in (CONFIRM, CORRECT, DID_YOU_MEAN) or state.misses + 1 >= MAX_MISSES:
            return False
        transcript = request.transcript or ""
        best, beside = self._understanding.guess(transcript), self._understanding.slots_beside(transcript)
        slots = self._values.resolve(beside, state.slots, answer.circumstances.now)
        if len(best) == 1 and best[0][1] >= SURE:
            state.misses = 0
            return self._wish(answer, state, Understood(best[0][0], slots=slots))
        if not best or state.question in self._dialogue.slots:
            return False
        state.misses += 1
        state.maybe = [name for name, _ in best]
        state.maybe_slots = {name: words for name, words in beside.items() if name in slots}
        state.ask(DID_YOU_MEAN)
        answer.texts.append(self._tasks.question(answer, state))
        return True

    def _not_understood(self, answer: Answer, state: DialogueState) -> None:
        state.misses += 1
        if state.misses >= MAX_MISSES:
            self._person(answer, self._texts.way_out)
            state.misses = 0
            return
        answer.texts.append(wording(self._texts.not_understood, state.misses - 1))
        self._ask_again(answer, state)

    def _ask_again(self, answer: Answer, state: DialogueState) -> None:
        state.ask(state.question)
        answer.texts.append(self._tasks.question(answer, state))

    def _reprompt(self, answer: Answer, state: DialogueState, request: ReplyRequest) -> None:
        """After silence, ask again; after a noise that cut us off, repeat."""
        if request.history and request.history[-1].interrupted and state.said:
            answer.texts.append(state.said)
            answer.repeated = True
            return
        answer.texts.append(wording(self._texts.still_there, state.times))
        self._ask_again(answer, state)

    def _person(self, answer: Answer, text: str) -> None:
        closed = "" if answer.circumstances.open else self._dialogue.person_closed
        if to := closed or self._dialogue.person:
            answer.texts.append(text)
            answer.next, answer.transfer_to = Next.TRANSFER, to
        else:
            answer.texts += [self._texts.nobody, self._texts.help[0]]

    def _end(self, answer: Answer, text: str) -> None:
        answer.texts.append(text)
        answer.next = Next.HANG_UP


def _was_cut_off(request: ReplyRequest) -> bool:
    """Whether the agent's last turn was interrupted before its question was out."""
    last = next((turn for turn in reversed(request.history) if turn.role == "agent"), None)
    return last is not None and last.interrupted and not last.text.endswith("?")
