"""What comes into a `Session` and what goes out of it, as plain data.

Times are media time: milliseconds of caller audio received since the call began. Line audio (`pcm`) is mono 16-bit PCM
at 8 kHz. On a wide-band line `wide` is the same moment at 16 kHz, for engines and ears; everything is decided by `pcm`.
A `reply` is the number of one spoken answer in its call, an `utterance` that of one piece of caller speech.
"""

import msgspec

from agent.engine.base import (
    ANY_DIGITS,
    Cue,
    DigitRange,
    Done,
    Expect,
    Meaning,
    ReplyRequest,
    ToolCall,
    ToolResult,
    Word,
)
from config.keys import checked


class Event(msgspec.Struct, frozen=True, tag=True):
    """Something that happened."""


# From the line


class CallerAudio(Event, frozen=True):
    """The next piece of the caller's audio; the clock of the call."""

    pcm: bytes
    wide: bytes = b""


class SpeechProbability(Event, frozen=True):
    """The voice detector's verdict on the window that ended at `at_ms`."""

    value: float  # 0..1
    at_ms: int


class Dtmf(Event, frozen=True):
    """The caller pressed a key."""

    digit: str  # 0-9 * # A-D


class Played(Event, frozen=True):
    """The carrier has played a reply up to here (a mark came back)."""

    reply: int
    ms: float  # from the reply's first sample


class Paused(Event, frozen=True):
    """The answer to `Pause`: the reply fell silent after `ms` of it had been heard; the rest is kept."""

    reply: int
    ms: float


class TransferFailed(Event, frozen=True):
    """Nobody could be reached: the caller is still here."""

    reason: str  # busy, declined, unanswered or failed


class Held(Event, frozen=True):
    """The caller has put the call on hold: they hear nothing of ours, and what is heard from there is not them."""


class Retrieved(Event, frozen=True):
    """The call is off hold again."""


class HungUp(Event, frozen=True):
    """The line is gone, whoever ended it."""


# From the engine


class Partial(Event, frozen=True):
    """What the recognizer makes of the utterance so far."""

    utterance: int
    text: str
    meaning: Meaning | None = None
    complete: bool | None = None


class CallerSaid(Event, frozen=True):
    """The final transcript of the turn that a reply answers. `complete` and `may_go_on`: see Transcript."""

    reply: int
    text: str
    meaning: Meaning | None = None
    complete: bool | None = None
    may_go_on: bool = False


class Transcribed(Event, frozen=True):
    """The words of a caller's turn that was decided earlier, from a recognizer that nobody waits for."""

    utterance: int
    text: str


class ReplyText(Event, frozen=True):
    """The model's next words."""

    reply: int
    text: str


class ReplyUnfinished(Event, frozen=True):
    """The model wants more of the caller's turn before it answers."""

    reply: int


class ReplyAudio(Event, frozen=True):
    """The next piece of the reply's audio; word times from its start."""

    reply: int
    pcm: bytes
    words: tuple[Word, ...] = ()
    wide: bytes = b""


class ReplyDone(Event, frozen=True):
    """The model has said all it will; audio may still follow."""

    reply: int
    done: Done
    calls: tuple[ToolCall, ...] = ()


class ReplyEnded(Event, frozen=True):
    """The last piece of audio has been delivered."""

    reply: int


class ReplyFailed(Event, frozen=True):
    """The engine could not go on with this reply."""

    reply: int
    reason: str


class ToolsFinished(Event, frozen=True):
    """The tools that a reply asked for have run."""

    reply: int
    results: tuple[ToolResult, ...]


# From the operator


class Shutdown(Event, frozen=True):
    """The server ends soon: say goodbye."""


class RecordingSwitched(Event, frozen=True):
    """A person pauses the recording of the call, or lets it go on."""

    on: bool


class SayRequested(Event, frozen=True):
    """The agent is to say this as soon as it is silent and the caller's turn is over. `interruptible`: see Done."""

    text: str
    language: str = ""  # empty: the agent's own, as is the voice
    voice: str = ""
    interruptible: bool = True


class PressRequested(Event, frozen=True):
    """Keys are to be pressed as soon as the agent is silent, or at once by a person who has taken over."""

    keys: str


class Instructed(Event, frozen=True):
    """The model is to do something from its next turn on."""

    text: str


class TransferRequested(Event, frozen=True):
    """The caller is to be connected with somebody else, at once."""

    number: str


class HangUpRequested(Event, frozen=True):
    """The call is to end, at once."""


class TakenOver(Event, frozen=True):
    """A person talks with the caller from now on: the agent falls silent and answers nothing."""


class GivenBack(Event, frozen=True):
    """The agent listens again."""


class OperatorAudio(Event, frozen=True):
    """The next piece of what the person says."""

    pcm: bytes
    wide: bytes = b""


class Command(msgspec.Struct, frozen=True, tag=True):
    """Something to be done."""


# To the engine


class Hear(Command, frozen=True):
    """More of the caller's present utterance, for a recognizer."""

    utterance: int
    pcm: bytes
    expect: Expect
    over: bool = False  # said while the agent was talking
    wide: bytes = b""
    expect_digits: DigitRange = ANY_DIGITS


class ForgetUtterance(Command, frozen=True):
    """The utterance turned out not to be one."""

    utterance: int


class Transcribe(Command, frozen=True):
    """An utterance went into the history without its words: find them, where that is possible (Transcribed)."""

    utterance: int


class StartReply(Command, frozen=True):
    """Ask the model. With an utterance, get its final transcript first."""

    reply: int
    request: ReplyRequest
    utterance: int | None = None


class SpeakText(Command, frozen=True):
    """Speak a reply whose words are known: no model is asked. Answered as `StartReply` is."""

    reply: int
    text: str
    language: str = ""  # empty: the agent's own, as is the voice
    voice: str = ""
    interruptible: bool = True


class CancelReply(Command, frozen=True):
    """Stop generating and speaking this reply."""

    reply: int


class RunTools(Command, frozen=True):
    """Run the tools and answer with `ToolsFinished`."""

    reply: int
    calls: tuple[ToolCall, ...]


# To the line


class Play(Command, frozen=True):
    """Append to what the caller hears; answer each mark (ms from the reply's start) with `Played`."""

    reply: int
    pcm: bytes
    marks: tuple[float, ...]
    wide: bytes = b""


class Pause(Command, frozen=True):
    """Fall silent at once and keep what was not heard; answered with `Paused` before anything else happens."""

    reply: int
    at_ms: float
    # Media time at which the detector's first speech window began; None: the call is on hold, or a person intervenes.
    onset_ms: float | None


class Resume(Command, frozen=True):
    """Go on with a paused reply from the sample that was heard last."""

    reply: int


class Drop(Command, frozen=True):
    """Forget what was not heard of a paused reply."""

    reply: int


class Press(Command, frozen=True):
    """Press keys. Everything said before them has been heard, and nothing else is played until they are out, which
    `Played` tells: they have a number of their own, as replies have. Raises ValueError for keys that
    config.keys does not allow.
    """

    reply: int
    keys: str

    def __post_init__(self) -> None:
        """See above."""
        checked(self.keys)


class HangUp(Command, frozen=True):
    """End the call."""

    failed: bool = False


class Transfer(Command, frozen=True):
    """Connect the caller with somebody else: `HungUp` follows, or else `TransferFailed`."""

    number: str


# To whatever keeps something of the call


class Record(Command, frozen=True):
    """From now on what is said and dialled may be recorded, taped and logged, or may not. At first it may."""

    on: bool


# To the log and the metrics


class TurnDecided(Command, frozen=True):
    """The caller's turn is over and will be answered."""

    reply: int
    cue: Cue
    at_ms: float
    speech_end_ms: float  # media time of the last speech


class Interrupted(Command, frozen=True):
    """The caller talked over a reply, and meant to interrupt."""

    reply: int
    at_ms: float
    onset_ms: float  # media time at which the detector's first speech window began
    heard: str


class Said(Command, frozen=True):
    """A turn went into the history; while nothing may be kept its text is HIDDEN."""

    role: str
    text: str
    interrupted: bool
    at_ms: float


# By name, which is how they stand on tapes. A new class is in here by itself.
EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
COMMANDS: dict[str, type[Command]] = {kind.__name__: kind for kind in Command.__subclasses__()}
