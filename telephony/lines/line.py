"""What every carrier's line offers, and what it tells whoever listens. Audio is mono 16-bit PCM."""

from collections.abc import Sequence
from typing import Any, Protocol

from config.logging import Log
from config.parties import NOBODY, Parties
from telephony.lines.ending import Ending, Outcome
from telephony.lines.keypad import Way


class Listener(Protocol):
    """Told what happens on a line, in order. Nothing here awaits but the end."""

    taping: bool  # whether `note` is to be told anything

    def start(self) -> None:
        """The line is open: speak."""

    def audio(self, pcm: bytes, wide: bytes = b"") -> None:
        """The next piece of the caller's audio at 8 kHz, gaps already filled; on a wide-band line also at 16 kHz.

        At 8 kHz it is what mu-law can say, since tapes hold that, and a replay is to hear the same.
        """

    def dtmf(self, digit: str, way: Way, lasted_ms: float = 0.0) -> None:
        """The caller pressed a key beside the audio: 0-9, *, #, A-D; `lasted_ms` is how long, where that is told. The
        same press may come by several ways."""

    def played(self, reply: int, ms: float) -> None:
        """The carrier has played a reply up to `ms` from its start."""

    def sent_first_audio(self, reply: int) -> None:
        """The first audio of a reply has left; once for each."""

    def note(self, **fields: Any) -> None:
        """What goes over the wire, for the tape: see Recorder.note. `in_ms` is in how many ms audio is played."""

    def held(self) -> None:
        """The caller has put the call on hold. What comes as their audio is silence till then."""

    def retrieved(self) -> None:
        """The call is off hold again."""

    def transfer_failed(self, reason: str) -> None:
        """Nobody was reached (busy, declined, unanswered, failed): the caller is still here."""

    def shut_down(self) -> None:
        """The server ends soon: say goodbye."""

    async def closed(self) -> None:
        """The line is gone; let go of everything."""


class Line(Protocol):
    """One call's way to the caller's ear."""

    call_id: str
    log: Log
    parties: Parties = NOBODY  # who calls whom
    rate: int  # Hz of what `play` is given: 8000, or 16000 on a wide-band line; settled when the listener starts
    carries_keys: bool  # whether it was agreed that the caller's keys come beside the audio

    listener: Listener | None
    ending: Ending

    @property
    def accepted(self) -> bool:
        """Whether somebody listens."""
        return self.listener is not None

    @property
    def outcome(self) -> Outcome:
        """What the carrier is to do when the call is over."""
        return self.ending.outcome

    def summary(self) -> dict[str, str | int]:
        """How the call ended and how its line was, for the log and the tape."""

    def counts(self) -> dict[str, int]:
        """What the metrics sum up, by the names in metrics.py; what a line does not have may be missing."""

    def tick(self, now_ms: float) -> None:
        """Called every 10 ms: send what is due."""

    def hear(self, now_ms: float) -> None:
        """Called when all lines have sent: take what the caller has sent, where no socket tells of it."""

    def watch(self, now_ms: float) -> None:
        """Called twice a second: look at the time-outs."""

    def shut_down(self) -> None:
        """The server ends soon: let the conversation say goodbye."""

    def play(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """Append audio of a reply; each mark (ms from the reply's start) is told as `played` when it was heard."""

    def pause(self, reply: int) -> float:
        """Fall silent at once, with a short fade, and keep what was not heard. Gives the ms of the reply heard."""

    def resume(self, reply: int) -> None:
        """Go on from the sample that was heard last, fading in."""

    def drop(self, reply: int) -> None:
        """Forget what was not heard of a paused reply."""

    def press(self, reply: int, keys: str) -> None:
        """Press keys (as config.keys has them), as events beside the audio or else as tones in it. All that was played
        before has been heard; `played` of this number tells that the last one is out, and nothing is played till then.
        """

    def hang_up(self, *, failed: bool = False) -> None:
        """End the call; with `failed` the caller is told that something went wrong."""

    def transfer(self, number: str) -> None:
        """Connect the caller with `number`. That ends our part of the call, or is told as `transfer_failed`."""

    def fail(self, error: Exception) -> None:
        """A bug of ours met this call: log it and end the call as failed."""
