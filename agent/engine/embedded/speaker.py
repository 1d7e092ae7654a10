"""Says phrases in one of their wordings, chosen at random but always the same."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from agent.engine.embedded.understanding import DIGITS
from config.dialogue import Dialogue
from config.phrase import Choice, Slot, Word

T = TypeVar("T")
Part = Word | Slot | Choice
Say = Callable[[list[str]], None]  # adds the words

DIGIT_WORDS = tuple(DIGITS)


class Speaker:
    """Speaks for the callers of one dialogue.

    A server draws two million times while it starts, so phrases are made functions first, and draws are made from the
    generator's two basic ones.
    """

    def __init__(self, dialogue: Dialogue) -> None:
        chance = random.Random(0)  # noqa: S311 (no secret)
        self.random, self._bits = chance.random, chance.getrandbits
        self._slots = {
            name: self._digits(slot.digits) if slot.digits else self.one_of(phrase for _, phrase in slot.phrases())
            for name, slot in dialogue.slots.items()
        }

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

    def _digits(self, count: int) -> Say:
        return lambda words: words.extend(self.draw_words(DIGIT_WORDS, count))
