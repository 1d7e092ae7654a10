"""Which of the transcripts that an utterance may have is meant: one that the dialogue understands. Pure functions.

A network that knows nothing of the dialogue hears "my kitchen forfeit is leaking" where the caller said "faucet", and
holds the right word for a little less likely.
"""

from collections.abc import Callable
from difflib import SequenceMatcher

from agent.engine.base import DigitRange, Expect, Meaning
from agent.engine.embedded.matching import DIGITS
from agent.engine.embedded.moonshine import Alternative
from agent.engine.embedded.numerals import digit_by_digit, words_of
from agent.engine.embedded.understanding import BETWEEN_DIGITS, Understanding

SHARE = 0.04  # of the likelihood of all alternatives, without which none is meant
ALIKE = 0.7  # how much alike, letter by letter, it must be to what was heard; less is a guess
# Where digits are expected, words that sound like them.
HOMOPHONES = {"to": "two", "too": "two", "for": "four", "ate": "eight", "won": "one", "o": "oh"}


class TranscriptChoice:
    """Chooses for one question of one dialogue."""

    def __init__(self, understanding: Understanding, expect: Expect, digits: DigitRange) -> None:
        self._understanding = understanding
        self._expect, self._digits = expect, digits

    def meant(self, text: str, alternatives: Callable[[], list[Alternative]]) -> str:
        """The text, or where that means nothing the likeliest of the alternatives that mean something. They take time,
        so they are asked for only where the text may have been misheard."""
        if self._fits(text) or not self._may_be_misheard(text):
            return text
        likely = [as_expected(each.text, self._expect, self._digits) for each in alternatives() if each.share >= SHARE]
        return next((other for other in likely if _are_alike(text, other) and self._fits(other)), text)

    def _fits(self, text: str) -> bool:
        """Whether it means something to the dialogue; of a number that was asked for, all of it."""
        if self._expect is Expect.DIGITS and (digits := self._understanding.digits(text)):
            least, most = self._digits
            words = digit_by_digit(words_of(text))
            clear = words[0] not in HOMOPHONES and all(word in DIGITS or word in BETWEEN_DIGITS for word in words)
            return clear and (not most or least <= len(digits) <= most)
        return self._understanding.meaning(text, self._expect) is not Meaning.NOTHING

    def _may_be_misheard(self, text: str) -> bool:
        """Not what may be anything, nor what is only half said; and of what nobody asked for only what is like a
        phrase."""
        if self._expect in (Expect.TEXT, Expect.SPELLING) or not text:
            return False
        if self._expect is Expect.DIGITS:
            return True
        half = self._understanding.complete(text, self._expect) is False
        return not half and (self._expect is not Expect.OPEN or self._understanding.is_like_a_phrase(text))


def as_expected(text: str, expect: Expect, digits: DigitRange) -> str:
    """The text, where digits are expected with those for words that sound like them: where these follow a digit, or
    come before the others and one of them is missing."""
    if expect is not Expect.DIGITS:
        return text
    words: list[str] = []
    for word in text.split():
        plain = _plain(word)
        after = words_of(words[-1])[-1:] if words else []
        words.append(HOMOPHONES.get(plain, word) if after and after[0] in DIGITS else word)
    first = _plain(words[0]) if words else ""
    if first in HOMOPHONES and sum(word in DIGITS for word in words_of(" ".join(words))) == digits[1] - 1:
        words[0] = HOMOPHONES[first]
    return " ".join(words)


def _are_alike(text: str, other: str) -> bool:
    return SequenceMatcher(None, " ".join(words_of(text)), " ".join(words_of(other)), autojunk=False).ratio() >= ALIKE


def _plain(word: str) -> str:
    return word.lower().strip(".,?!")
