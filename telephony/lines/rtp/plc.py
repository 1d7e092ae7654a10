"""Packet loss concealment: lost audio is replaced by a fading continuation of what was heard, then by silence."""

import msgspec

from audio.rate import Rate
from telephony.lines.rtp.codec import Coder
from telephony.lines.rtp.conceal import FADE_MS, conceal, fade_out

MAX_CONCEALED_MS = 100  # concealed by a codec itself; libopus would continue for a second, half as loud


class Ahead(msgspec.Struct, frozen=True):
    """The packet behind a loss, which may help to restore it."""

    coder: Coder
    payload: bytes
    hole: int  # missing samples before it


class PacketLossConcealment:
    """Conceals the losses on one line: by the codec if it can, else from the audio heard last."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._ready = b""  # made, but not yet given
        self._given = 0  # samples of the present loss
        self.take_up(None)

    def take_up(self, coder: Coder | None) -> None:
        """The sender has changed to this codec; None for a stateless one."""
        self._coder = coder if coder is not None and coder.conceals else None
        self._longest = (FADE_MS if self._coder is None else MAX_CONCEALED_MS) * self._rate.per_ms

    def begin(self) -> None:
        """A new loss begins; the previous one is over."""
        self._ready, self._given = b"", 0

    @property
    def spent(self) -> bool:
        """Whether the continuation has faded out."""
        return not self._ready and self._given >= self._longest

    def give(self, count: int, history: bytes, ahead: Ahead | None) -> bytes:
        """The next `count` samples for the loss, fewer once it has faded out. `history` was heard before it."""
        if len(self._ready) < 2 * count:
            self._ready += self._made(count, history, ahead)
        part, self._ready = self._ready[: 2 * count], self._ready[2 * count :]
        self._given += len(part) // 2
        return part

    def _made(self, count: int, history: bytes, ahead: Ahead | None) -> bytes:
        """More samples after the ready ones, so that `count` can be given."""
        if self._coder is None:
            return b"" if self._given else conceal(history, self._longest, self._rate)
        ready = len(self._ready) // 2
        if ahead is not None and (told := ahead.coder.recover(ahead.payload, ahead.hole - ready)):
            return told
        left = max(self._longest - self._given - ready, 0)
        made = self._coder.conceal(count - ready)[: 2 * left]
        return fade_out(made) if len(made) == 2 * left else made
