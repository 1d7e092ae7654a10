"""The caller's keys, which may come by several ways at once: each press counts once. Sans-I/O."""

from collections import deque
from enum import Enum

import msgspec

TOGETHER_MS = 500  # between the same press by two ways
LET_GO_MS = 250  # until a key that was let go is told, by a way that waits for that
MAX_REMEMBERED = 32  # presses; more than anybody makes in that time


class Way(Enum):
    """How a key comes."""

    EVENT = "event"  # in RTP (RFC 4733)
    INFO = "info"  # SIP's INFO
    MESSAGE = "message"  # Twilio's `dtmf`
    TONE = "tone"  # in the audio


class _Press(msgspec.Struct):
    key: str
    ways: set[Way]
    at_ms: float


class Keypad:
    """One call's keys."""

    def __init__(self) -> None:
        self.repeated = 0  # presses that had come by another way already
        self._presses: deque[_Press] = deque(maxlen=MAX_REMEMBERED)

    def press(self, key: str, way: Way, now_ms: float, lasted_ms: float = 0.0) -> bool:
        """Whether a key is news: not the same press as one that came by another way up to 500 ms ago.

        `lasted_ms` is how long it was held: some tell of it only then.
        """
        since_ms = now_ms - max(TOGETHER_MS, lasted_ms + LET_GO_MS)
        for press in self._presses:
            if press.key == key and way not in press.ways and press.at_ms >= since_ms:
                press.ways.add(way)
                self.repeated += 1
                return False
        self._presses.append(_Press(key, {way}, now_ms))
        return True

    def hold(self, way: Way, now_ms: float) -> None:
        """The last key that came by this way is still down."""
        for press in reversed(self._presses):
            if way in press.ways:
                press.at_ms = now_ms
                return
