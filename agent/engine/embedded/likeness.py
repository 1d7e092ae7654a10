"""Which intents a turn is like that is none of their phrases: a score for each, from 0 to 1. Pure functions.

Only intents that say what they are `about` take part, since the agent asks "are you calling about ...?" where it is not
sure.
"""

from collections import Counter
from collections.abc import Sequence

from agent.engine.embedded.contractions import written_out
from config.dialogue import Dialogue
from config.phrase import Choice, Slot, Word

SURE = 0.8  # so much alike is taken for the intent, if no other is near
MAYBE = 0.5  # so much is asked about
MARGIN = 0.15  # by which the first must lead, for the second not to count
NEAR_LETTERS = 5  # of words that may differ in one of them
NEAR = 0.8  # what such a word counts
COMMON_WEIGHT, UNKNOWN_WEIGHT = 0.15, 0.5
COMMON = frozenset(
    """
    a an the i you we it me my your is are am was be do does did to of for in on at and or with can could would will
    have has get got please want need like there that this what when how not so just by from as if us our
    """.split()
)
# Nor do these say what a caller wants, though beside an answer they may say that it is none: "Friday is out".
LIGHT = COMMON | frozenset(
    """
    out up off over round back through come put see look some something anything someone somebody more now right away
    late early long cannot find seen pass run running
    """.split()
)


class Likeness:
    """Compares turns with the phrases of one dialogue."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._phrases = {
            name: [written_out(phrase) for phrase in intent.typical()]
            for name, intent in dialogue.intents.items()
            if intent.about
        }
        self._unless = {name: intent.excluding() for name, intent in dialogue.intents.items()}
        # In the order of the phrases, not of a set, which differs from one process to the next.
        uses = Counter(
            word
            for phrases in self._phrases.values()
            for word in dict.fromkeys(word for each in phrases for word in _words(each))
        )
        self._weights = {word: COMMON_WEIGHT if word in LIGHT else 1 / count for word, count in uses.items()}

    def best(self, words: Sequence[str]) -> list[tuple[str, float]]:
        """The one or two intents that the turn may mean, with their scores; none if it is like nothing. The second
        counts only where the first does not lead by MARGIN."""
        spoken = self._repaired(words)
        scores = {
            name: max(self._score(each, spoken) for each in phrases)
            for name, phrases in self._phrases.items()
            if self._unless[name].isdisjoint(words)
        }
        ranked = sorted(scores.items(), key=lambda item: -item[1])[:2]
        return [item for item in ranked if item[1] >= MAYBE and item[1] > ranked[0][1] - MARGIN]

    def _repaired(self, words: Sequence[str]) -> dict[str, float]:
        """The words with what each counts; one that is a letter away from a known one counts as that."""
        known: dict[str, float] = {}
        for word in dict.fromkeys(words):
            near = [] if word in self._weights else [other for other in self._weights if _is_near(word, other)]
            known[near[0] if near else word] = NEAR if near else 1.0
        return known

    def _score(self, phrase: Choice, spoken: dict[str, float]) -> float:
        """How much of the phrase was said, and how much of what was said is in the phrase, as one number."""
        found, needed = self._share(phrase, spoken)
        if not found:
            return 0.0
        words = set(_words(phrase))
        said = sum(self._weights.get(word, COMMON_WEIGHT if word in LIGHT else UNKNOWN_WEIGHT) for word in spoken)
        fitting = sum(self._weights[word] * part for word, part in spoken.items() if word in words)
        recall, precision = found / needed, fitting / said
        return 2 * recall * precision / (recall + precision)

    def _share(self, phrase: Choice, spoken: dict[str, float]) -> tuple[float, float]:
        """The weight of what was said of the phrase in its best wording, and of all that this needs."""
        best = (0.0, 0.0)
        for option in phrase.options:
            found = needed = 0.0
            for node in option:
                match node:
                    case Word():
                        found += self._weights[node.text] * spoken.get(node.text, 0.0)
                        needed += self._weights[node.text]
                    case Choice() if not node.can_be_empty():
                        more, of = self._share(node, spoken)
                        found, needed = found + more, needed + of
                    case _:
                        pass  # a slot, or what may be left out, is not missed
            if needed and (not best[1] or found / needed > best[0] / best[1]):
                best = (found, needed)
        return best


def _words(phrase: Choice) -> list[str]:
    return [part.text for part in phrase.parts() if not isinstance(part, Slot)]


def _is_near(word: str, other: str) -> bool:
    """Whether they differ in one letter, or two that are swapped, and are long enough for that to be a slip."""
    if min(len(word), len(other)) < NEAR_LETTERS or abs(len(word) - len(other)) > 1 or word[0] != other[0]:
        return False
    start = next((at for at, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    rest, others = word[start:], other[start:]
    swapped = rest[1::-1] == others[:2] and rest[2:] == others[2:]
    return swapped or rest[1:] == others[1:] or rest[1:] == others or rest == others[1:]
