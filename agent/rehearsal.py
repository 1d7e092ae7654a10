"""Runs the calls of a script (config/call_script.py) through an agent's dialogue, in text, and says where it answers
otherwise. No line, no audio: what callers say is taken as heard."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import msgspec

from agent.exceptions import IllegalEvent
from agent.text_conversation import HungUp, Spoke, TextConversation, TextEvent, ToolRan, Transferred
from config.agent import AgentSettings
from config.call_script import HUNG_UP, LISTENING, TRANSFERRED, ScriptedCall, ScriptedTurn
from config.parties import Parties


class Rehearsed(msgspec.Struct, frozen=True):
    """How one call went."""

    name: str
    transcript: tuple[str, ...]  # both sides, line by line
    mistakes: tuple[str, ...]  # where the agent did something else; empty: nowhere


async def rehearse(agent: AgentSettings, calls: Iterable[ScriptedCall]) -> list[Rehearsed]:
    """Hold every call, each from its greeting to its end."""
    return [await _Rehearsal(agent, call).run() for call in calls]


class _Rehearsal:
    """One call."""

    def __init__(self, agent: AgentSettings, call: ScriptedCall) -> None:
        began = call.at if call.at.tzinfo else call.at.replace(tzinfo=ZoneInfo(agent.time_zone))
        self._call = call
        self._conversation = TextConversation(agent, parties=Parties(caller=call.caller), started_s=began.timestamp())
        self._transcript: list[str] = []
        self._mistakes: list[str] = []
        self._tools: list[dict[str, dict[str, str]]] = []
        self._ends = LISTENING

    async def run(self) -> Rehearsed:
        self._check(await self._conversation.greet(), self._call.greeting)
        for number, turn in enumerate(self._call.turns, 1):
            try:
                events = await self._turn(turn)
            except IllegalEvent as error:
                self._mistakes.append(f"turn {number}: {error}")
                break
            self._check(events, turn.agent, turn.never, f"turn {number}: ")
        if self._tools != list(self._call.tools):
            self._mistakes.append(f"the tools were {self._tools}, not {list(self._call.tools)}")
        if self._ends != self._call.ends:
            self._mistakes.append(f"it ends {self._ends!r}, not {self._call.ends!r}")
        return Rehearsed(self._call.name, tuple(self._transcript), tuple(self._mistakes))

    async def _turn(self, turn: ScriptedTurn) -> list[TextEvent]:
        if turn.silent:
            self._transcript.append("caller: (silence)")
            return await self._conversation.keep_silent()
        if turn.unreached:
            self._transcript.append("(nobody answers)")
            return await self._conversation.fail_transfer()
        self._transcript.append(f"caller: {' '.join(filter(None, (turn.says, turn.keys and f'#{turn.keys}')))}")
        return await self._conversation.say(turn.says, turn.keys)

    def _check(
        self, events: list[TextEvent], said: Iterable[str], never: Iterable[str] = (), where: str = "greeting: "
    ) -> None:
        text = " ".join(event.text for event in events if isinstance(event, Spoke))
        self._transcript.append(f"agent: {text}")
        self._mistakes += [f"{where}{part!r} is not in {text!r}" for part in said if part.lower() not in text.lower()]
        self._mistakes += [f"{where}{part!r} is in {text!r}" for part in never if part.lower() in text.lower()]
        self._ends = LISTENING
        for event in events:
            match event:
                case ToolRan():
                    self._tools.append({event.result.name: dict(event.result.arguments)})
                case HungUp():
                    self._ends = HUNG_UP
                case Transferred():
                    self._ends = f"{TRANSFERRED}{event.to}"
