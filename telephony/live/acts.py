"""What operators do with a live call: each act is checked, carried out and put on record, or refused with the
reason."""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from agent import events as e
from agent.state import State
from config.agent import AgentSettings, dialable
from config.exceptions import VoxlineError
from config.keys import checked
from config.parties import Numbers, masked
from telephony.live.live_call import LiveCall
from telephony.records.call_record import Act

MAX_TEXT = 1000  # characters
RETURN_S = 5.0  # after the operator's last socket has closed until the agent is given back the call


# Of a language or a voice; a synthesizer may take anything else for the path of a file.
Name = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[A-Za-z0-9_+/-]*$")]


class ActError(VoxlineError):
    """An act is refused; `status` is HTTP's."""

    def __init__(self, reason: str, status: int = 409) -> None:
        self.status = status
        super().__init__(reason)


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for."""


class Say(Body):
    """The agent says a text as soon as nobody speaks."""

    text: str
    language: Name = ""
    voice: Name = ""
    interruptible: bool = True


class Instruct(Body):
    """The model does something from its next turn on."""

    text: str


class Press(Body):
    """Keys are pressed."""

    keys: str


class Transfer(Body):
    """The caller is connected with somebody else."""

    to: str


class HangUp(Body):
    """The call ends."""


class Recording(Body):
    """The recording pauses, or goes on."""

    on: bool


class TakeOver(Body):
    """A person talks with the caller."""


class GiveBack(Body):
    """The agent does again."""


BODIES: dict[str, type[Body]] = {
    "say": Say,
    "instruct": Instruct,
    "press": Press,
    "transfer": Transfer,
    "hangup": HangUp,
    "recording": Recording,
    "takeover": TakeOver,
    "giveback": GiveBack,
}


class Acts:
    """Of one call. `give` gives an event to its session, `record` puts an act on record."""

    def __init__(
        self,
        call: LiveCall,
        agent: AgentSettings,
        *,
        give: Callable[[e.Event], None],
        record: Callable[[Act], None],
        instructable: bool,
        numbers: Numbers,
    ) -> None:
        """`instructable`: there is a model that can be told something. `numbers`: how they are put on record."""
        self.call = call
        self._agent = agent
        self._give = give
        self._record = record
        self._instructable = instructable
        self._numbers = numbers
        self._sockets: dict[str, int] = {}  # how many each person has open to this call
        self._returning: asyncio.TimerHandle | None = None
        # Each gives the act's details, for the record.
        self._done: dict[type[Body], Callable[[Any], dict[str, Any]]] = {
            Say: self._say,
            Instruct: self._instruct,
            Press: self._press,
            Transfer: self._transfer,
            HangUp: self._hang_up,
            Recording: self._switch_recording,
            GiveBack: self._give_back,
        }

    def act(self, who: str, body: Body) -> None:
        """Do it. Raises ActError."""
        if not self.call.begun:
            raise ActError("the call has not been answered yet")
        if self.call.session.state is State.ENDED or self.call.line.ending.end is not None:
            raise ActError("the call is ending")
        details = self._take_over(who) if isinstance(body, TakeOver) else self._done[type(body)](body)
        self._note(who, next(name for name, kind in BODIES.items() if kind is type(body)), details)

    def _say(self, body: Say) -> dict[str, Any]:
        text = _text(body.text)
        self._expect_agent()
        if self.call.session.closing:
            raise ActError("the call is ending")
        if self.call.session.busy:
            raise ActError("too much waits to be said already")
        self._give(e.SayRequested(text, body.language, body.voice, body.interruptible))
        return self._words(text)

    def _instruct(self, body: Instruct) -> dict[str, Any]:
        text = _text(body.text)
        if not self._instructable:
            raise ActError(f"{self._agent.name} has no model to instruct: it follows a script")
        self._give(e.Instructed(text))
        return self._words(text)

    def _press(self, body: Press) -> dict[str, Any]:
        try:
            keys = checked(body.keys)
        except ValueError as error:
            raise ActError(f"keys: {error}", 422) from None
        session = self.call.session
        if session.state in (State.HOLD, State.CONNECTING):
            raise ActError(self._why_not())
        if session.busy:
            raise ActError("too much waits already")
        shown = self._numbers == "full" and not self.call.private
        self._give(e.PressRequested(keys))
        return {"keys": keys} if shown else {"count": len(keys)}

    def _transfer(self, body: Transfer) -> dict[str, Any]:
        number = self._agent.transfers.get(body.to)
        details = {"to": body.to if number else _shown(body.to, self._numbers)}
        try:
            number = number or dialable(body.to)
        except ValueError as error:
            known = f"; or one of {', '.join(self._agent.transfers)}" if self._agent.transfers else ""
            raise ActError(f"to: {error}{known}", 422) from None
        if self.call.session.state in (State.HOLD, State.CONNECTING):
            raise ActError(self._why_not())
        if not self.call.line.takes_transfer:
            raise ActError("the caller's line takes no transfers")
        self._give(e.TransferRequested(number))
        return details

    def _take_over(self, who: str) -> dict[str, Any]:
        self._expect_agent()
        self._give(e.TakenOver())
        self.call.operator = who
        return {}

    def _hang_up(self, _: HangUp) -> dict[str, Any]:
        self._give(e.HangUpRequested())
        return {}

    def _switch_recording(self, body: Recording) -> dict[str, Any]:
        self._give(e.RecordingSwitched(body.on))
        return {"on": body.on}

    def _give_back(self, _: GiveBack) -> dict[str, Any]:
        if not self.call.session.taken_over:
            raise ActError("nobody has taken over the call")
        self._end_takeover()
        return {}

    def _end_takeover(self) -> None:
        self._give(e.GivenBack())
        self.call.operator = ""
        self.call.fall_silent()

    def _expect_agent(self) -> None:
        if self.call.session.taken_over:
            raise ActError(f"the call has been taken over by {self.call.operator}")
        if self.call.session.state in (State.HOLD, State.CONNECTING):
            raise ActError(self._why_not())

    def _why_not(self) -> str:
        held = self.call.session.state is State.HOLD
        return "the caller has put the call on hold" if held else "the caller is being transferred"

    def _words(self, text: str) -> dict[str, Any]:
        return {"text": text} if self.call.words and not self.call.private else {}

    def _note(self, who: str, name: str, details: dict[str, Any]) -> None:
        act = Act(round(1000 * time.time()), who, name, details)
        self.call.line.log.info("operator", extra={"who": who, "act": name})
        self.call.acted(act)
        self._record(act)

    # Their sockets

    def opened(self, who: str) -> None:
        """This person has opened a socket for the call's audio."""
        self._sockets[who] = self._sockets.get(who, 0) + 1
        if who == self.call.operator and self._returning:
            self._returning.cancel()
            self._returning = None

    def closed(self, who: str) -> None:
        """One of theirs is closed. If it was the last, and they have taken over, the agent gets the call back."""
        self._sockets[who] -= 1
        if self._sockets[who] == 0:
            del self._sockets[who]
            if who == self.call.operator and not self.call.gone:
                self._returning = asyncio.get_running_loop().call_later(RETURN_S, self._return, who)

    def speak(self, who: str, pcm: bytes) -> None:
        """This person says something: it is heard while they have taken over."""
        if who == self.call.operator and self.call.session.taken_over:
            self.call.speak(pcm)

    def _return(self, who: str) -> None:
        self._returning = None
        if self.call.session.taken_over and self.call.operator == who and not self.call.gone:
            self._end_takeover()
            self._note(who, "giveback", {"why": "their socket has closed"})


def _text(text: str) -> str:
    """What a person has written, on one line. Raises ActError."""
    if len(text) > MAX_TEXT:
        raise ActError(f"text: at most {MAX_TEXT} characters", 413)
    text = " ".join(text.split())
    if not text or not text.isprintable():
        raise ActError("text: words are wanted, without control characters", 422)
    return text


def _shown(number: str, numbers: Numbers) -> str:
    return number if numbers == "full" else masked(number) if numbers == "masked" else ""
