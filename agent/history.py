"""What was said in a call: the caller's words, and of the agent's only those the caller heard. Sans-I/O."""

from collections import deque

from agent.engine.base import Turn, Word


class HeardReply:
    """Follows how much of one reply has reached the caller's ear."""

    def __init__(self) -> None:
        self.audio_ms = 0.0  # of the reply, made so far
        self.heard_ms = 0.0  # of it, played for certain
        self._marked_ms = 0.0  # the last mark
        self._words: list[tuple[str, float]] = []  # text, end in ms from the reply's start

    def add(self, duration_ms: float, words: tuple[Word, ...]) -> tuple[float, ...]:
        """Append a piece of audio; gives the marks it needs (ms from the reply's start): where its words end.

        A piece without words is marked at its end.
        """
        start = self.audio_ms
        self.audio_ms += duration_ms
        ends = tuple(min(start + word.end_ms, self.audio_ms) for word in words) or (self.audio_ms,)
        self._words.extend((word.text, end) for word, end in zip(words, ends, strict=False))
        self._marked_ms = ends[-1]
        return ends

    def rest(self) -> tuple[float, ...]:
        """The mark at the very end, unless there is one."""
        if self._marked_ms >= self.audio_ms:
            return ()
        self._marked_ms = self.audio_ms
        return (self.audio_ms,)

    def played(self, ms: float) -> None:
        """The carrier has played up to here; going back is ignored."""
        self.heard_ms = max(self.heard_ms, min(ms, self.audio_ms))

    @property
    def complete(self) -> bool:
        """Whether all audio made so far was heard."""
        return self.heard_ms >= self.audio_ms

    @property
    def said_all(self) -> bool:
        """Whether the last word made so far was heard to its end; what follows it is silence."""
        return bool(self._words) and self._words[-1][1] <= self.heard_ms

    def text(self) -> str:
        """The words that were heard to their ends."""
        return " ".join(text for text, end in self._words if end <= self.heard_ms)


class History:
    """The turns of a call, the oldest dropped beyond `limit`."""

    def __init__(self, limit: int) -> None:
        self._turns: deque[tuple[int | None, Turn]] = deque(maxlen=limit)

    def add(self, turn: Turn, utterance: int | None = None) -> None:
        """Append a turn; one of the caller's whose words are not known yet is found by its utterance."""
        self._turns.append((utterance, turn))

    def fill(self, utterance: int, text: str) -> Turn | None:
        """The words of a turn that was added without them; returns it, or None when it is not there."""
        for place, (number, turn) in enumerate(self._turns):
            if number == utterance and not turn.text:
                filled = Turn(turn.role, text, private=turn.private)
                self._turns[place] = (number, filled)
                return filled
        return None

    def turns(self) -> tuple[Turn, ...]:
        """All turns kept, oldest first. A caller's turn without text is one whose words are not known yet."""
        return tuple(turn for _, turn in self._turns)
