"""Says phrases in one of their wordings, chosen at random but always the same."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from agent.engine.embedded.matching import DIGITS, phrases_of
from agent.engine.embedded.spelling import ALPHABET
from config.dialogue import Dialogue
from config.phrase import Choice, Slot, Word
from config.slots import SlotType

T = TypeVar("T")
Part = Word | Slot | Choice
Say = Callable[[list[str]], None]  # adds the words

DIGIT_WORDS = tuple(DIGITS)
SPELLED = (3, 8)  # letters, and words of a text, that are likely
FREE = (1, 5)


class Speaker:
    """Speaks for the callers of one dialogue.

    A server draws two million times while it starts, so phrases are made functions first, and draws are made from the
    generator's two basic ones.
    """

    def __init__(self, dialogue: Dialogue, strange: Sequence[str] = ()) -> None:
        """`strange` are words for texts, which can be anything."""
        chance = random.Random(0)  # noqa: S311 (no secret)
        self.random, self._bits = chance.random, chance.getrandbits
        self._slots = {name: self._slot(slot, strange) for name, slot in dialogue.slots.items()}

    def one_of(self, phrases: Iterable[Choice]) -> Say:
        """Says one of these."""
        return self._phrase(Choice(tuple((phrase,) for phrase in phrases)))

    def draw(self, items: Sequence[T]) -> T:
        """One of them, each as likely."""
        at = self._bits(len(items).bit_length())
        while at >= len(items):
            at = self._bits(len(items).bit_length())
        return items[at]

    def draw_words(self, words: Sequence[str], count: int) -> list[str]:
        """So many of them, some perhaps more than once."""
        return [words[int(self.random() * len(words))] for _ in range(count)]

    def _phrase(self, phrase: Choice) -> Say:
        options = [list(self._says(option)) for option in phrase.options]
        optional, count, width = phrase.optional, len(options), len(options).bit_length()
        chance, bits = self.random, self._bits

        def say(words: list[str]) -> None:
            if optional and chance() < 0.5:
                return
            at = bits(width)
            while at >= count:
                at = bits(width)
            for each in options[at]:
                each(words)

        return say

    def _says(self, option: Iterable[Part]) -> Iterator[Say]:
        for is_word, parts in groupby(option, lambda part: isinstance(part, Word)):
            if is_word:
                yield self._words([part.text for part in parts if isinstance(part, Word)])
            else:
                yield from (
                    self._phrase(part) if isinstance(part, Choice) else self._slots[part.name]
                    for part in parts
                    if not isinstance(part, Word)
                )

    @staticmethod
    def _words(spoken: list[str]) -> Say:
        return lambda words: words.extend(spoken)

    def _slot(self, slot: SlotType, strange: Sequence[str]) -> Say:
        match slot.type:
            case "number":
                return self._some(DIGIT_WORDS, slot.shortest, slot.longest)
            case "spell":
                return self._some(ALPHABET, *SPELLED)
            case "text" | "yes_no":
                return self._some(strange, *FREE)
            case _:
                return self.one_of(phrase for _, phrase in phrases_of(slot))

    def _some(self, words: Sequence[str], fewest: int, most: int) -> Say:
        counts = range(fewest, most + 1)
        return lambda spoken: spoken.extend(self.draw_words(words, self.draw(counts) if fewest < most else fewest))
