"""A SpeechModel without a language model: it follows the dialogue in the agent's YAML.

Between requests it remembers nothing: where a conversation stands travels in `ReplyRequest.state` and `Done.state`, so
that a reply that is discarded leaves no trace.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection

import msgspec

from agent.engine.base import Done, Incomplete, ModelEvent, ReplyRequest, Text
from agent.engine.embedded.dialogue_script import DialogueScript
from agent.engine.embedded.dialogue_state import DialogueState
from agent.engine.embedded.understanding import Understood
from agent.exceptions import EngineError
from config.agent import AgentSettings


class DialogueModel:
    """The scripted dialogues of all agents that have one."""

    def __init__(self, agents: dict[str, AgentSettings]) -> None:
        self._scripts = _scripts(agents)

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner."""
        self._scripts |= await asyncio.to_thread(_scripts, agents)

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        for name in agents:
            self._scripts.pop(name, None)

    async def load(self) -> None:
        """See SpeechModel."""
        if not self._scripts:
            raise EngineError("no agent has a `dialogue`, which the embedded engine needs")

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel."""
        script = self._scripts.get(request.agent)
        if script is None:
            raise EngineError(f"the agent {request.agent!r} has no `dialogue`, which the embedded engine needs")
        if script.incomplete(request):
            yield Incomplete()
            state = msgspec.convert(request.state, DialogueState)
            secret = script.secret(state)
            yield Done(request.state, script.expect(state), expect_digits=script.digits(state), secret=secret)
            return
        answer, state = script.answer(request)
        if text := " ".join(answer.texts):
            yield Text(text)
        for call in answer.calls:
            yield call
        yield Done(
            msgspec.to_builtins(state),
            script.expect(state),
            answer.next,
            answer.transfer_to,
            interruptible=not script.protects(answer),
            keys=answer.keys,
            expect_digits=script.digits(state),
            secret=script.secret(state),
            recording=answer.recording,
        )

    def understood(self, request: ReplyRequest) -> Understood:
        """What the caller's turn means where the conversation stands: for people who try a dialogue."""
        return self._scripts[request.agent].understand(request, msgspec.convert(request.state, DialogueState))

    def cancel(self, request: str) -> None:
        """Nothing runs outside the generator."""

    async def close(self) -> None:
        """Nothing to give back."""


def _scripts(agents: dict[str, AgentSettings]) -> dict[str, DialogueScript]:
    return {
        name: DialogueScript(agent.dialogue, agent.time_zone, agent.hours)
        for name, agent in agents.items()
        if agent.dialogue
    }
