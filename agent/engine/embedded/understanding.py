"""What a transcript means in one agent's dialogue: the intent it names, the slots it fills, whether it wants an answer
and whether it is complete. Pure functions."""

from collections.abc import Iterable
from typing import get_args

import msgspec

from agent.engine.base import Expect, Meaning
from agent.engine.embedded.numerals import digit_by_digit, words_of
from config.dialogue import AGREEING, HANGING, LISTENING, BuiltIn, Dialogue, SlotType
from config.phrase import Choice, Slot, Word, parse_phrase

DIGITS = {"zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4"}
DIGITS |= {"five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}

MAX_WORDS = 60  # of one turn; more than that is not understood by phrases
MAX_PHRASES = 2  # that one turn may consist of, such as "no" and "on Wednesday at ten"
CLEAR_WORDS = 3  # of a known phrase: as much is no accident, though the phrase is not at its end
MIN_SHARE = 0.7  # of the words, in one piece, that must belong to phrases; else they were a stranger's

INTENT, COURTESY, BUILT_IN, ANSWER, FILLER = "intent", "courtesy", "built_in", "answer", "filler"


class Understood(msgspec.Struct, frozen=True):
    """What a caller's turn means; all empty for words that mean nothing here."""

    intent: str = ""  # one of the agent's own
    built_in: str = ""  # yes, no, repeat, person, never_mind, goodbye or stop
    slots: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.intent or self.built_in or self.slots)


Slots = tuple[tuple[str, str], ...]  # names and values, in the order they were said
Named = tuple[str, str, Choice]  # a kind, the intent's name and a phrase of it


class Span(msgspec.Struct, frozen=True):
    """A phrase that was found: its words are those from `start` up to before `end`."""

    kind: str
    name: str
    start: int
    end: int
    slots: Slots


Found = list[list[Span]]  # by the word they begin at


class Understanding:
    """Reads a turn as phrases of the dialogue that follow one another, with fillers such as "please" between them."""

    def __init__(self, dialogue: Dialogue) -> None:
        before, after = dialogue.around()
        intents = dialogue.intents.items()
        self._slots = dialogue.slots
        phrases: list[Named] = [
            *(
                (COURTESY if item.courtesy else INTENT, name, phrase)
                for name, item in intents
                for phrase in item.phrases
            ),
            *((BUILT_IN, name, phrase) for name in get_args(BuiltIn) for phrase in dialogue.built_in(name)),
            *((ANSWER, "", phrase) for phrase in dialogue.answers),
            *((FILLER, "", phrase) for phrase in (*before, *after)),
        ]
        self._by_first_word: dict[str, list[Named]] = {}
        for phrase in phrases:
            for word in self._first_words(phrase[-1]):
                self._by_first_word.setdefault(word, []).append(phrase)
        self._hanging = [parse_phrase(phrase) for phrase in HANGING]
        self._agreeing = [parse_phrase(phrase) for phrase in AGREEING]
        self._polite = after  # "please", "thanks": over the agent they ask for nothing
        self._backchannels = [*self._agreeing, *(parse_phrase(phrase) for phrase in LISTENING)]
        self._digits = {slot.digits for slot in dialogue.slots.values() if slot.digits}

    def read(self, transcript: str, expect: Expect = Expect.OPEN) -> Understood:
        """Make sense of what was said, in any case and with any punctuation."""
        words = self._words(transcript, expect)
        return self._read(words, self._find(words))

    def _words(self, transcript: str, expect: Expect) -> list[str]:
        """The words of a transcript. Where digits are expected, "twelve thirty four" is one two three four, if a number
        of the dialogue has four."""
        words = words_of(transcript)[:MAX_WORDS]
        if expect is Expect.DIGITS:
            spelled = digit_by_digit(words)[:MAX_WORDS]
            found = (slot for spans in self._find(spelled) for span in spans for slot in span.slots)
            if any(self._slots[name].digits for name, _ in found):
                return spelled
        return words

    def _read(self, words: list[str], found: Found) -> Understood:
        run = _longest_run(found)
        if not run or run[-1].end - run[0].start < MIN_SHARE * len(words):
            return Understood()
        longest_first = sorted(run, key=lambda span: span.start - span.end)
        name = {span.kind: span.name for span in reversed(longest_first)}
        built_in = name.get(BUILT_IN, "")
        intent = name.get(INTENT) or ("" if built_in else name.get(COURTESY, ""))
        # Callers who correct themselves mean the later one.
        return Understood(intent, built_in, dict(slot for span in run for slot in span.slots))

    def agrees(self, transcript: str) -> bool:
        """Whether it is no more than "okay", which answers a question with yes."""
        return self._consists_of(self._agreeing, words_of(transcript)[:MAX_WORDS])

    def meaning(self, transcript: str, expect: Expect, *, over: bool = False, final: bool = True) -> Meaning:
        """What it means for the agent. Until it is `final`: phrases from the first word on, or a clear beginning."""
        words = self._words(transcript, expect)
        found = self._find(words)
        understood = self._read(words, found)
        if self._consists_of(self._backchannels, words):
            asked = expect is Expect.YES_NO and self.agrees(transcript)
            return Meaning.TURN if asked or (understood and not over) else Meaning.BACKCHANNEL
        if over and self._consists_of([*self._polite, *self._backchannels], words):
            return Meaning.BACKCHANNEL
        if not final:
            begun = self._begun(words, found)
            understood = Understood() if begun < len(words) else understood
            return Meaning.TURN if understood or begun >= CLEAR_WORDS else Meaning.NOTHING
        return Meaning.TURN if understood else Meaning.NOTHING

    def complete(self, transcript: str, expect: Expect) -> bool | None:
        """False when more must follow: half a number, half a phrase, "and". True when it can end here. Else None."""
        words = self._words(transcript, expect)
        found = self._find(words)
        row = _longest_run(found)
        whole = bool(row) and row[-1].end - row[0].start == len(words)
        if self._ends_in_half_a_number(words, whole, expect) or self._hangs(words, found):
            return False
        if whole:
            return None if row[-1].name == "stop" else True  # after "wait" the caller may well go on
        return False if self._ends_in_half_a_phrase(words, found) else None

    # How much of it there is

    def _ends_in_half_a_number(self, words: list[str], whole: bool, expect: Expect) -> bool:
        """Digits at the end, and a number that has more. "At two" is a time unless digits were asked for."""
        count = next((at for at, word in enumerate(reversed(words)) if word not in DIGITS), len(words))
        if count == 1 and words[-1] == "one" and expect is not Expect.DIGITS:
            return False  # "that one"
        half = 0 < count < max(self._digits, default=0) and count not in self._digits
        return half and (not whole or expect is Expect.DIGITS)

    def _hangs(self, words: list[str], found: Found) -> bool:
        """Whether the last words are such that lead to more, and what comes before them is no part of a phrase."""
        starts = {0, *_ends(found)}
        return any(
            end == len(words) > start
            for start in starts
            for phrase in self._hanging
            for end, _ in self._match(phrase, words, start)
        )

    def _ends_in_half_a_phrase(self, words: list[str], found: Found) -> bool:
        """One word may begin a phrase only where another ended; more may do so anywhere, such as after strange ones."""
        starts = {0, *_ends(found), *range(len(words) - 1)}
        return any(self._begins_phrase(words, start) for start in starts)

    def _begun(self, words: list[str], found: Found) -> int:
        """How many of the words are phrases from the first one on, of which the last may be only begun; 0 if not all
        are. A single word that begins a phrase does not count."""
        reached, most = {0}, 0
        for start in range(len(words)):
            if start in reached:
                if self._begins_phrase(words, start):
                    most = max(most, len(words) if start < len(words) - 1 else start)
                reached |= {span.end for span in found[start]}
        return len(words) if len(words) in reached else most

    def _consists_of(self, phrases: list[Choice], words: list[str]) -> bool:
        reached = {0}
        for start in range(len(words)):
            if start in reached:
                reached |= {end for phrase in phrases for end, _ in self._match(phrase, words, start)}
        return bool(words) and len(words) in reached

    def _begins_phrase(self, words: list[str], start: int) -> bool:
        phrases = self._by_first_word.get(words[start], ()) if start < len(words) else ()
        return any(self._begins(phrase, words, start) for _, _, phrase in phrases)

    def _begins(self, choice: Choice, words: list[str], start: int) -> bool:
        """Whether the words from `start` on are the beginning of the phrase, which cannot end with them."""
        for option in choice.options:
            reached = {start}
            for number, node in enumerate(option):
                if any(self._begins_node(node, words, at) for at in reached if at < len(words)):
                    return True
                reached = {end for at in reached for end, _ in self._match_node(node, words, at)}
                if len(words) in reached and start < len(words) and not _can_end(option[number + 1 :]):
                    return True
        return False

    def _begins_node(self, node: Word | Slot | Choice, words: list[str], at: int) -> bool:
        match node:
            case Word():
                return False
            case Slot():
                return any(self._begins(phrase, words, at) for _, phrase in self._slots[node.name].phrases())
            case Choice():
                return self._begins(node, words, at)

    # Which phrases there are

    def _find(self, words: list[str]) -> Found:
        """Every phrase that begins at each word."""
        return [self._spans_at(words, start) for start in range(len(words))]

    def _spans_at(self, words: list[str], start: int) -> list[Span]:
        return [
            Span(kind, name, start, end, slots)
            for kind, name, phrase in self._by_first_word.get(words[start], ())
            for end, slots in self._match(phrase, words, start)
            if end > start
        ]

    def _first_words(self, choice: Choice) -> set[str]:
        """The words that the phrase can begin with."""
        first: set[str] = set()
        for option in choice.options:
            for node in option:
                match node:
                    case Word():
                        first.add(node.text)
                    case Slot():
                        slot = self._slots[node.name]
                        first |= DIGITS.keys() if slot.digits else set()
                        first |= {word for _, phrase in slot.phrases() for word in self._first_words(phrase)}
                    case Choice():
                        first |= self._first_words(node)
                if not _can_end((node,)):
                    break
        return first

    def _match(self, choice: Choice, words: list[str], start: int) -> set[tuple[int, Slots]]:
        """Where a phrase that begins at `start` may end, with the slots it then fills."""
        ends: set[tuple[int, Slots]] = {(start, ())} if choice.optional else set()
        for option in choice.options:
            reached: set[tuple[int, Slots]] = {(start, ())}
            for node in option:
                reached = {
                    (end, slots + more) for at, slots in reached for end, more in self._match_node(node, words, at)
                }
            ends |= reached
        return ends

    def _match_node(self, node: Word | Slot | Choice, words: list[str], at: int) -> Iterable[tuple[int, Slots]]:
        match node:
            case Word():
                return ((at + 1, ()),) if words[at : at + 1] == [node.text] else ()
            case Slot():
                values = self._values(self._slots[node.name], words, at)
                return {(end, ((node.name, value),)) for value, end in values}
            case Choice():
                return self._match(node, words, at)

    def _values(self, slot: SlotType, words: list[str], start: int) -> list[tuple[str, int]]:
        """Every value that begins at `start`, with where it ends. Digits count only when there are as many as asked."""
        if not slot.digits:
            return [(value, end) for value, phrase in slot.phrases() for end, _ in self._match(phrase, words, start)]
        end = start
        while end < len(words) and words[end] in DIGITS:
            end += 1
        if end - start != slot.digits or (words[start - 1 : start] and words[start - 1] in DIGITS):
            return []
        return [("".join(DIGITS[word] for word in words[start:end]), end)]


def _longest_run(found: Found) -> list[Span]:
    """The longest row of phrases without a word between them; of those, the one with the fewest phrases."""
    best: list[Span] = []
    best_rank = (0, 0)
    for start in range(len(found)):
        # For each place that can be reached from `start`, and each number of phrases: a row that leads there.
        rows: dict[tuple[int, int], list[Span]] = {(start, 0): []}
        for place in range(start, len(found)):
            for count in range(MAX_PHRASES + 1):
                row = rows.get((place, count))
                for span in found[place] if row is not None else ():
                    reached = (span.end, count + (span.kind != FILLER))
                    if reached[1] <= MAX_PHRASES:
                        rows.setdefault(reached, [*(row or ()), span])
        for (end, count), row in rows.items():
            if count and (end - start, -count) > best_rank:
                best, best_rank = row, (end - start, -count)
    return best


def _ends(found: Found) -> set[int]:
    """Where any phrase ends."""
    return {span.end for spans in found for span in spans}


def _can_end(rest: tuple[Word | Slot | Choice, ...]) -> bool:
    """Whether all of it is optional."""
    return all(isinstance(node, Choice) and node.can_be_empty() for node in rest)
