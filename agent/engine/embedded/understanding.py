"""What a transcript means in one agent's dialogue: the intent it names, the slots it fills, whether it wants an answer
and whether it is complete. Pure functions."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from agent.engine.base import ANY_DIGITS, DigitRange, Expect, Meaning
from agent.engine.embedded.completeness import Completeness
from agent.engine.embedded.contractions import written_out
from agent.engine.embedded.likeness import COMMON, SURE, Likeness
from agent.engine.embedded.matching import DIGITS
from agent.engine.embedded.numerals import are_numbers, digit_by_digit
from agent.engine.embedded.phrase_book import PhraseBook, plain
from agent.engine.embedded.phrase_run import (
    ANSWER,
    BUILT_IN,
    CORRECTION,
    COURTESY,
    DENYING,
    FILLER,
    INTENT,
    MIN_SHARE,
    NEGATION,
    Found,
    Span,
    is_asked_if_needed,
    is_denied,
    is_enough,
    is_wish,
    longest_run,
    within,
)
from agent.engine.embedded.spoken_turn import SpokenTurn
from config.dialogue import AGREEING, LISTENING, NO_ANSWERS, Dialogue
from config.phrase import parse_phrase

CLEAR_WORDS = 3  # of a known phrase: as much is no accident, though the phrase is not at its end
TEXT_WORDS = 2  # of an answer that may be anything: so many are no accident either

# What comes before a text, or a part of a number, and is not part of it.
LEADING = [
    "(it's | it is | that's | that is | this is | my name is | that would be | i'm at | i am at | i said)",
    "(it should be | make it | make that | the name is)",
]
LINKING = ["[and | then] (at | in | to | under | it's | the address is | i'm at | we're at)"]  # from a slot to a text
DOUBTING = frozenset(("but", "if", "not", "unless"))  # around a yes
DENIALS = frozenset(("no", "nope", "wrong"))
BETWEEN_DIGITS = frozenset(
    "it's its it is i'm i am my the number phone then and um uh area code yes okay sure that's so let me see "
    "hang on".split()
)
# What says nothing beside a value that was asked for: "could you do Monday?", "three would be great".
BESIDE = (COMMON - {"not"}) | frozenset(
    "let see think thinking hoping guess reckon say said try take make go maybe perhaps probably possible possibly "
    "all around round about suit suits best better good great fine nice perfect lovely okay yes yeah well then please "
    "thanks thank soon free available".split()
)

UNSURE = SURE - 0.01
UNCLEAR = "unclear"  # yes and no at once


class Understood(msgspec.Struct, frozen=True):
    """What a caller's turn means; all empty for words that mean nothing here."""

    intent: str = ""  # one of the agent's own
    built_in: str = ""  # yes, no, repeat, person, never_mind, goodbye, stop, or UNCLEAR
    slots: dict[str, str] = {}  # of dates and times the words
    denied: dict[str, str] = {}  # slots that it is not: "not Tuesday"
    wrong: tuple[str, ...] = ()  # what was read back wrong: slots, or "#third" for the third of them
    digit: str = ""  # the words that change one digit of a number
    second: "Understood | None" = None  # another intent, in a clause of its own behind the first

    def __bool__(self) -> bool:
        return bool(self.intent or self.built_in or self.slots or self.denied or self.wrong or self.digit)


class Understanding:
    """Reads a turn as phrases of the dialogue that follow one another, with fillers such as "please" between them."""

    def __init__(self, dialogue: Dialogue) -> None:
        before, after = dialogue.around()
        self._slots = dialogue.slots
        self._book = PhraseBook(dialogue)
        self._completeness = Completeness(dialogue, self._book)
        self._likeness = Likeness(dialogue)
        self._agreeing = plain(AGREEING)
        self._polite = [written_out(phrase) for phrase in after]  # "please": over the agent it asks for nothing
        self._leading = [written_out(phrase) for phrase in (*before, *map(parse_phrase, LEADING))]
        self._linking = plain(LINKING)
        self._introducing = plain(LEADING)
        self._denying = [*plain(sorted(DENIALS)), *(written_out(phrase) for phrase in before)]
        self._backchannels = [*self._agreeing, *plain(LISTENING)]
        self._no_answers = [*plain(NO_ANSWERS), *self._polite, *(written_out(phrase) for phrase in before)]

    def read(self, transcript: str, expect: Expect = Expect.OPEN, wanted: Sequence[str] = ()) -> Understood:
        """Make sense of what was said, in any case and with any punctuation. Where it could fill either of two slots,
        it fills the one that comes first in `wanted`."""
        turn = self._book.turn(transcript, expect, hesitant=False)
        yes_no = expect is Expect.YES_NO  # "that's right, but ..." is no yes
        found = self._book.find(turn.words, wanted, around=not yes_no)
        understood = self._read(turn, found)
        if yes_no or (understood and not understood.intent):
            return understood
        return self._two_wishes(turn, found) or understood or self._clause(turn, found)

    def value(self, transcript: str, expect: Expect, slot: str) -> str:
        """The value of a slot that was asked for, if all other words say nothing; empty if it has none, or two."""
        turn = self._book.turn(transcript, expect, hesitant=False)
        return self._value_beside(turn, self._book.find(turn.words, (slot,)), slot)

    def guess(self, transcript: str) -> list[tuple[str, float]]:
        """The one or two intents that a turn may mean which is none of their phrases, with scores from 0 to 1."""
        words = self._book.turn(transcript, hesitant=False).words
        if self._book.consists_of(self._no_answers, words):
            return []
        slots = {place for span in self._beside(words) for place in range(span.start, span.end)}
        best = self._likeness.best([word for place, word in enumerate(words) if place not in slots])
        denied = not DENYING.isdisjoint(words) or is_asked_if_needed(words)  # then it is asked about at most
        return [(name, min(score, UNSURE)) for name, score in best] if denied else best

    def is_like_a_phrase(self, transcript: str) -> bool:
        """Whether it may be a phrase that was misheard: it holds a part of one, or is like an intent."""
        holds = self._book.holds_part(self._book.turn(transcript, hesitant=False).words)
        return holds or bool(self.guess(transcript))

    def slots_beside(self, transcript: str) -> dict[str, str]:
        """What a turn of one clause that denies nothing says of slots, whatever else is in it; but for texts, numbers,
        and times on their own, which other words may hold by chance."""
        turn = self._book.turn(transcript, hesitant=False)
        simple = len(turn.clauses()) == 1 and DENYING.isdisjoint(turn.words)
        return self._slots_of(turn, self._beside(turn.words)) if simple else {}

    def _beside(self, words: tuple[str, ...]) -> list[Span]:
        beside: list[Span] = []
        for place, spans in enumerate(self._book.find(words)):
            answers = [span for span in spans if span.kind == ANSWER and self._stands_beside(span, words)]
            if answers and (not beside or place >= beside[-1].end):
                beside.append(max(answers, key=lambda span: span.end))
        return beside

    def _stands_beside(self, span: Span, words: tuple[str, ...]) -> bool:
        types = {self._slots[name].type for name, _ in span.slots}
        if span.bare and ("time" in types or are_numbers(words[span.start : span.start + 1])):
            return False
        return types <= {"date", "choice", "time"}

    def agrees(self, transcript: str) -> bool:
        """Whether it is no more than "okay", which answers a question with yes."""
        return self._book.consists_of(self._agreeing, self._book.turn(transcript).words)

    def free_text(self, transcript: str, slot: str) -> dict[str, str]:
        """What was said in answer to the question for a text, as it was written down but for "it's" and the like, with
        other slots that were said before or after it; empty if the caller said something else: wishes, or only other
        slots, in whole phrases."""
        turn = self._book.turn(transcript)
        words = turn.words
        if self._book.consists_of(self._no_answers, words):
            return {}
        run = longest_run(self._book.find(words, (slot,)))
        said = [span for span in run if span.kind != FILLER]
        if run and run[-1].end - run[0].start == len(words):
            answers = all(span.kind == ANSWER for span in said)
            if not answers or (len(words) >= CLEAR_WORDS and not any(span.free for span in said)):
                return {}
        start = max(self._book.reached(self._leading, words, 0), default=0)
        before, start = self._slots_before(turn, slot, start)
        end = self._before_polite(words, start, len(words))
        others = [span for span in said if span.kind == ANSWER]
        if is_enough(run, words) and run[0].start > start and not all(span.bare for span in others):
            end = run[0].start  # what follows fills other slots
        else:
            others = []
        end = min(end, start + self._slots[slot].max_words)
        return {**self._slots_of(turn, [*before, *others]), slot: turn.text(start, end)} if start < end else {}

    def _slots_before(self, turn: SpokenTurn, text: str, start: int) -> tuple[list[Span], int]:
        """Other slots said before a text, and where it begins: "on Tuesday at 12 Oak Avenue". Only "at" and the like,
        or a comma, tells that a text follows: "Tuesday Lane" is all of it one."""
        words = turn.words
        found = self._book.find(words)
        rows: dict[int, list[Span]] = {start: []}
        for place in range(start, len(words)):
            for span in found[place] if place in rows else ():
                if span.kind == ANSWER and not span.free and text not in dict(span.slots):
                    rows.setdefault(span.end, [*rows[place], span])
        for place in sorted(rows, reverse=True):
            begins = max(self._book.reached(self._linking, words, place))
            if begins == len(words):
                continue
            led = begins > place or (place > start and turn.comma_before(place))
            if led and any(map(self._stands_alone, rows[place])):
                return rows[place], begins
        return [], start

    def _stands_alone(self, span: Span) -> bool:
        """Whether it is no part of a text behind it, as a bare number may be."""
        return not span.bare or any(self._slots[name].type in ("date", "choice") for name, _ in span.slots)

    def instead(self, transcript: str, *, denied: bool) -> str:
        """What was said in place of what was read back, as it was written down: what follows "no" and "it's". Without
        "it's" only words that carry the meaning are that, and nothing is without "no" where that must be `denied`."""
        turn = self._book.turn(transcript)
        words = turn.words
        start = max(self._book.reached(self._denying, words, 0))
        begins = max(self._book.reached(self._introducing, words, start))
        no = not DENIALS.isdisjoint(words[:start])
        clear = begins > start or (no and COMMON.isdisjoint(words[start:]))
        end = self._before_polite(words, begins, len(words))
        return turn.text(begins, end) if clear and (no or not denied) and begins < end else ""

    def digits(self, transcript: str) -> str:
        """The digits of a turn that holds little else, in answer to the question for a number; empty if it does not."""
        words = [word for word in digit_by_digit(list(self._book.turn(transcript).words)) if word not in BETWEEN_DIGITS]
        digits = "".join(DIGITS.get(word, "") for word in words)
        return digits if len(digits) >= MIN_SHARE * len(words) else ""

    def meaning(self, transcript: str, expect: Expect, *, over: bool = False, final: bool = True) -> Meaning:
        """What it means for the agent. Until it is `final`: phrases from the first word on, or a clear beginning."""
        turn = self._book.turn(transcript, expect, hesitant=False)
        words, corrects = turn.words, expect is Expect.YES_NO  # elsewhere "the first one" is what a television says
        free = not over and not corrects  # over the agent so much is said that is not for it
        found = self._book.find(words, corrects=corrects, around=free)
        understood = self._read(turn, found) or (self._clause(turn, found) if final and free else Understood())
        if self._book.consists_of(self._backchannels, words):
            asked = expect is Expect.YES_NO and self.agrees(transcript)
            return Meaning.TURN if asked or (understood and not over) else Meaning.BACKCHANNEL
        if over and self._book.consists_of([*self._polite, *self._backchannels], words):
            return Meaning.BACKCHANNEL
        if not final:
            begun = self._book.begun(words, found, corrects=corrects)
            understood = Understood() if begun < len(words) else understood
            return Meaning.TURN if understood or begun >= CLEAR_WORDS else Meaning.NOTHING
        if expect is Expect.TEXT and len(words) >= TEXT_WORDS:
            return Meaning.TURN
        names = [name for name, slot in self._slots.items() if slot.type == expect.value]
        answers = any(self._value_beside(turn, found, name) for name in names)
        corrected = corrects and self.instead(transcript, denied=True)
        return Meaning.TURN if understood or answers or corrected else Meaning.NOTHING

    def may_go_on(self, transcript: str, expect: Expect) -> bool:
        """See Completeness; the same of a wish in one of several clauses."""
        if expect is Expect.YES_NO or self._completeness.may_go_on(transcript, expect):
            return expect is not Expect.YES_NO
        turn = self._book.turn(transcript, expect, hesitant=False)
        found = self._book.find(turn.words)
        wish = Understood() if self._read(turn, found) else self._clause(turn, found)
        return bool(wish.intent) and self._completeness.leads_on(wish.intent, set(wish.slots))

    def complete(self, transcript: str, expect: Expect, digits: DigitRange = ANY_DIGITS) -> bool | None:
        """See Completeness; nor does it need more if it ends with the answer, behind words that say nothing."""
        complete = self._completeness.complete(transcript, expect, digits)
        return True if complete is not True and self._ends_with_answer(transcript, expect, digits) else complete

    def _ends_with_answer(self, transcript: str, expect: Expect, digits: DigitRange) -> bool:
        if expect is Expect.DIGITS:
            return 0 < len(self.digits(transcript)) == digits[1]
        if expect is not Expect.TIME:  # a day is often followed by a time
            return False
        turn = self._book.turn(transcript, expect, hesitant=False)
        found = self._book.find(turn.words)
        last = {name for spans in found for span in spans if span.end == len(turn.words) for name, _ in span.slots}
        return any(self._slots[name].type == "time" and self._value_beside(turn, found, name) for name in last)

    def _clause(self, turn: SpokenTurn, found: Found) -> Understood:
        """What one clause of the turn wishes, where no other is understood as something else: "I have a toothache, and
        I need to see somebody"."""
        wishes, answers = self._clauses(turn, found)
        same = len({(wish.intent, wish.built_in) for wish in wishes}) == 1
        if not same or any(wish.denied or wish.wrong for wish in wishes):
            return Understood()
        return msgspec.structs.replace(wishes[-1], slots=answers | wishes[-1].slots)

    def _two_wishes(self, turn: SpokenTurn, found: Found) -> Understood:
        """Two intents, each in clauses of its own: "I'd like to cancel my appointment, and what are your hours?" What
        is said of slots beside them is said of the first."""
        wishes, answers = self._clauses(turn, found)
        intents = list(dict.fromkeys(wish.intent for wish in wishes))
        if len(intents) != 2 or any(wish.built_in or wish.denied or wish.wrong for wish in wishes):
            return Understood()
        slots: dict[str, dict[str, str]] = {intent: {} for intent in intents}
        for wish in wishes:
            slots[wish.intent] |= wish.slots
        first, second = (Understood(intent, slots=slots[intent]) for intent in intents)
        return msgspec.structs.replace(first, slots=answers | first.slots, second=second)

    def _clauses(self, turn: SpokenTurn, found: Found) -> tuple[list[Understood], dict[str, str]]:
        """The clear wishes of the clauses, and what the others say of slots."""
        wishes: list[Understood] = []
        answers: dict[str, str] = {}
        clauses = turn.clauses()
        for start, end in clauses:
            run = longest_run(within(found, start, end))
            if any(map(is_wish, run)):
                clear = any(is_wish(span) and span.end - span.start >= CLEAR_WORDS for span in run)
                meant = clear and is_enough(run, turn.words[start:end]) and not turn.depends(start)
                if meant and not is_denied(run, turn.words, clauses):
                    wishes.append(self._meant(turn, found, run))
            elif run and run[-1].end - run[0].start == end - start:
                answers |= self._slots_of(turn, [span for span in run if span.kind == ANSWER])
        return wishes, answers

    def _read(self, turn: SpokenTurn, found: Found) -> Understood:
        run = longest_run(found)
        enough = is_enough(run, turn.words) and not is_denied(run, turn.words, turn.clauses())
        return self._meant(turn, found, run) if enough else Understood()

    def _meant(self, turn: SpokenTurn, found: Found, run: Sequence[Span]) -> Understood:
        denied = [span for before, span in pairwise(run) if before.kind == NEGATION and span.kind == ANSWER]
        either = _either(run, turn.words)
        meant = [span for span in run if span not in (*denied, *either) and not _repairs(span, run)]
        longest_first = sorted(meant, key=lambda span: span.start - span.end)
        name = {span.kind: span.name for span in reversed(longest_first)}
        built_in = name.get(BUILT_IN, "")
        around = [span for spans in found for span in spans if span.end <= run[0].start or span.start >= run[-1].end]
        if built_in in ("yes", "no") and {"yes", "no"} <= {s.name for s in (*meant, *around) if s.kind == BUILT_IN}:
            built_in = UNCLEAR
        if built_in == "yes" and not DOUBTING.isdisjoint(turn.words[: run[0].start] + turn.words[run[0].end :]):
            built_in = UNCLEAR
        if built_in == "no" and any(span.name == "goodbye" for span in meant):
            built_in = "goodbye"
        intent = name.get(INTENT) or ("" if built_in else name.get(COURTESY, ""))
        wrong = [span for span in meant if span.kind == CORRECTION]
        return Understood(
            intent,
            built_in,
            self._slots_of(turn, meant),
            self._slots_of(turn, denied),
            tuple(span.name for span in wrong if span.name != "digit"),
            next((" ".join(turn.words[span.start : span.end]) for span in wrong if span.name == "digit"), ""),
        )

    def _value_beside(self, turn: SpokenTurn, found: Found, slot: str) -> str:
        spans = [span for spans in found for span in spans if span.kind == ANSWER and slot in dict(span.slots)]
        longest = max(spans, key=lambda span: span.end - span.start, default=None)
        if longest is None or not BESIDE.issuperset((*turn.words[: longest.start], *turn.words[longest.end :])):
            return ""
        return self._value(turn, slot, dict(longest.slots)[slot])

    def _slots_of(self, turn: SpokenTurn, spans: Sequence[Span]) -> dict[str, str]:
        """The slots of some phrases: callers who correct themselves mean the later one."""
        return {name: self._value(turn, name, value) for span in spans for name, value in span.slots}

    def _value(self, turn: SpokenTurn, name: str, value: str) -> str:
        if self._slots[name].type != "text":
            return value
        start, end = map(int, value.split(":"))
        return turn.text(start, self._before_polite(turn.words, start, end))

    def _before_polite(self, words: tuple[str, ...], start: int, end: int) -> int:
        """Where a text ends without the "please" at its end."""
        places = range(start + 1, end)
        return next((at for at in places if end in self._book.reached(self._polite, words[:end], at)), end)


def _either(run: Sequence[Span], words: tuple[str, ...]) -> list[Span]:
    """Two values of one slot with "and" between them, as in "between nine and eleven": neither is meant alone."""
    return [
        span
        for before, link, after in zip(run, run[1:], run[2:], strict=False)
        if words[link.start : link.end] == ("and",) and {n for n, _ in before.slots} & {n for n, _ in after.slots}
        for span in (before, after)
    ]


def _repairs(span: Span, run: Sequence[Span]) -> bool:
    """Whether a "no" or "wait" only separates a slot from the one that is meant instead: "Monday, no, Tuesday"."""
    if span.kind != BUILT_IN or span.name not in ("no", "stop"):
        return False
    before = any(other.slots for other in run if other.end <= span.start)
    return before and any(other.slots for other in run if other.start >= span.end)
