"""One spoken answer, from the request to the last word heard. Sans-I/O."""

from agent import events as e
from agent.engine.base import Cue, Done, Meaning, Next, ToolCall
from agent.history import HeardReply

LAST_WORDS = frozenset({Cue.FAREWELL, Cue.SHUTDOWN})  # replies after which the call ends, whatever the model says


class Reply:
    """One request to the model, and one more for each round of tools.

    While it is `speculative`, what it brings waits here until the caller's turn is decided, and no tool runs.
    """

    def __init__(self, number: int, cue: Cue, *, speculative: bool = False) -> None:
        self.number = number
        self.cue = cue
        self.request: e.SayRequested | None = None  # of a person, with Cue.OPERATOR
        self.heard = HeardReply()
        self.text = ""
        self.transcript: str | None = None  # of the turn it answers; None where the model hears by itself
        self.meaning: Meaning | None = None  # of the transcript
        self.done = Done()
        self.concluded = False  # that is the model's
        self.calls: tuple[ToolCall, ...] = ()  # tools it wants, while it is speculative
        self.rounds = 0
        self.committed = False  # the turn it answers is in the history
        self.begun = False  # something of it has gone to the line
        self.paused_by_noise = False  # something in the background has paused it before
        self.generating = False
        self.running_tools = False
        self.speculative = speculative
        self.incomplete = False  # the model wants more of the caller's turn first
        self.keys: list[str] = []  # to be pressed when its words have been heard, of each round of tools
        self.pressing = 0  # the number under which keys are on their way
        self.waiting: list[e.ReplyAudio] = []  # while it is speculative

    @property
    def over(self) -> bool:
        """Whether everything it will say has been made and heard, and no key is on its way."""
        return not self.generating and not self.running_tools and not self.pressing and self.heard.complete

    @property
    def said(self) -> bool:
        """Whether its last word was heard, even if some silence follows."""
        return not self.generating and not self.running_tools and self.heard.said_all

    @property
    def interruptible(self) -> bool:
        """A goodbye is played to its end, and so is what the model says must be, and what is followed by keys."""
        return not self.ends_call and self.done.interruptible and not (self.keys or self.pressing)

    @property
    def ends_call(self) -> bool:
        """Whether the call ends with it, at least with us."""
        return self.cue in LAST_WORDS or self.done.next is not Next.LISTEN

    @property
    def unheard_ms(self) -> float:
        """Audio made and not yet heard."""
        waiting = sum(len(piece.pcm) for piece in self.waiting) / 16
        return waiting + self.heard.audio_ms - self.heard.heard_ms
