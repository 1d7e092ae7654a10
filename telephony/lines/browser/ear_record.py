"""What a browser has heard of the agent, told to the call's recording in step with the caller's audio. Sans-I/O.

Both are counted by one clock, the page's: what was heard with a frame of the caller's lies beside it.
"""

from audio.rate import WIDE
from telephony.lines.line import Listener


class EarRecord:
    """One call's. Audio is PCM16 at 16 kHz."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._follows = False  # the next audio follows the last without a hole

    def heard(self, pcm: bytes, gap: int, frame: int) -> None:
        """What was heard with the caller's next frame of so many samples, which a gap of so many goes before."""
        count = len(pcm) // 2
        if count:
            in_ms = (gap + max(0, frame - count)) / WIDE.per_ms
            self._listener.sent(pcm, in_ms, 0 if self._follows else None)
        self._follows = count >= frame

    def stopped(self, pcm: bytes) -> None:
        """What was heard until it fell silent, with the fade."""
        if pcm:
            self._listener.sent(pcm, 0.0, 0 if self._follows else None)
        self._follows = False
