"""What a transcript means in one agent's dialogue: the intent it names, the slots it fills, whether it wants an answer
and whether it is complete. Pure functions."""

from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

import msgspec

from agent.engine.base import Expect, Meaning
from agent.engine.embedded import corrections
from agent.engine.embedded.contractions import written_out
from agent.engine.embedded.likeness import Likeness
from agent.engine.embedded.matching import DIGITS, Matcher
from agent.engine.embedded.numerals import digit_by_digit
from agent.engine.embedded.phrase_run import (
    ANSWER,
    BUILT_IN,
    CORRECTION,
    COURTESY,
    FILLER,
    INTENT,
    NEGATION,
    Found,
    Span,
    ends,
    longest_run,
)
from agent.engine.embedded.spoken_turn import SpokenTurn, spoken_turn
from config.dialogue import AGREEING, HANGING, LISTENING, NO_ANSWERS, BuiltIn, Dialogue
from config.phrase import Choice, parse_phrase

CLEAR_WORDS = 3  # of a known phrase: as much is no accident, though the phrase is not at its end
TEXT_WORDS = 2  # of an answer that may be anything: so many are no accident either
BARE_WORDS = 3  # behind a text: "12 Hill Road, number 3" is all of it an address
MIN_SHARE = 0.7  # of the words, in one piece, that must belong to phrases; else they were a stranger's

# What comes before a text, or a part of a number, and is not part of it.
LEADING = ["(it's | it is | that's | that is | this is | my name is | that would be | i'm at | i am at)", "the name is"]
BETWEEN_DIGITS = frozenset("it's it is my the number phone then and um uh area code yes okay that's so".split())

UNCLEAR = "unclear"  # yes and no at once
CORRECTING = (CORRECTION, NEGATION)
Named = tuple[str, str, Choice]  # a kind, the intent's name and a phrase of it


class Understood(msgspec.Struct, frozen=True):
    """What a caller's turn means; all empty for words that mean nothing here."""

    intent: str = ""  # one of the agent's own
    built_in: str = ""  # yes, no, repeat, person, never_mind, goodbye, stop, or UNCLEAR
    slots: dict[str, str] = {}  # of dates and times the words
    denied: dict[str, str] = {}  # slots that it is not: "not Tuesday"
    wrong: tuple[str, ...] = ()  # what was read back wrong: slots, or "#third" for the third of them
    digit: str = ""  # the words that change one digit of a number

    def __bool__(self) -> bool:
        return bool(self.intent or self.built_in or self.slots or self.denied or self.wrong or self.digit)


class Understanding:
    """Reads a turn as phrases of the dialogue that follow one another, with fillers such as "please" between them."""

    def __init__(self, dialogue: Dialogue) -> None:
        before, after = dialogue.around()
        intents = dialogue.intents.items()
        self._slots = dialogue.slots
        self._matcher = Matcher(dialogue.slots)
        phrases: list[Named] = [
            *(
                (COURTESY if item.courtesy else INTENT, name, phrase)
                for name, item in intents
                for phrase in item.phrases
            ),
            *((BUILT_IN, name, phrase) for name in get_args(BuiltIn) for phrase in dialogue.built_in(name)),
            *((ANSWER, "", phrase) for phrase in dialogue.slot_answers()),
            *((CORRECTION, name, phrase) for name, phrase in corrections.phrases(dialogue)),
            *((NEGATION, "", phrase) for phrase in map(parse_phrase, corrections.NEGATIONS)),
            *((FILLER, "", phrase) for phrase in (*before, *after, *map(parse_phrase, corrections.REPAIRS))),
        ]
        self._by_first_word: dict[str, list[Named]] = {}
        for kind, name, phrase in phrases:
            plain = written_out(phrase)
            for word in self._matcher.first_words(plain):
                self._by_first_word.setdefault(word, []).append((kind, name, plain))
        self._likeness = Likeness(dialogue)
        self._hanging = _plain(HANGING)
        self._agreeing = _plain(AGREEING)
        self._polite = [written_out(phrase) for phrase in after]  # "please": over the agent it asks for nothing
        self._leading = [written_out(phrase) for phrase in (*before, *map(parse_phrase, LEADING))]
        self._backchannels = [*self._agreeing, *_plain(LISTENING)]
        self._no_answers = [*_plain(NO_ANSWERS), *self._polite, *(written_out(phrase) for phrase in before)]
        self._numbers = [slot for slot in dialogue.slots.values() if slot.type == "number"]

    def read(self, transcript: str, expect: Expect = Expect.OPEN, wanted: Sequence[str] = ()) -> Understood:
        """Make sense of what was said, in any case and with any punctuation. Where it could fill either of two slots,
        it fills the one that comes first in `wanted`."""
        turn = self._turn(transcript, expect, hesitant=False)
        return self._read(turn, self._find(turn.words, wanted))

    def guess(self, transcript: str) -> list[tuple[str, float]]:
        """The one or two intents that a turn may mean which is none of their phrases, with scores from 0 to 1."""
        words = self._turn(transcript, hesitant=False).words
        return [] if self._consists_of(self._no_answers, words) else self._likeness.best(words)

    def agrees(self, transcript: str) -> bool:
        """Whether it is no more than "okay", which answers a question with yes."""
        return self._consists_of(self._agreeing, self._turn(transcript).words)

    def free_text(self, transcript: str, slot: str) -> str:
        """What was said in answer to the question for a text, as it was written down but for "it's" and the like; empty
        if the caller said something else: wishes, or other slots in whole phrases."""
        turn = self._turn(transcript)
        words = turn.words
        if self._consists_of(self._no_answers, words):
            return ""
        run = longest_run(self._find(words, (slot,)))
        said = [span for span in run if span.kind != FILLER]
        if run and run[-1].end - run[0].start == len(words):
            answers = all(span.kind == ANSWER for span in said)
            if not answers or (len(words) >= CLEAR_WORDS and not any(span.free for span in said)):
                return ""
        start = max(self._reached(self._leading, words, 0), default=0)
        end = self._before_polite(words, start, len(words))
        others = any(span.kind == ANSWER and not span.bare for span in said)
        if others and _is_enough(run, words) and run[0].start > start:
            end = run[0].start  # what follows fills other slots
        end = min(end, start + self._slots[slot].max_words)
        return turn.text(start, end) if start < end else ""

    def digits(self, transcript: str) -> str:
        """The digits of a turn that holds little else, in answer to the question for a number; empty if it does not."""
        words = [word for word in digit_by_digit(list(self._turn(transcript).words)) if word not in BETWEEN_DIGITS]
        digits = "".join(DIGITS.get(word, "") for word in words)
        return digits if len(digits) >= MIN_SHARE * len(words) else ""

    def meaning(self, transcript: str, expect: Expect, *, over: bool = False, final: bool = True) -> Meaning:
        """What it means for the agent. Until it is `final`: phrases from the first word on, or a clear beginning."""
        turn = self._turn(transcript, expect, hesitant=False)
        words, corrects = turn.words, expect is Expect.YES_NO  # elsewhere "the first one" is what a television says
        found = self._find(words, corrects=corrects)
        understood = self._read(turn, found)
        if self._consists_of(self._backchannels, words):
            asked = expect is Expect.YES_NO and self.agrees(transcript)
            return Meaning.TURN if asked or (understood and not over) else Meaning.BACKCHANNEL
        if over and self._consists_of([*self._polite, *self._backchannels], words):
            return Meaning.BACKCHANNEL
        if not final:
            begun = self._begun(words, found, corrects=corrects)
            understood = Understood() if begun < len(words) else understood
            return Meaning.TURN if understood or begun >= CLEAR_WORDS else Meaning.NOTHING
        if expect is Expect.TEXT and len(words) >= TEXT_WORDS:
            return Meaning.TURN
        return Meaning.TURN if understood else Meaning.NOTHING

    def complete(self, transcript: str, expect: Expect) -> bool | None:
        """False when more must follow: half a number, half a phrase, "and". True when it can end here: where a question
        was asked, with the kind of answer that was asked for. Else None."""
        words, corrects = self._turn(transcript, expect).words, expect is Expect.YES_NO
        found = self._find(words, corrects=corrects)
        row = longest_run(found)
        whole = bool(row) and row[-1].end - row[0].start == len(words)
        if self._ends_in_half_a_number(words, whole, expect) or self._hangs(words, found):
            return False
        if expect is Expect.TEXT:
            return None
        if whole:
            # After "wait", or "the number", the caller may well go on.
            may_go_on = row[-1].name == "stop" or row[-1].kind == CORRECTION or not self._answers(row, expect)
            return None if may_go_on else True
        return False if self._ends_in_half_a_phrase(words, found, corrects=corrects) else None

    def _answers(self, row: list[Span], expect: Expect) -> bool:
        """Whether a whole turn is all that was asked for. A number counts at the greatest length that any slot has."""
        if expect is Expect.YES_NO:
            return any(span.kind == BUILT_IN and span.name in ("yes", "no") for span in row)
        given = [(self._slots[name], value) for span in row for name, value in span.slots]
        if expect is Expect.DIGITS:
            longest = max((slot.longest for slot in self._numbers), default=0)
            return any(slot.type == "number" and len(value) == longest for slot, value in given)
        if expect in (Expect.DATE, Expect.TIME):
            return any(slot.type == expect.value for slot, _ in given)
        return expect is not Expect.SPELLING

    def _turn(self, transcript: str, expect: Expect = Expect.OPEN, *, hesitant: bool = True) -> SpokenTurn:
        """The words of a transcript, with or without those that show hesitation. Where digits are expected, "twelve
        thirty four" is one two three four, if a number of the dialogue has four."""
        turn = spoken_turn(transcript, hesitant=hesitant)
        if expect is Expect.DIGITS:
            spelled = turn.digit_by_digit()
            found = (slot for spans in self._find(spelled.words) for span in spans for slot in span.slots)
            if any(self._slots[name].type == "number" for name, _ in found):
                return spelled
        return turn

    def _read(self, turn: SpokenTurn, found: Found) -> Understood:
        run = longest_run(found)
        if not _is_enough(run, turn.words):
            return Understood()
        denied = [span for before, span in pairwise(run) if before.kind == NEGATION and span.kind == ANSWER]
        either = _either(run, turn.words)
        meant = [span for span in run if span not in (*denied, *either) and not _repairs(span, run)]
        longest_first = sorted(meant, key=lambda span: span.start - span.end)
        name = {span.kind: span.name for span in reversed(longest_first)}
        built_in = name.get(BUILT_IN, "")
        around = [span for spans in found for span in spans if span.end <= run[0].start or span.start >= run[-1].end]
        if built_in in ("yes", "no") and {"yes", "no"} <= {s.name for s in (*meant, *around) if s.kind == BUILT_IN}:
            built_in = UNCLEAR
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
        return next((at for at in places if end in self._reached(self._polite, words[:end], at)), end)

    # How much of it there is

    def _ends_in_half_a_number(self, words: tuple[str, ...], whole: bool, expect: Expect) -> bool:
        """Digits at the end, and a number that has more. "At two" is a time unless digits were asked for."""
        count = next((at for at, word in enumerate(reversed(words)) if word not in DIGITS), len(words))
        if count == 1 and words[-1] == "one" and expect is not Expect.DIGITS:
            return False  # "that one"
        enough = any(slot.shortest <= count <= slot.longest for slot in self._numbers)
        half = 0 < count < max((slot.longest for slot in self._numbers), default=0) and not enough
        return half and (not whole or expect is Expect.DIGITS)

    def _hangs(self, words: tuple[str, ...], found: Found) -> bool:
        """Whether the last words are such that lead to more, and what comes before them is no part of a phrase."""
        starts = {0, *ends(found)} - {len(words)}
        return any(len(words) in self._reached(self._hanging, words, start, once=True) for start in starts)

    def _ends_in_half_a_phrase(self, words: tuple[str, ...], found: Found, *, corrects: bool) -> bool:
        """One word may begin a phrase only where another ended; more may do so anywhere, such as after strange ones."""
        starts = {0, *ends(found), *range(len(words) - 1)}
        return any(self._begins_phrase(words, start, corrects=corrects) for start in starts)

    def _begun(self, words: tuple[str, ...], found: Found, *, corrects: bool) -> int:
        """How many of the words are phrases from the first one on, of which the last may be only begun; 0 if not all
        are. A single word that begins a phrase does not count."""
        reached, most = {0}, 0
        for start in range(len(words)):
            if start in reached:
                if self._begins_phrase(words, start, corrects=corrects):
                    most = max(most, len(words) if start < len(words) - 1 else start)
                reached |= {span.end for span in found[start]}
        return len(words) if len(words) in reached else most

    def _consists_of(self, phrases: list[Choice], words: tuple[str, ...]) -> bool:
        return bool(words) and len(words) in self._reached(phrases, words, 0)

    def _reached(
        self, phrases: Sequence[Choice], words: tuple[str, ...], start: int, *, once: bool = False
    ) -> set[int]:
        """Where some of these phrases, one after another, may end; with `once` a single one."""
        reached = {start}
        for place in range(start, start + 1 if once else len(words)):
            if place in reached:
                reached |= {end for phrase in phrases for end, _ in self._matcher.match(phrase, words, place)}
        return reached

    def _begins_phrase(self, words: tuple[str, ...], start: int, *, corrects: bool) -> bool:
        phrases = self._by_first_word.get(words[start], ()) if start < len(words) else ()
        return any(
            self._matcher.begins(phrase, words, start)
            for kind, _, phrase in phrases
            if corrects or kind not in CORRECTING
        )

    # Which phrases there are

    def _find(self, words: tuple[str, ...], wanted: Sequence[str] = (), *, corrects: bool = True) -> Found:
        """Every phrase that begins at each word, those with wanted slots first; with corrections or without."""
        found = [self._spans_at(words, start) for start in range(len(words))]
        if not corrects:
            found = [[span for span in spans if span.kind not in CORRECTING] for spans in found]
        if wanted:
            place = {name: at for at, name in enumerate(wanted)}
            for spans in found:
                spans.sort(key=lambda span: min((place.get(name, 99) for name, _ in span.slots), default=99))
        return found

    def _spans_at(self, words: tuple[str, ...], start: int) -> list[Span]:
        return [
            Span(kind, name, start, end, slots, self._free(slots), self._is_bare(words, start, end, slots))
            for kind, name, phrase in self._by_first_word.get(words[start], ())
            for end, slots in sorted(self._matcher.match(phrase, words, start))
            if end > start
        ]

    def _is_bare(self, words: tuple[str, ...], start: int, end: int, slots: tuple[tuple[str, str], ...]) -> bool:
        """Whether it is short and begins with its slot, as "three" does and "at three" does not, or has none."""
        return not slots or (
            end - start <= BARE_WORDS and any(self._matcher.can_begin(name, words[start]) for name, _ in slots)
        )

    def _free(self, slots: tuple[tuple[str, str], ...]) -> int:
        texts = [value.split(":") for name, value in slots if self._slots[name].type == "text"]
        return sum(int(end) - int(start) for start, end in texts)


def _is_enough(run: Sequence[Span], words: tuple[str, ...]) -> bool:
    """Whether it is most of the words; what is less a stranger may have said."""
    return bool(run) and run[-1].end - run[0].start >= MIN_SHARE * len(words)


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


def _plain(phrases: Sequence[str]) -> list[Choice]:
    return [written_out(parse_phrase(phrase)) for phrase in phrases]
