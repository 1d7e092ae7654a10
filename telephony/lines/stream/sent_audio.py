"""What has been sent of the agent's audio, and what of it a pause has taken back: told to the listener's recording.

Sans-I/O. The carrier plays blocks without a break between them, whenever they come; so of each reply, and after each
pause, only the first block is placed by the clock.
"""

from audio import g711
from audio.rate import SAMPLES_PER_MS
from telephony.lines.line import Listener


class SentAudio:
    """Positions are samples from the start of a reply, at 8 kHz; audio is mu-law."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._reply = 0
        self._position = 0  # up to which the reply has been sent
        self._follows = False  # the next block follows the last one, but for where the ear runs dry

    def block(self, reply: int, ulaw: bytes, position: int, in_ms: float, dry_ms: float) -> None:
        """A block is about to be sent, to be heard in `in_ms`; the ear has run dry for `dry_ms` before it."""
        follows = self._follows and position == self._position
        self._listener.sent(g711.decode(ulaw), in_ms, dry_ms if follows else None)
        self._reply, self._position, self._follows = reply, position + len(ulaw), True

    def paused(self, reply: int, heard_ms: float, fade: bytes) -> None:
        """The ear has heard so much of a reply that may not have begun to be sent, and hears the fade (mu-law) next."""
        heard = round(heard_ms * SAMPLES_PER_MS)
        unheard = self._position - heard if reply == self._reply else 0
        if unheard > 0:
            self._listener.taken_back(unheard / SAMPLES_PER_MS)
        if fade:  # where the ear had run dry, nothing but the clock tells for how long
            self._listener.sent(g711.decode(fade), hole_ms=0 if unheard > 0 else None)
        self._reply, self._position, self._follows = reply, heard, False
