"""A conversation in text: what a caller would say goes in, what the agent says and does comes out. There is no line, no
audio and no clock in it; the dialogue is asked as in a call, and what it knows travels from turn to turn in a `Memory`.

    conversation = TextConversation(agent)
    events = await conversation.greet()
    events = await conversation.say("i'd like an appointment on tuesday")

The caller is taken to hear every reply to its end, and to have finished every turn. Tools are not run unless there is a
`run_tool`: `pretend` says that they have worked.
"""

import copy
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from agent.engine.base import TRANSFER, Cue, Done, Incomplete, Next, Text, ToolCall, ToolResult
from agent.engine.embedded.dialogue import DialogueModel
from agent.engine.embedded.understanding import Understood
from agent.exceptions import EngineError, IllegalEvent
from agent.listening.caller_turn import CallerTurn
from agent.memory import Memory
from agent.speaking.agent_turn import MAX_ROUNDS
from agent.speaking.reply import LAST_WORDS, Reply
from config.agent import AgentSettings
from config.parties import NOBODY, Parties
from config.settings import ReplySettings, TurnSettings

MAX_BACK = 1000  # turns that can be taken back


class Heard(msgspec.Struct, frozen=True):
    """What the agent has understood of the caller's turn. `unfinished`: on the phone it would first wait for more."""

    understood: Understood
    unfinished: bool = False


class Spoke(msgspec.Struct, frozen=True):
    """What the agent says. All of a reply up to its keys is one piece."""

    text: str


class ToolRan(msgspec.Struct, frozen=True):
    """A tool of the agent and what came of it."""

    result: ToolResult


class Pressed(msgspec.Struct, frozen=True):
    """Keys that the agent presses."""

    keys: str


class Transferred(msgspec.Struct, frozen=True):
    """The caller is put through: the transfer's name in the agent's file, and its number."""

    to: str
    number: str


class HungUp(msgspec.Struct, frozen=True):
    """The agent ends the call."""


TextEvent = Heard | Spoke | ToolRan | Pressed | Transferred | HungUp
RunTool = Callable[[ToolCall], Awaitable[ToolResult]]


async def pretend(call: ToolCall) -> ToolResult:
    """In place of running a tool: say that it has worked."""
    return ToolResult(call.name, call.arguments, {"ok": True})


class _Point(msgspec.Struct):
    """Where the call stands."""

    memory: Memory
    silences: int = 0  # in a row
    connecting_to: str = ""  # the transfer that the caller is being put through to
    over: bool = False


class TextConversation:
    """One call to an agent with a dialogue. A turn that does not fit (see `over` and `connecting_to`) raises
    IllegalEvent."""

    def __init__(
        self,
        agent: AgentSettings,
        turn: TurnSettings | None = None,
        reply: ReplySettings | None = None,
        *,
        run_tool: RunTool = pretend,
        parties: Parties = NOBODY,
        started_s: float = 0.0,
    ) -> None:
        """`started_s` is when the call is taken to begin, in Unix time. Raises EngineError for an agent without a
        dialogue."""
        if agent.dialogue is None:
            raise EngineError(f"the agent {agent.name!r} has no `dialogue`, and it is the dialogue that talks here")
        self._agent = agent
        self._turn = turn or TurnSettings()
        self._run_tool = run_tool
        self._model = DialogueModel({agent.name: agent})
        turns = (reply or ReplySettings()).max_history_turns
        self._point = _Point(Memory("text", agent.name, turns, agent.known_of(parties), started_s))
        self._before: deque[_Point] = deque(maxlen=MAX_BACK)

    @property
    def over(self) -> bool:
        """Whether the agent has hung up."""
        return self._point.over

    @property
    def connecting_to(self) -> str:
        """The transfer that the caller is being put through to; `fail_transfer` brings the caller back."""
        return self._point.connecting_to

    @property
    def said(self) -> str:
        """What the agent said last."""
        turns = self._point.memory.history.turns()
        return next((turn.text for turn in reversed(turns) if turn.role == "agent"), "")

    async def greet(self) -> list[TextEvent]:
        """The call begins."""
        return await self._ask(Cue.GREET)

    async def say(self, words: str, digits: str = "") -> list[TextEvent]:
        """The caller's turn: words as a recognizer gives them, keys that were pressed, or both."""
        self._next_turn()
        self._point.silences = 0
        heard = await self._hear(words, digits)
        return [heard, *await self._ask(Cue.ANSWER, words, digits)]

    async def keep_silent(self) -> list[TextEvent]:
        """The caller says nothing for `turn.reprompt_ms`."""
        self._next_turn()
        self._point.silences += 1
        enough = self._point.silences > self._turn.max_reprompts
        return await self._ask(Cue.FAREWELL if enough else Cue.REPROMPT)

    async def fail_transfer(self) -> list[TextEvent]:
        """Nobody answers where the caller was to be put through to."""
        to = self.connecting_to
        if not to:
            raise IllegalEvent("the caller is not being put through")
        self._keep()
        self._point.connecting_to = ""
        error = "the caller was not put through: nobody answers"
        self._point.memory.ran((ToolResult(TRANSFER, {"to": to}, error=error),))
        return await self._ask(Cue.UNREACHED)

    def back(self) -> bool:
        """Take the last turn back, with all that came of it but what tools have really done; False if there is none."""
        if not self._before:
            return False
        self._point = self._before.pop()
        return True

    def _next_turn(self) -> None:
        if self.over or self.connecting_to:
            raise IllegalEvent("the agent does not listen: " + ("it has hung up" if self.over else "a transfer is on"))
        self._keep()

    def _keep(self) -> None:
        self._before.append(copy.deepcopy(self._point))

    async def _hear(self, words: str, digits: str) -> Heard:
        """As while the caller may still go on: the model may wish to wait."""
        reply, caller = Reply(0, Cue.ANSWER, speculative=True), self._caller(digits)
        request = self._point.memory.request(reply, Cue.ANSWER, caller, None)
        request = msgspec.structs.replace(request, transcript=words)
        unfinished = [event async for event in self._model.reply(request) if isinstance(event, Incomplete)]
        return Heard(self._model.understood(request), bool(unfinished))

    async def _ask(self, cue: Cue, words: str = "", digits: str = "") -> list[TextEvent]:
        """One reply, with the tools that it asks for, until it is the caller's turn again."""
        memory, reply, caller = self._point.memory, Reply(0, cue), self._caller(digits)
        events: list[TextEvent] = []
        texts: list[str] = []
        while True:
            request = memory.request(reply, cue, caller, None)
            request = msgspec.structs.replace(request, transcript=words if cue is Cue.ANSWER else None)
            text, calls = "", []
            async for event in self._model.reply(request):
                match event:
                    case Text():
                        text += event.text
                    case ToolCall():
                        calls.append(event)
                    case Done():
                        reply.done = event
            if cue is Cue.ANSWER and (said := " ".join(filter(None, (words, digits)))):
                memory.caller_said(said, 0)
            memory.keep(reply.done)
            if text:
                texts.append(text)
                events.append(Spoke(text))
            if reply.done.keys:
                reply.keys.append(reply.done.keys)
            if not calls or reply.rounds >= MAX_ROUNDS:
                break
            results = tuple([await self._run_tool(call) for call in calls])
            memory.ran(results)
            events += map(ToolRan, results)
            cue, reply.rounds = Cue.TOOL, reply.rounds + 1
        if texts:
            memory.caller_heard(" ".join(texts), 0)
        return events + self._end(reply)

    def _end(self, reply: Reply) -> list[TextEvent]:
        """What follows once all words of a reply were heard."""
        events: list[TextEvent] = []
        for keys in reply.keys:
            self._point.memory.pressed(keys)
            events.append(Pressed(keys))
        if reply.cue in LAST_WORDS or reply.done.next is Next.HANG_UP:
            self._point.over = True
            events.append(HungUp())
        elif reply.done.next is Next.TRANSFER:
            self._point.connecting_to = to = reply.done.transfer_to
            events.append(Transferred(to, self._agent.transfers.get(to, "")))
        return events

    def _caller(self, digits: str) -> CallerTurn:
        caller = CallerTurn(self._turn)
        for digit in digits:
            caller.dial(digit)
        return caller
