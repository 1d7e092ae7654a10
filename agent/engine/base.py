"""The engine: three small protocols over plain data.

A `Recognizer` turns the caller's speech into text, a `SpeechModel` decides what to answer, a `Synthesizer` speaks it.
Requests and events carry no callbacks and no live objects, and everything is cancelled by id, so an engine may live in
another process. Turns, words and chunks of speech cross this boundary, never frames.

Audio towards the engine is the caller's: 8 kHz mono 16-bit PCM bytes, and of a wide-band line the same at
16 kHz as well (`clearest` chooses). Audio from the engine is `Speech`: mono float32 in -1..1 at the synthesizer's own
rate.
"""

from collections.abc import AsyncGenerator, Collection
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from audio.rate import RATE, WIDE_RATE
from config.agent import AgentSettings
from config.parties import NOBODY, Parties

FloatArray = NDArray[np.float32]
# The tool by which language models transfer a caller; a result of it says that nobody was reached.
TRANSFER = "transfer"
HIDDEN = "***"  # in place of what is secret, or private


class Cue(StrEnum):
    """Why the agent is asked to speak."""

    GREET = "greet"  # the call has just begun
    ANSWER = "answer"  # the caller has finished a turn (speech, or digits dialled)
    TOOL = "tool"  # the tools of the last answer have finished
    UNREACHED = "unreached"  # the transfer failed: `tool_results` has one of TRANSFER
    REPROMPT = "reprompt"  # the caller has been silent for too long
    OPERATOR = "operator"  # a person has it say something, or press keys: no model is asked
    FAREWELL = "farewell"  # say goodbye: the caller stayed silent, or the call has reached its longest
    SHUTDOWN = "shutdown"  # say sorry and goodbye: the server is going down


class Expect(StrEnum):
    """What kind of answer the agent has just asked for."""

    OPEN = "open"
    YES_NO = "yes_no"
    DIGITS = "digits"
    SPELLING = "spelling"
    DATE = "date"
    TIME = "time"
    TEXT = "text"  # words of any kind, such as a name or an address


# The fewest and the most digits that may follow, where digits are expected and it is known.
DigitRange = tuple[int, int]
ANY_DIGITS: DigitRange = (0, 0)


class Meaning(StrEnum):
    """What the caller's speech means while the agent is talking."""

    NOTHING = "nothing"  # no known words: noise, somebody else, the television
    BACKCHANNEL = "backchannel"  # "uh-huh": the caller is listening, and the agent should go on
    TURN = "turn"  # words that want an answer, even if only "no"


class Next(StrEnum):
    """What follows once a reply has been heard to the end."""

    LISTEN = "listen"
    HANG_UP = "hang_up"
    TRANSFER = "transfer"


class Turn(msgspec.Struct, frozen=True):
    """One turn of the history. `text` of an agent's turn holds only what the caller heard."""

    # "caller" or "agent"; "keys": the agent pressed the keys in `text`; "operator": a person on our side has told the
    # model what is in `text`; without any, "taken_over" and "given_back" are when a person talked with the caller.
    role: str
    text: str
    interrupted: bool = False  # the caller talked over it; text ends where the ear stopped
    private: bool = False  # no tape has its text


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call", omit_defaults=True):
    """A model asks for a tool of the agent (its name stands in the agent's YAML) to be run."""

    name: str
    arguments: dict[str, Any]
    heard_ms: dict[
        str, float
    ] = {}  # of arguments that a person may want to hear: where in the call the caller's turn ended
    secrets: dict[str, str] = {}  # the values of arguments that are HIDDEN, for the tool alone: no tape has them


class ToolResult(msgspec.Struct, frozen=True):
    """The outcome of a tool call. `error` is empty when it worked."""

    name: str
    arguments: dict[str, Any]
    result: dict[str, Any] = {}
    error: str = ""
    private: bool = False  # no tape has its arguments and its result


class ReplyRequest(msgspec.Struct, frozen=True):
    """Everything a model needs for one reply; asking twice does no harm, since speculative replies may be discarded."""

    id: str  # unique in the process; `cancel` takes it
    call: str  # the call's id
    agent: str  # the agent's name, a file in config/agents
    cue: Cue
    transcript: str | None = None  # of the caller's turn; None where the model hears the audio itself
    audio: bytes = b""  # the caller's turn, 8 kHz mono PCM16
    digits: str = ""  # keys pressed in the caller's turn
    history: tuple[Turn, ...] = ()  # without the caller's present turn
    state: dict[str, Any] = {}  # what the model's last `Done` that counted carried
    tool_results: tuple[ToolResult, ...] = ()  # that the caller has not been told yet
    early: bool = False  # the caller may still go on: the model may say so (`Incomplete`, `Backchannel`)
    wide: bytes = b""  # `audio` at 16 kHz, on a wide-band line
    parties: Parties = NOBODY  # who calls whom
    started_s: float = 0.0  # when the call began, in Unix time: a model reads no clock
    turn_end_ms: float = 0.0  # when the caller last spoke, in the call's media time
    over: bool = False  # a paused reply waits to learn what this is: said over it, it may mean nothing


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A piece of the reply, to be appended to what came before (spaces included)."""

    text: str


class Incomplete(msgspec.Struct, frozen=True, tag="incomplete"):
    """In place of a first word: what the caller has said so far is not finished; wait for more before asking again."""


class Backchannel(msgspec.Struct, frozen=True, tag="backchannel"):
    """In place of a first word: the caller only shows that they are listening ("uh-huh"); nothing to answer."""


class OwnTranscript(msgspec.Struct, frozen=True, tag="own_transcript"):
    """The words of the caller's turn, from a model that was not given them and found them out before its first word."""

    text: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The last event of every reply. A reply without any `Text` is silence and means: go on listening."""

    state: dict[str, Any] = {}  # JSON-able, private to the model
    expect: Expect = Expect.OPEN
    next: Next = Next.LISTEN
    transfer_to: str = ""  # a key of the agent's `transfers`, with Next.TRANSFER
    interruptible: bool = True  # False: played to its end, whatever the caller says meanwhile
    keys: str = ""  # to be pressed after the last word, as config.keys has them; the words are then heard to their end
    expect_digits: DigitRange = ANY_DIGITS
    secret: bool = False  # what the caller says next is neither recorded, taped nor logged
    recording: Literal["", "pause", "resume"] = ""  # the same, from now on until it says otherwise


ModelEvent = Text | ToolCall | Incomplete | Backchannel | OwnTranscript | Done


class SpeechBlock(msgspec.Struct, frozen=True):
    """The next ~200 ms of one utterance of the caller. The first block of an id opens it."""

    utterance: str  # unique in the process
    call: str
    agent: str
    audio: bytes  # 8 kHz mono PCM16
    expect: Expect = Expect.OPEN
    over: bool = False  # said while the agent was talking: perhaps no more than "uh-huh", perhaps "stop"
    wide: bytes = b""  # `audio` at 16 kHz, on a wide-band line: in all blocks of an utterance, or in none
    expect_digits: DigitRange = ANY_DIGITS


def clearest(of: ReplyRequest | SpeechBlock) -> tuple[bytes, int]:
    """The caller's audio at the highest rate there is, and this rate in Hz."""
    return (of.wide, WIDE_RATE) if of.wide else (of.audio, RATE)


class Transcript(msgspec.Struct, frozen=True):
    """What a recognizer has understood of an utterance (so far). Empty: it heard speech, but knew none of the words.
    `complete` of a final one decides when a turn is over: it is given only where the words can be trusted."""

    text: str
    final: bool = False
    meaning: Meaning | None = None  # None: the recognizer cannot tell, the text must
    complete: bool | None = None  # False: surely not all of it yet (half a number); True: it could end here
    may_go_on: bool = False  # it could, but callers often add what is asked for next, or it means nothing yet


class SpeakRequest(msgspec.Struct, frozen=True):
    """One chunk of a reply to be spoken."""

    id: str  # unique in the process
    text: str
    voice: str = ""  # the synthesizer's own name for it; empty: its default
    speed: float = 1.0  # 1.0 is the voice's usual pace
    language: str = "en-us"


class Word(msgspec.Struct, frozen=True):
    """A spoken word and where it lies in its `Speech`, in milliseconds from its start."""

    text: str
    start_ms: float
    end_ms: float


class Speech(msgspec.Struct, frozen=True):
    """A piece of spoken audio, mono float32 in -1..1, with the words that lie wholly in it."""

    audio: FloatArray
    rate: int  # Hz
    words: tuple[Word, ...] = ()


class Recognizer(Protocol):
    """Speech to text. Calls for one utterance come one after another; many utterances run at once."""

    async def load(self) -> None:
        """Load and warm up; raises EngineError with the reason when that is impossible."""

    async def hear(self, block: SpeechBlock) -> Transcript:
        """Take the next block and give the partial transcript as it stands."""

    async def finish(self, utterance: str) -> Transcript:
        """The utterance is over: the final transcript. An unknown id gives an empty one."""

    def cancel(self, utterance: str) -> None:
        """Forget the utterance; unknown ids are ignored."""

    async def close(self) -> None:
        """Give back everything."""


class SpeechModel(Protocol):
    """Decides what is said. Stateless between requests: what it must remember travels in `state` and `history`."""

    async def load(self) -> None:
        """Load and warm up; raises EngineError with the reason when that is impossible."""

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one reply, `Done` last; raises EngineError when it cannot go on."""

    def cancel(self, request: str) -> None:
        """Stop working on a request; unknown ids are ignored."""

    async def close(self) -> None:
        """Give back everything."""


class Synthesizer(Protocol):
    """Text to speech."""

    async def load(self) -> None:
        """Load and warm up; raises EngineError with the reason when that is impossible."""

    def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """Speak one chunk, in one or more pieces, in order; raises EngineError when it cannot."""

    def cancel(self, request: str) -> None:
        """Stop speaking a chunk; unknown ids are ignored."""

    async def close(self) -> None:
        """Give back everything."""


class Learner(Protocol):
    """A part of an engine that has something ready for each agent, and takes further agents while calls are on."""

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """Make ready for these agents, by the names that requests will have for them: names that are not known yet.
        Replies and transcripts go on meanwhile. Raises EngineError, and then may know some of them."""

    def forget(self, agents: Collection[str]) -> None:
        """No request will name these agents any more; unknown ones are ignored."""


class Engine(msgspec.Struct, frozen=True):
    """The three parts a profile consists of.

    Where the model hears by itself, `recognizer` is None, or one that is not waited for (`transcribes_in_background`):
    it writes the caller's words into the history when it has them. A script or a simulation is not `instructable`.
    `learners` are those of its parts, and what they share, that know the agents.
    """

    model: SpeechModel
    synthesizer: Synthesizer
    recognizer: Recognizer | None = None
    transcribes_in_background: bool = False
    instructable: bool = True  # whether the model does what an operator tells it
    learners: tuple[Learner, ...] = ()

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner. Raises EngineError, and then knows none of them."""
        try:
            for learner in self.learners:
                await learner.learn(agents)
        except BaseException:
            self.forget(agents)
            raise

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        for learner in self.learners:
            learner.forget(agents)

    def parts(self) -> list[Recognizer | SpeechModel | Synthesizer]:
        """The parts to load and close."""
        return [part for part in (self.recognizer, self.model, self.synthesizer) if part is not None]
