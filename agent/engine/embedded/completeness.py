"""Whether what a caller has said so far is all of it, as far as the phrases of one dialogue tell. Pure functions."""

from agent.engine.base import ANY_DIGITS, DigitRange, Expect
from agent.engine.embedded.matching import DIGITS
from agent.engine.embedded.numerals import are_numbers
from agent.engine.embedded.phrase_book import PhraseBook, plain
from agent.engine.embedded.phrase_run import (
    AROUND,
    BUILT_IN,
    CORRECTION,
    FILLER,
    INTENT,
    Found,
    Span,
    ends,
    longest_run,
)
from agent.engine.embedded.wordings import BEHIND, LEADING_UP
from config.dialogue import HANGING, Dialogue, slots_of


class Completeness:
    """Judges turns to one agent."""

    def __init__(self, dialogue: Dialogue, book: PhraseBook) -> None:
        self._slots = dialogue.slots
        # Of each intent the slots it asks for, in that order, and those that its phrases can hold.
        self._asked = {
            name: (list(intent.ask), {slot for phrase in intent.spoken() for slot in slots_of(phrase)})
            for name, intent in dialogue.intents.items()
        }
        self._book = book
        self._hanging, self._leading_up, self._behind = plain(HANGING), plain(LEADING_UP), plain(BEHIND)
        self._numbers = [slot for slot in dialogue.slots.values() if slot.type == "number"]

    def complete(self, transcript: str, expect: Expect, digits: DigitRange = ANY_DIGITS) -> bool | None:
        """False when more must follow: half a number, half a phrase, "and". True when it can end here: where a question
        was asked, with the kind of answer that was asked for. Else None: of six to eight digits, six may be all. How
        many `digits` are expected is what the dialogue's numbers have, where nobody knows better."""
        digits = digits if expect is Expect.DIGITS else ANY_DIGITS
        words, corrects = self._book.turn(transcript, expect).words, expect is Expect.YES_NO
        found = self._book.find(words, corrects=corrects)
        row = longest_run(found)
        whole = bool(row) and row[-1].end - row[0].start == len(words)
        question = transcript.rstrip().endswith("?")
        if self._ends_in_half_a_number(words, whole, expect, digits):
            return False
        ended = _ends_with_phrase(words, found)
        if not ended and self._hangs(words, found, question=question):
            return False
        if expect is Expect.TEXT:
            return False if are_numbers(words) else None  # "Twelve," of twelve Hill Road
        if whole:
            # After "wait", or "the number", the caller may well go on.
            may_go_on = row[-1].name == "stop" or row[-1].kind == CORRECTION or not self._answers(row, expect, digits)
            return None if may_go_on else True
        return False if not ended and self._ends_in_half_a_phrase(words, found, corrects=corrects) else None

    def may_go_on(self, transcript: str, expect: Expect) -> bool:
        """Whether it is a whole request, but does not hold what is asked for next, and callers often say that along:
        a request without its day, or with a day and without the time."""
        if expect is Expect.YES_NO:
            return False  # everything was there to be read back
        words = self._book.turn(transcript, expect).words
        row = longest_run(self._book.find(words))
        if not row or row[-1].end - row[0].start < len(words):
            return False
        given = {name for span in row for name, _ in span.slots}
        wish = next((span.name for span in row if span.kind == INTENT), "")
        return bool(wish) and self.leads_on(wish, given)

    def leads_on(self, intent: str, given: set[str]) -> bool:
        """Whether callers often say along what the intent asks for next."""
        asked, said_along = self._asked[intent]
        last = max((at for at, name in enumerate(asked) if name in given), default=-1)
        return any(name in said_along for name in asked[last + 1 : last + 2])

    def _answers(self, row: list[Span], expect: Expect, digits: DigitRange) -> bool:
        """Whether a whole turn is all that was asked for. A number counts at its greatest length."""
        if expect is Expect.YES_NO:
            return any(span.kind == BUILT_IN and span.name in ("yes", "no") for span in row)
        given = [(self._slots[name], value) for span in row for name, value in span.slots]
        if expect is Expect.DIGITS:
            longest = self._longest(digits)
            return any(slot.type == "number" and len(value) == longest for slot, value in given)
        if expect is Expect.SPELLING:
            return False
        wishes = any(span.kind == INTENT or (span.kind == BUILT_IN and span.name not in ("yes", "no")) for span in row)
        if wishes and expect is Expect.OPEN:
            return True
        fits = expect is Expect.OPEN or any(slot.type == expect.value for slot, _ in given)
        return fits and self._answers_last({slot for span in row for slot, _ in span.slots})

    def _answers_last(self, given: set[str]) -> bool:
        """Whether slots that were given without a request are the last that callers say in one breath: a time, or a
        day with the time."""
        return bool(given) and not any(
            given & set(asked) and self.leads_on(name, given) for name, (asked, _) in self._asked.items()
        )

    def _longest(self, digits: DigitRange) -> int:
        return digits[1] or max((slot.longest for slot in self._numbers), default=0)

    def _ends_in_half_a_number(self, words: tuple[str, ...], whole: bool, expect: Expect, digits: DigitRange) -> bool:
        """Digits at the end, and a number that has more. "At two" is a time unless digits were asked for."""
        count = next((at for at, word in enumerate(reversed(words)) if word not in DIGITS), len(words))
        if count == 1 and words[-1] == "one" and expect is not Expect.DIGITS:
            return False  # "that one"
        ranges = [digits] if digits[1] else [(slot.shortest, slot.longest) for slot in self._numbers]
        half = 0 < count < self._longest(digits) and not any(least <= count <= most for least, most in ranges)
        return half and (not whole or expect is Expect.DIGITS)

    def _hangs(self, words: tuple[str, ...], found: Found, *, question: bool) -> bool:
        """Whether the last words are such that lead to more, and what comes before them is no part of a phrase. Behind
        a wish "if you could" does not."""
        said = {span.end for spans in found for span in spans if span.kind != FILLER} - {len(words)}
        if any(len(words) in self._book.reached(self._behind, words, end, once=True) for end in said):
            return False
        starts = {0, *ends(found)} - {len(words)}
        hanging = self._hanging if question else self._hanging + self._leading_up  # "can you help me?" is all of it
        return any(len(words) in self._book.reached(hanging, words, start, once=True) for start in starts)

    def _ends_in_half_a_phrase(self, words: tuple[str, ...], found: Found, *, corrects: bool) -> bool:
        """One word may begin a phrase only where another ended; more may do so anywhere, such as after strange ones."""
        ended = ends([[span for span in spans if span.name != AROUND] for spans in found])
        starts = {0, *ended, *range(len(words) - 1)}
        # Within a number nothing else begins.
        starts -= {at for at in range(1, len(words)) if words[at] in DIGITS and words[at - 1] in DIGITS}
        return any(self._book.begins_phrase(words, start, corrects=corrects) for start in starts)


def _ends_with_phrase(words: tuple[str, ...], found: Found) -> bool:
    """Whether a phrase of several words, and none that only leads on, ends with them: no more must follow."""
    return any(span.end == len(words) > span.start + 1 and span.kind != FILLER for spans in found for span in spans)
