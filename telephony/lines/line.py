"""What every carrier's line offers, and what it reports to its listener. Audio is mono 16-bit PCM."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from config.logging import Log
from config.parties import NOBODY, Parties
from telephony.lines.ending import By, Ending, Outcome
from telephony.lines.keypad import Way


class Listener(Protocol):
    """Is told what happens on a line, in order. Only `closed` awaits."""

    taping: bool  # whether `note` wants to be called
    recording: bool = False  # whether `sent` and `taken_back` want to be called

    def start(self) -> None:
        """The line is open: begin to speak."""

    def audio(self, pcm: bytes, wide: bytes = b"") -> None:
        """The next piece of the caller's audio at 8 kHz, gaps already filled; on a wide-band line also at 16 kHz.

        At 8 kHz it has been through mu-law, which is what tapes hold, so that a replay hears the same.
        """

    def dtmf(self, digit: str, way: Way, lasted_ms: float = 0.0) -> None:
        """The caller pressed a key beside the audio: 0-9, *, #, A-D; `lasted_ms` is for how long, where known. The same
        press may come in several ways."""

    def played(self, reply: int, ms: float) -> None:
        """The carrier has played a reply up to `ms` from its start."""

    def sent_first_audio(self, reply: int) -> None:
        """The first audio of a reply has left; called once per reply."""

    def sent(self, pcm: bytes, in_ms: float = 0.0, hole_ms: float | None = None) -> None:
        """Audio at the line's rate is on its way to the caller's ear, which hears it in `in_ms`, or `hole_ms` after the
        last one, where that is known."""

    def taken_back(self, ms: float) -> None:
        """The last `ms` of what was `sent` will not be heard."""

    def note(self, **fields: Any) -> None:
        """Something went over the wire; for the tape, see Recorder.note. `in_ms`: ms until the audio is played."""

    def held(self) -> None:
        """The caller has put the call on hold. Until `retrieved`, their audio is silence."""

    def retrieved(self) -> None:
        """The call is off hold again."""

    def transfer_failed(self, reason: str) -> None:
        """The transfer reached nobody (busy, declined, unanswered, failed): the caller is still here."""

    def shut_down(self) -> None:
        """The server shuts down soon: say goodbye."""

    async def closed(self) -> None:
        """The line is gone; release everything."""


class Line(Protocol):
    """One call's way to the caller's ear."""

    call_id: str
    log: Log
    carrier: str  # twilio, sip, browser
    trunk: str = ""  # its name, if the call is a trunk's
    outbound: bool = False  # whether we called
    parties: Parties = NOBODY  # who calls whom
    rate: int  # Hz of the audio for `play`: 8000, or 16000 on a wide-band line; settled when the listener starts
    carries_keys: bool  # whether it was agreed to send the caller's keys beside the audio
    show: Callable[..., None] | None = None  # tells the caller's own page something: its kind, and fields
    takes_back_ms: float = 0.0  # for how long what was `sent` may still be taken back

    listener: Listener | None
    ending: Ending

    @property
    def accepted(self) -> bool:
        """Whether the call has a listener."""
        return self.listener is not None

    @property
    def outcome(self) -> Outcome:
        """What the carrier should do once the call is over."""
        return self.ending.outcome

    @property
    def takes_transfer(self) -> bool:
        """Whether the caller can be connected with somebody else."""
        return True

    def recent(self, ms: int) -> bytes:  # noqa: ARG002 (a line may not tell)
        """The last of what is being played, at most `ms` of it, as PCM16 at the line's rate; nothing while the line is
        silent. For a meter."""
        return b""

    def report_sent(self, *, on: bool) -> None:
        """From now on the listener's `sent` and `taken_back` are called, or no longer. At first they are if it is
        `recording`."""

    def summary(self) -> dict[str, str | int]:
        """How the call ended and how its line was, for the log and the tape."""

    def counts(self) -> dict[str, int]:
        """Counts for the metrics, by the names in metrics.py; a line may leave out those it does not have."""

    def tick(self, now_ms: float) -> None:
        """Called every 10 ms: send what is due."""

    def hear(self, now_ms: float) -> None:
        """Called when all lines have sent: read the caller's audio, on lines whose sockets do not announce it."""

    def watch(self, now_ms: float) -> None:
        """Called twice a second: check the time-outs."""

    def shut_down(self) -> None:
        """The server shuts down soon: let the conversation say goodbye."""

    def play(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """Append audio of a reply; each mark (ms from the reply's start) is reported as `played` once it has been
        heard."""

    def pause(self, reply: int) -> float:
        """Fall silent at once, with a short fade, and keep what was not heard. Returns the ms of the reply heard."""

    def resume(self, reply: int) -> None:
        """Go on after the last sample heard, fading in."""

    def drop(self, reply: int) -> None:
        """Discard what was not heard of a paused reply."""

    def press(self, reply: int, keys: str) -> None:
        """Press keys (as config.keys has them), as events beside the audio or else as tones in it. Everything played
        before has been heard. `played` with this number reports that the last key is out; nothing is played until then.
        """

    def hang_up(self, *, failed: bool = False, by: By = "agent") -> None:
        """End the call; with `failed`, tell the caller that something went wrong. `by` is who has decided it."""

    def transfer(self, number: str, *, by: By = "agent") -> None:
        """Connect the caller with `number`. That ends our part of the call, or is reported as `transfer_failed`."""

    def fail(self, error: Exception) -> None:
        """This call has hit a bug of ours: log it and end the call as failed."""
