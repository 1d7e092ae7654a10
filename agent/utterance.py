"""The audio of the caller's present turn, with the moment before it was noticed. Sans-I/O."""

BYTES_PER_MS = 16  # 8 kHz mono PCM16
BLOCK_MS = 200  # what a recognizer is given at a time


class Utterance:
    """Keeps the last `preroll_ms` at all times; once begun, keeps everything until closed."""

    def __init__(self, preroll_ms: int, max_ms: int) -> None:
        self.number = 0
        self.open = False
        self._preroll = preroll_ms * BYTES_PER_MS
        self._limit = (max_ms + 2 * preroll_ms) * BYTES_PER_MS
        self._audio = bytearray()
        self._given = 0  # bytes already handed to the recognizer
        self._listening = False  # whether the recognizer still takes this one

    def add(self, pcm: bytes) -> None:
        """Take the next piece of the call's audio."""
        self._audio += pcm
        if not self.open:
            # Twice the pre-roll before it is cut back, so that few frames pay for the move.
            if len(self._audio) > 2 * self._preroll:
                del self._audio[: -self._preroll or None]
        elif len(self._audio) > self._limit:
            self._drop_oldest()

    def begin(self) -> None:
        """Speech was noticed: a new utterance, or more of the one that is open."""
        if not self.open:
            del self._audio[: max(0, len(self._audio) - self._preroll)]
        # A recognizer that has given its final word starts afresh, with all the audio joined.
        self.open = self._listening = True
        self.number += 1
        self._given = 0

    def block(self, *, rest: bool = False) -> bytes:
        """The next block for the recognizer, or nothing yet; with `rest` all that remains, and it is the last."""
        if not self._listening:
            return b""
        waiting = len(self._audio) - self._given
        if not rest and waiting < BLOCK_MS * BYTES_PER_MS:
            return b""
        self._listening = not rest
        block = bytes(self._audio[self._given :])
        self._given = len(self._audio)
        return block

    def audio(self) -> bytes:
        """All of it so far."""
        return bytes(self._audio)

    def close(self) -> None:
        """The turn is over for good; what was said is no longer needed."""
        self.open = self._listening = False
        del self._audio[: max(0, len(self._audio) - self._preroll)]
        self._given = 0

    def _drop_oldest(self) -> None:
        excess = len(self._audio) - self._limit
        del self._audio[:excess]
        self._given = max(0, self._given - excess)
