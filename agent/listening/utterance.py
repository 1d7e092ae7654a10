"""The audio of the caller's current turn, with the moment before speech was detected. Sans-I/O."""

from audio.rate import BYTES_PER_MS

BLOCK_MS = 200  # what a recognizer is given at a time


class Utterance:
    """Keeps the last `preroll_ms` at all times; once begun, keeps everything until closed.

    Audio is given out as a pair: at 8 kHz, and of a wide-band line at 16 kHz as well, else b"".
    """

    def __init__(self, preroll_ms: int, max_ms: int) -> None:
        self.number = 0
        self.open = False
        self._preroll = preroll_ms * BYTES_PER_MS
        self._limit = (max_ms + 2 * preroll_ms) * BYTES_PER_MS
        self._audio = bytearray()
        self._wide = bytearray()  # the same at 16 kHz, twice as many bytes; empty on a narrow-band line
        self._given = 0  # bytes of `_audio` already handed to the recognizer
        self._listening = False  # whether the recognizer still takes this one

    def add(self, pcm: bytes, wide: bytes = b"") -> None:
        """Take the next piece of the call's audio."""
        self._audio += pcm
        if wide:
            self._wide += wide
        if not self.open:
            # Twice the pre-roll before it is cut back, so that few frames pay for the move.
            if len(self._audio) > 2 * self._preroll:
                self._keep(self._preroll)
        elif len(self._audio) > self._limit:
            self._given = max(0, self._given - (len(self._audio) - self._limit))
            self._keep(self._limit)

    def begin(self) -> None:
        """Speech was noticed: a new utterance, or more of the one that is open."""
        if not self.open:
            self._keep(self._preroll)
        # A recognizer that has given its final word starts afresh, with all the audio joined.
        self.open = self._listening = True
        self.number += 1
        self._given = 0

    def block(self, *, rest: bool = False) -> tuple[bytes, bytes] | None:
        """The next block for the recognizer, or nothing yet; with `rest` all that remains, and it is the last."""
        if not self._listening:
            return None
        waiting = len(self._audio) - self._given
        if not rest and waiting < BLOCK_MS * BYTES_PER_MS:
            return None
        self._listening = not rest
        if not waiting:
            return None
        block = bytes(self._audio[self._given :]), bytes(self._wide[2 * self._given :])
        self._given = len(self._audio)
        return block

    def whole(self) -> tuple[bytes, bytes]:
        """All of it so far."""
        return bytes(self._audio), bytes(self._wide)

    def close(self) -> None:
        """The turn is over for good; what was said is no longer needed."""
        self.open = self._listening = False
        self._keep(self._preroll)
        self._given = 0

    def forget(self) -> None:
        """Nobody listens for a while: what comes afterwards does not follow on from this. An open utterance is kept."""
        if not self.open:
            self._keep(0)

    def _keep(self, last: int) -> None:
        """Forget all but the last bytes of `_audio`, and what belongs to them."""
        excess = max(0, len(self._audio) - last)
        del self._audio[:excess]
        del self._wide[: 2 * excess]
