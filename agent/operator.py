"""The operator's part in a conversation: a person on our side, who has the agent say something or takes over. Sans-I/O.

It gives commands and never moves the state.
"""

from collections import deque
from collections.abc import Callable

from agent import events as e
from audio.rate import BYTES_PER_MS

MOST_WAITING = 4  # requests until the agent is free
DRY_MS = 20  # after which their voice begins anew, as far as the line is concerned: a pause is no underrun
PAUSE_MS = 200  # for which they still count as speaking

Request = e.SayRequested | e.PressRequested


class Operator:
    """Of one call. `next_number` gives the next number of a reply, which the operator's voice is for the line."""

    def __init__(self, next_number: Callable[[], int]) -> None:
        self.waiting: deque[Request] = deque()  # what the agent is to say or press as soon as it may
        self.pressing = 0  # the number under which keys are on their way
        self._next_number = next_number
        self._number = 0  # of what the operator is saying
        self._ends_ms = 0.0  # when it will have been heard

    @property
    def busy(self) -> bool:
        """Whether no more requests can wait, or keys are on their way."""
        return len(self.waiting) >= MOST_WAITING or self.pressing > 0

    def speaks(self, now_ms: float) -> bool:
        """Whether the operator's voice is on the line."""
        return self._number > 0 and now_ms < self._ends_ms + PAUSE_MS

    def reset(self) -> None:
        """They take over, so that what was waiting is theirs to say; or they give the call back."""
        self.waiting.clear()
        self._number = self.pressing = 0
        self._ends_ms = 0.0

    def speak(self, pcm: bytes, wide: bytes, now_ms: float) -> list[e.Command]:
        """Audio of theirs. While keys are pressed nothing is heard."""
        if self.pressing:
            return []
        if not self._number or now_ms > self._ends_ms + DRY_MS:
            self._number = self._next_number()
        self._ends_ms = max(self._ends_ms, now_ms) + len(pcm) / BYTES_PER_MS
        return [e.Play(self._number, pcm, (), wide)]

    def press(self, keys: str) -> list[e.Command]:
        """They press keys themselves."""
        self._number, self.pressing = 0, self._next_number()
        return [e.Press(self.pressing, keys)]

    def played(self, number: int) -> None:
        """Something has been heard, or keys are out."""
        if number == self.pressing:
            self.pressing = 0
