"""What a transcript means in one agent's dialogue: the intent it names, and the slots it fills. Pure functions."""

import re
from collections.abc import Iterable
from typing import get_args

import msgspec

from config.dialogue import BuiltIn, Dialogue, SlotType
from config.phrase import Choice, Slot, Word

DIGITS = {"zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4"}
DIGITS |= {"five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}

MAX_WORDS = 60  # of one turn; who says more is not understood by phrases
MAX_PHRASES = 2  # that one turn may consist of, such as "no" and "on Wednesday at ten"
MIN_SHARE = 0.7  # of the words, in one piece, that must belong to phrases; else they were a stranger's

INTENT, COURTESY, BUILT_IN, ANSWER, FILLER = "intent", "courtesy", "built_in", "answer", "filler"


class Understood(msgspec.Struct, frozen=True):
    """What a caller's turn means; all empty for words that mean nothing here."""

    intent: str = ""  # one of the agent's own
    built_in: str = ""  # yes, no, repeat, person, never_mind or goodbye
    slots: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.intent or self.built_in or self.slots)


Slots = tuple[tuple[str, str], ...]  # names and values, in the order they were said


class Span(msgspec.Struct, frozen=True):
    """A phrase that was found: its words are those from `start` up to before `end`."""

    kind: str
    name: str
    start: int
    end: int
    slots: Slots


class Understanding:
    """Reads a turn as phrases of the dialogue that follow one another, with fillers such as "please" between them."""

    def __init__(self, dialogue: Dialogue) -> None:
        before, after = dialogue.around()
        intents = dialogue.intents.items()
        self._slots = dialogue.slots
        self._phrases: list[tuple[str, str, Choice]] = [
            *(
                (COURTESY if item.courtesy else INTENT, name, phrase)
                for name, item in intents
                for phrase in item.phrases
            ),
            *((BUILT_IN, name, phrase) for name in get_args(BuiltIn) for phrase in dialogue.built_in(name)),
            *((ANSWER, "", phrase) for phrase in dialogue.answers),
            *((FILLER, "", phrase) for phrase in (*before, *after)),
        ]

    def read(self, transcript: str) -> Understood:
        """Make sense of what was said, in any case and with any punctuation."""
        words = re.findall(r"[a-z']+", transcript.lower())[:MAX_WORDS]
        run = self._longest_run(words)
        if not run or run[-1].end - run[0].start < MIN_SHARE * len(words):
            return Understood()
        longest_first = sorted(run, key=lambda span: span.start - span.end)
        name = {span.kind: span.name for span in reversed(longest_first)}
        built_in = name.get(BUILT_IN, "")
        intent = name.get(INTENT) or ("" if built_in else name.get(COURTESY, ""))
        # Who corrects himself means the later one.
        return Understood(intent, built_in, dict(slot for span in run for slot in span.slots))

    def _longest_run(self, words: list[str]) -> list[Span]:
        """The longest row of phrases without a word between them; of those, the one with the fewest phrases."""
        found = [self._spans_at(words, start) for start in range(len(words))]
        best: list[Span] = []
        best_rank = (0, 0)
        for start in range(len(words)):
            # For each place that can be reached from `start`, and each number of phrases: a row that leads there.
            rows: dict[tuple[int, int], list[Span]] = {(start, 0): []}
            for place in range(start, len(words)):
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

    def _spans_at(self, words: list[str], start: int) -> list[Span]:
        return [
            Span(kind, name, start, end, slots)
            for kind, name, phrase in self._phrases
            for end, slots in self._match(phrase, words, start)
            if end > start
        ]

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
