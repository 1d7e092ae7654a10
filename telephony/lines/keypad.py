"""The caller's keys, whichever way they come: beside the audio, or as tones in it. Sans-I/O.

Some phones send each press in two ways at once; it counts once.
"""

from collections import deque
from enum import Enum
from typing import Literal

import msgspec

from audio.tone_detector import ToneDetector

TOGETHER_MS = 500  # between two reports of the same press
LATE_MS = 5000  # the same on a phone known to send both; linphonec's INFO has been 3 s late
LET_GO_MS = 250  # from releasing a key to its report, by a way that waits for the release
MAX_REMEMBERED = 32  # presses; more than anybody makes in that time
ECHO_MS = 500  # for which our own tones may still echo


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
    """One call's keys; times are the call's media time."""

    def __init__(self, tones: Literal["auto", "always", "never"] = "auto") -> None:
        """`tones` says whether to detect keys in the audio: with auto, until one comes beside it."""
        self.repeated = 0  # presses that had already come in another way
        self._tones = tones
        self._detector = ToneDetector()
        self._kept = b"", b""  # audio that may contain the start of a key
        self._before = self._last = b"", b""  # the last two pieces that were not
        self._presses: deque[_Press] = deque(maxlen=MAX_REMEMBERED)
        self._twice = False  # whether this phone sends every press both as an event and by INFO

    def listens(self, beside: bool) -> bool:
        """Whether to look for keys in the audio; `beside` says whether it was agreed to send them beside it."""
        wanted = self._tones == "always" or (self._tones == "auto" and not beside)
        return wanted or bool(self._kept[0])

    def hear(self, pcm: bytes, wide: bytes, now_ms: float) -> tuple[bytes, bytes, str]:
        """The caller's audio at 8 kHz, and of a wide-band line at 16: the same with what came before in place of keys'
        tones, and the key that was pressed, else "". Where one may begin, nothing: that waits for the next piece."""
        sounds, key = self._detector.hear(pcm)
        if self._detector.down and not key:
            self._hold(now_ms)
        if self._detector.may_begin and not sounds and not self._kept[0]:
            self._kept = pcm, wide
            return b"", b"", ""
        (kept, kept_wide), self._kept = self._kept, (b"", b"")
        pcm, wide = kept + pcm, kept_wide + wide
        if sounds:
            pcm, wide = (_repeated(before, len(now)) for before, now in zip(self._before, (pcm, wide), strict=True))
        else:
            self._before, self._last = self._last, (pcm, wide)
        return pcm, wide, key if key and self.press(key, Way.TONE, now_ms) else ""

    def press(self, key: str, way: Way, now_ms: float, lasted_ms: float = 0.0) -> bool:
        """Whether a key is a new press, and not one that came in another way up to 500 ms ago.

        `lasted_ms` is how long it was held: some ways report a key only on its release. A phone that has sent one press
        both as an event and by INFO does so with all of them, and the second may be seconds late.
        """
        if way is not Way.TONE and self._tones == "auto":
            self._tones = "never"
        together_ms = LATE_MS if self._twice and way is not Way.TONE else TOGETHER_MS
        since_ms = now_ms - max(together_ms, lasted_ms + LET_GO_MS)
        for press in self._presses:
            if press.key == key and way not in press.ways and press.at_ms >= since_ms:
                press.ways.add(way)
                self.repeated += 1
                self._twice = self._twice or {Way.EVENT, Way.INFO} <= press.ways
                return False
        self._presses.append(_Press(key, {way}, now_ms))
        return True

    def ignore(self, ms: float) -> None:
        """We send keys for this long: their tones may come back as an echo."""
        self._detector.ignore(ms + ECHO_MS)

    def _hold(self, now_ms: float) -> None:
        """The last key that came as a tone is still held."""
        for press in reversed(self._presses):
            if Way.TONE in press.ways:
                press.at_ms = now_ms
                return


def _repeated(pcm: bytes, size: int) -> bytes:
    """The audio repeated up to so many bytes: the line's noise must go on, since gaps in it would look like speech."""
    return (pcm * (size // len(pcm) + 1))[:size] if pcm else bytes(size)
