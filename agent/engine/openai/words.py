"""When each word of a chunk is said, if the server sends only audio: estimated from the words' lengths. Sans-I/O."""

from agent.engine.base import Word

USUAL_MS = 66.0  # of speech for a letter or a space, at speed 1.0
SLOWEST_MS, FASTEST_MS = 200.0, 30.0
LEARNING = 0.5  # weight of the chunk heard last
MIN_LETTERS = 10  # of a chunk that something is learnt from


class Pace:
    """How fast a voice talks, learnt from the chunks it has said."""

    def __init__(self) -> None:
        self.letter_ms = USUAL_MS

    def learn(self, letters: int, duration_ms: float) -> None:
        """A chunk of so many letters, spaces counted, took so long at speed 1.0."""
        if letters >= MIN_LETTERS:
            measured = min(max(duration_ms / letters, FASTEST_MS), SLOWEST_MS)
            self.letter_ms += LEARNING * (measured - self.letter_ms)


class Spread:
    """The words of one chunk over audio whose length is not known before it ends.

    A word belongs to the piece in which it probably ends. The last one, and what is left by then, to the last piece.
    """

    def __init__(self, text: str, letter_ms: float) -> None:
        self.letters = sum(len(word) + 1 for word in text.split())
        self._letter_ms = letter_ms
        self._words = text.split()
        self._next = 0  # word
        self._said_ms = 0.0  # probable end of the word before it
        self._start_ms = 0.0  # of the next piece

    def take(self, duration_ms: float) -> tuple[Word, ...]:
        """The words of the next piece, which is not the last one, with their times in it."""
        words: list[Word] = []
        before = 0.0
        for text in self._words[self._next : -1]:
            end = self._said_ms + self._ms(text) - self._start_ms
            if end > duration_ms:
                break
            words.append(Word(text, max(before, self._said_ms - self._start_ms), end))
            before = end
            self._said_ms += self._ms(text)
        self._next += len(words)
        self._start_ms += duration_ms
        return tuple(words)

    def rest(self, duration_ms: float) -> tuple[Word, ...]:
        """The words of the last piece: all that are left, over all of it."""
        left = self._words[self._next :]
        self._next = len(self._words)
        scale = duration_ms / sum(map(self._ms, left)) if left else 0.0
        words: list[Word] = []
        at = 0.0
        for text in left:
            end = min(at + self._ms(text) * scale, duration_ms)
            words.append(Word(text, at, end))
            at = end
        return tuple(words)

    def _ms(self, text: str) -> float:
        return (len(text) + 1) * self._letter_ms
