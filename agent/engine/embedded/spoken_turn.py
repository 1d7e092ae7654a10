"""The words of one turn, and where each stands in the transcript. Pure functions."""

from itertools import pairwise

import msgspec

from agent.engine.embedded.contractions import expanded
from agent.engine.embedded.numerals import digit_by_digit, words_at

MAX_WORDS = 60  # of one turn; more than that is not understood by phrases
JOINING = frozenset(("and", "but", "so", "because", "then"))
SUBORDINATE = frozenset("if unless because when while before after since although though".split())
PUNCTUATION = frozenset(",.;:!?")
HESITATIONS = frozenset(("um", "er", "erm", "ehm", "ah"))


class SpokenTurn(msgspec.Struct, frozen=True):
    """What was said in one turn: numbers as words, contractions written out."""

    transcript: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]  # of each word in the transcript; empty if they are not its own

    def text(self, start: int, end: int) -> str:
        """Some of its words, as they were written down."""
        if not self.places:
            return " ".join(self.words[start:end])
        return self.transcript[self.places[start][0] : self.places[end - 1][1]]

    def comma_before(self, word: int) -> bool:
        """Whether a comma was written before a word."""
        return bool(self.places) and "," in self.transcript[self.places[word - 1][1] : self.places[word][0]]

    def clauses(self) -> list[tuple[int, int]]:
        """Where its clauses begin and end: at punctuation, and before a word that joins two."""
        begins = [at for at in range(1, len(self.words)) if self._begins_clause(at)]
        return list(pairwise((0, *begins, len(self.words))))

    def depends(self, clause: int) -> bool:
        """Whether the clause that begins at a word depends on another: "if you are closed"."""
        words = self.words[clause : clause + 2]
        return words[0] in SUBORDINATE or (words[0] in JOINING and not SUBORDINATE.isdisjoint(words))

    def _begins_clause(self, word: int) -> bool:
        if self.words[word] in JOINING:
            return True
        between = self.transcript[self.places[word - 1][1] : self.places[word][0]] if self.places else ""
        return not PUNCTUATION.isdisjoint(between)

    def digit_by_digit(self) -> "SpokenTurn":
        """The same with "twelve thirty four" as one two three four."""
        return SpokenTurn(self.transcript, tuple(digit_by_digit(list(self.words))[:MAX_WORDS]), ())


def spoken_turn(transcript: str, *, hesitant: bool = True) -> SpokenTurn:
    """The words of a transcript, with or without those that show hesitation."""
    written = [place for place in words_at(transcript) if hesitant or place[0] not in HESITATIONS]
    at = [(word, start, end) for whole, start, end in written for word in expanded(whole)][:MAX_WORDS]
    return SpokenTurn(transcript, tuple(word for word, _, _ in at), tuple((start, end) for _, start, end in at))
