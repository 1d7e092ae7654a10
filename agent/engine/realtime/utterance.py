"""One utterance on its way through the model: audio in, tokens out. It does no work of its own and knows no threads."""

from collections.abc import Callable
from copy import copy
from typing import NamedTuple

import numpy as np

from agent.engine.base import FloatArray, Transcript
from agent.engine.realtime.layout import LONGEST_S, Layout
from agent.engine.realtime.upsample import Upsampler
from agent.exceptions import EngineError
from audio.rate import RATE, WIDE_RATE

Answer = Callable[[Transcript | EngineError], None]

MAX_WAITING_S = 60  # seconds not yet heard by the model; more is dropped
QUIET_TOKENS = 3  # in a row that say nothing: no word is under way


class Snapshot(NamedTuple):
    """The state of an utterance at the end of its audio."""

    steps: int
    tokens: int
    audio: FloatArray
    upsampler: Upsampler


class RealtimeUtterance:
    """Audio is cut into the model's frames; silence is added at the end until the last words are out."""

    def __init__(self, number: int, call: str, layout: Layout, rate: int = RATE) -> None:
        self.number = number  # in order of their beginnings
        self.call = call
        self.slot: int | None = None
        self.failed: EngineError | None = None
        self.answers: list[Answer] = []  # of those waiting until all audio so far has been heard
        self.last_answer: Answer | None = None  # due at the end
        self.tokens: list[int] = []  # after the prompt
        self._layout = layout
        self._rate = rate  # Hz, of what is added
        self._second = 2 * rate  # bytes
        self._sample = 2 * rate // WIDE_RATE  # bytes that make a sample at 16 kHz
        self._prompt = layout.prompt[layout.prefix :]
        self._steps = 0
        self._last_step: int | None = None  # the one that hears the end of the audio
        self._snapshot: Snapshot | None = None
        self._pcm = bytearray()  # all of it: if the caller goes on, it tells whether the new audio begins with it
        self._taken = 0  # bytes
        self._upsampler = Upsampler(rate)
        self._audio: FloatArray = np.zeros(layout.lead, np.float32)  # 16 kHz, from the start of the next frame

    def add(self, pcm: bytes) -> None:
        """More audio, PCM16 at its rate."""
        longest = min(LONGEST_S * self._second, MAX_WAITING_S * self._second + self._taken)
        room = longest - len(self._pcm)
        self._pcm += pcm[: max(0, min(room, len(pcm) // 2 * 2))]

    def ready(self) -> bool:
        """Whether there is audio for a step."""
        while len(self._audio) < self._layout.frame and self._taken < len(self._pcm):
            piece = bytes(self._pcm[self._taken : self._taken + self._second])
            self._taken += len(piece)
            self._audio = np.concatenate((self._audio, self._upsampler.feed(piece)))
        return len(self._audio) >= self._layout.frame and not self.over()

    def frame(self) -> FloatArray:
        """The audio for the next step."""
        return self._audio[: self._layout.frame]

    def token(self) -> int:
        """The token before the next step."""
        return self._prompt[self._steps] if self._steps < len(self._prompt) else self.tokens[-1]

    def push(self, token: int) -> None:
        """A step is done, and gave this token."""
        self._audio = self._audio[self._layout.token :]
        self._steps += 1
        if self._steps >= len(self._prompt):
            self.tokens.append(token)

    # The end

    def end(self) -> None:
        """There is no more audio."""
        samples = len(self._pcm) // self._sample + self._upsampler.delay
        self._last_step = -(-samples // self._layout.token)

    def at_end(self) -> bool:
        """Whether all audio has been heard, there is no more, and the silence has yet to be added."""
        return self._last_step is not None and self._snapshot is None and not self.ready()

    def add_silence(self) -> None:
        """As much as it takes for the last words to come out."""
        layout = self._layout
        self._snapshot = Snapshot(self._steps, len(self.tokens), self._audio, copy(self._upsampler))
        samples = (layout.flush + 1) * layout.token + self._upsampler.delay
        silence = self._upsampler.feed(bytes(samples * self._sample))
        self._audio = np.concatenate((self._audio, silence))

    def over(self) -> bool:
        """Whether all has been said."""
        if self._last_step is None:
            return False
        beyond = self._steps - self._last_step
        quiet = self.tokens[-QUIET_TOKENS:] == [self._layout.pad] * QUIET_TOKENS
        return beyond >= self._layout.flush or (beyond > self._layout.delay and quiet)

    # Going on after the end

    @property
    def marked(self) -> bool:
        """Whether it can be continued from the end of its audio."""
        return self._snapshot is not None

    def goes_on(self, number: int, pcm: bytes, rate: int = RATE) -> "RealtimeUtterance | None":
        """The utterance that begins with `pcm`, if that is this one's audio and more: it need not be heard again."""
        if self._snapshot is None or rate != self._rate or pcm[: len(self._pcm)] != self._pcm:
            return None
        longer = RealtimeUtterance(number, self.call, self._layout, rate)
        longer.slot = self.slot
        longer.tokens = self.tokens[: self._snapshot.tokens]
        longer._steps, longer._audio = self._snapshot.steps, self._snapshot.audio
        longer._upsampler = self._snapshot.upsampler
        longer._pcm = self._pcm
        longer._taken = len(self._pcm)
        longer.add(pcm[len(self._pcm) :])
        return longer
