"""Whether words are a phrase of a dialogue, and which slots they then fill. Pure functions of the words."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from agent.engine.embedded import dates, times
from agent.engine.embedded.contractions import written_out
from agent.engine.embedded.numerals import ONES
from agent.engine.embedded.spelling import spelled
from agent.engine.embedded.spelling import vocabulary as letters
from config.phrase import Choice, Slot, Word
from config.slots import SlotType

DIGITS = {"zero": "0", "oh": "0"} | {word: str(digit) for digit, word in enumerate(ONES)}
MAX_REMEMBERED = 4096  # slots at places of a turn

Words = Sequence[str]
Slots = tuple[tuple[str, str], ...]  # names and values, in the order they were said
Node = Word | Slot | Choice


class _Options(msgspec.Struct, frozen=True):
    """The options of a choice by their first words."""

    choice: Choice
    by_word: dict[str, list[tuple[Node, ...]]]
    any_word: list[tuple[Node, ...]]  # those that may be empty, or begin with anything

    def at(self, words: tuple[str, ...], start: int) -> list[tuple[Node, ...]]:
        """Those that may fit the words from `start` on."""
        return self.by_word.get(words[start], self.any_word) if start < len(words) else self.any_word


class Matcher:
    """Matches the phrases of one dialogue. The value of a date or a time is its words, that of a text the place of its
    first word and of the one behind it, as 3:7."""

    def __init__(self, slots: dict[str, SlotType]) -> None:
        self._types = slots
        self._phrases = {
            name: [(value, written_out(phrase)) for value, phrase in phrases_of(slot)] for name, slot in slots.items()
        }
        self._indexes: dict[int, _Options] = {}  # of the choices in the phrases, which live as long as these
        self._firsts = {name: self._first_words_of(name) for name in slots}
        # A turn asks for the same slot at the same word again and again, once for each phrase with it.
        self._values = lru_cache(MAX_REMEMBERED)(self._find_values)
        self._begun = lru_cache(MAX_REMEMBERED)(self._begins_value)

    def match(self, choice: Choice, words: tuple[str, ...], start: int) -> set[tuple[int, Slots]]:
        """Where a phrase that begins at `start` may end, with the slots it then fills."""
        ends: set[tuple[int, Slots]] = {(start, ())} if choice.optional else set()
        for option in self._options(choice).at(words, start):
            reached: set[tuple[int, Slots]] = {(start, ())}
            for node in option:
                reached = {
                    (end, slots + more) for at, slots in reached for end, more in self._match_node(node, words, at)
                }
                if not reached:
                    break
            ends |= reached
        return ends

    def begins(self, choice: Choice, words: tuple[str, ...], start: int) -> bool:
        """Whether the words from `start` on are the beginning of the phrase, which cannot end with them."""
        for option in self._options(choice).at(words, start):
            reached = {start}
            for number, node in enumerate(option):
                if any(self._begins_node(node, words, at) for at in reached if at < len(words)):
                    return True
                reached = {end for at in reached for end, _ in self._match_node(node, words, at)}
                if len(words) in reached and start < len(words) and not _can_end(option[number + 1 :]):
                    return True
        return False

    def first_words(self, choice: Choice) -> set[str]:
        """The words that the phrase can begin with, unless that is a text, which can be anything."""
        return {word for option in choice.options for word in self._first_of(option)}

    def _first_of(self, option: tuple[Node, ...]) -> set[str]:
        first: set[str] = set()
        for node in option:
            match node:
                case Word():
                    first.add(node.text)
                case Slot():
                    first |= self._firsts[node.name]
                case Choice():
                    first |= self.first_words(node)
            if not _can_end((node,)):
                break
        return first

    def _options(self, choice: Choice) -> "_Options":
        known = self._indexes.get(id(choice))
        if known is None or known.choice is not choice:
            known = self._indexes[id(choice)] = self._indexed(choice)
        return known

    def _indexed(self, choice: Choice) -> "_Options":
        """The options of a choice by the words that they can begin with: most have many, and few that fit."""
        any_word = [option for option in choice.options if _can_end(option) or self._is_free(option)]
        by_word: dict[str, list[tuple[Node, ...]]] = {}
        for option in choice.options:
            for word in self._first_of(option) if option not in any_word else ():
                by_word.setdefault(word, []).append(option)
        return _Options(choice, {word: [*options, *any_word] for word, options in by_word.items()}, any_word)

    def _is_free(self, option: tuple[Node, ...]) -> bool:
        """Whether it can begin with a text."""
        for node in option:
            if isinstance(node, Slot) and self._types[node.name].type == "text":
                return True
            if isinstance(node, Choice) and any(map(self._is_free, node.options)):
                return True
            if not _can_end((node,)):
                return False
        return False

    def can_begin(self, slot: str, word: str) -> bool:
        """Whether a value of the slot can begin with the word."""
        return word in self._firsts[slot]

    def _match_node(self, node: Node, words: tuple[str, ...], at: int) -> Iterable[tuple[int, Slots]]:
        match node:
            case Word():
                return ((at + 1, ()),) if words[at : at + 1] == (node.text,) else ()
            case Slot():
                return self._values(node.name, words, at)
            case Choice():
                return self.match(node, words, at)

    def _begins_node(self, node: Node, words: tuple[str, ...], at: int) -> bool:
        match node:
            case Word():
                return False
            case Slot():
                return self.can_begin(node.name, words[at]) and self._begun(node.name, words, at)
            case Choice():
                return self.begins(node, words, at)

    # Slots

    def _begins_value(self, name: str, words: tuple[str, ...], at: int) -> bool:
        return any(self.begins(phrase, words, at) for _, phrase in self._phrases[name])

    def _find_values(self, name: str, words: tuple[str, ...], start: int) -> frozenset[tuple[int, Slots]]:
        """Every value that begins at `start`, with where it ends."""
        slot = self._types[name]
        if start >= len(words) or not (slot.type == "text" or self.can_begin(name, words[start])):
            return frozenset()
        match slot.type:
            case "text":
                ends = range(start + 1, min(len(words), start + slot.max_words) + 1)
                values = [(f"{start}:{end}", end) for end in ends]
            case "number":
                values = number_at(words, start, slot.shortest, slot.longest)
            case "spell":
                values = spelled(list(words), start)
            case _:
                found = ((value, phrase) for value, phrase in self._phrases[name])
                values = [
                    (value or " ".join(words[start:end]), end)
                    for value, phrase in found
                    for end, _ in self.match(phrase, words, start)
                ]
        return frozenset((end, ((name, value),)) for value, end in values)

    def _first_words_of(self, name: str) -> set[str]:
        slot = self._types[name]
        if slot.type == "number":
            return set(DIGITS)
        if slot.type == "spell":
            return letters() | set(DIGITS)
        return {word for _, phrase in self._phrases[name] for word in self.first_words(phrase)}


def phrases_of(slot: SlotType) -> list[tuple[str, Choice]]:
    """The values of a slot, each with a phrase for it; a date's and a time's have no value but their words."""
    if slot.type in ("date", "time"):
        return [("", phrase) for phrase in (dates.PHRASES if slot.type == "date" else times.PHRASES)]
    return list(slot.phrases())


def number_at(words: Words, start: int, shortest: int, longest: int) -> list[tuple[str, int]]:
    """The number that begins at `start` with where it ends, if it has as many digits and no digit stands around it."""
    end = start
    while end < len(words) and words[end] in DIGITS:
        end += 1
    if not shortest <= end - start <= longest or (start and words[start - 1] in DIGITS):
        return []
    return [("".join(DIGITS[word] for word in words[start:end]), end)]


def _can_end(rest: tuple[Node, ...]) -> bool:
    """Whether all of it is optional."""
    return all(isinstance(node, Choice) and node.can_be_empty() for node in rest)
