"""What a report knows of each reply, and of each time the caller was heard over one. Times are ms of media time."""

import msgspec

TOLERANCE_MS = 1.0  # for times that were rounded


class Span(msgspec.Struct):
    """A stretch of a reply at the caller's ear."""

    reply: int
    start_ms: float
    end_ms: float
    from_ms: float  # where it begins in the reply
    ulaw: bytes = b""
    open: bool = False  # the tape has no audio: the end is told by what comes next


class TimedWord(msgspec.Struct, frozen=True):
    """A word of a reply; ms from the reply's start."""

    text: str
    start_ms: float
    end_ms: float


class Break(msgspec.Struct):
    """The caller was heard over a reply."""

    reply: int
    pause_ms: float | None  # None: it was dropped at once
    onset_ms: float | None = None  # when the sound began; None: a key was pressed, or the tape does not tell
    heard_ms: float | None = None  # of the reply
    over_ms: float | None = None  # when it was decided what to do
    resumed: bool = False
    guess: str = ""  # what the recognizer made of the sound
    meaning: str = ""


class ReplyStory(msgspec.Struct):
    """One spoken answer. Its `*_at` are when something happened first; None: it did not."""

    number: int
    cue: str = ""
    decided_at: float | None = None
    speech_end_ms: float = 0.0
    keys_at: tuple[float, ...] = ()  # when keys were pressed in the turn it answers, which then has no gap
    transcript_at: float | None = None
    text_at: float | None = None
    made_at: float | None = None  # its first audio was made
    played_at: float | None = None  # it went to the line
    cancelled_at: float | None = None
    caller_text: str = ""  # what it answers
    text: str = ""
    words: list[TimedWord] = []
    audio_ms: float = 0.0
    played_ms: float = 0.0  # known to have been played
    heard_text: str | None = None  # what of it was heard, in words
    interrupted: bool = False
    finished: bool = False
    failed: str = ""
    unfinished: bool = False
    pressed_at: float | None = None  # it is none, but keys (`text`), which went to the line now
    spans: list[Span] = []

    @property
    def ear_at(self) -> float | None:
        """When its first sample was heard."""
        return self.spans[0].start_ms if self.spans else None

    @property
    def ear_end(self) -> float:
        """When its last sample was heard."""
        return self.spans[-1].end_ms if self.spans else 0.0

    @property
    def at_the_ear(self) -> float:
        """How much of it reached the ear, from its start."""
        return max((span.from_ms + span.end_ms - span.start_ms for span in self.spans), default=0.0)

    def words_heard(self) -> int:
        """How many of its words were heard to their ends."""
        if not self.interrupted:
            heard_ms = self.audio_ms if self.finished else self.at_the_ear + TOLERANCE_MS
            return sum(word.end_ms <= heard_ms for word in self.words)
        if self.heard_text is None:
            return sum(word.end_ms <= self.played_ms for word in self.words)
        left = len(self.heard_text.split())
        for count, word in enumerate(self.words):
            left -= len(word.text.split())
            if left < 0:
                return count
        return len(self.words)

    def ear_time(self, ms: float) -> float | None:
        """When the sample at `ms` of the reply was heard; None: never."""
        for span in self.spans:
            if span.from_ms <= ms < span.from_ms + span.end_ms - span.start_ms:
                return span.start_ms + ms - span.from_ms
        return None
