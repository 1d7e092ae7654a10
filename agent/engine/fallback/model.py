"""A SpeechModel that falls back to the agent's dialogue when the real model fails.

A call whose model fails before its first word hears the apology and goes on with the agent's `dialogue`, and so to its
end: going back to the model in the middle of a question would confuse more than it helps. That a call fell back, and
where its dialogue stands, travels in `Done.state` like any model's state. An agent without a dialogue puts the caller
through instead. New calls do not ask a lost model; calls that it knows do, since its answer is worth more to them.
"""

import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any

import msgspec

from agent.engine.base import (
    ANY_DIGITS,
    Backchannel,
    Cue,
    Done,
    Engine,
    Expect,
    Incomplete,
    Meaning,
    ModelEvent,
    Next,
    OwnTranscript,
    ReplyRequest,
    SpeechBlock,
    SpeechModel,
    Text,
    ToolCall,
    Transcript,
)
from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.engine.fallback.patience import PatientReader
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.engine import FallbackSettings

KEY = "fallback"  # in the state of a call that fell back
LAST_CUES = (Cue.FAREWELL, Cue.SHUTDOWN)
EARLY_MS = 1000  # after so long the turn that an early request was about is over, or the request was cancelled
NO_APOLOGY = (Cue.GREET, *LAST_CUES)  # a caller who is greeted, or said goodbye to, has noticed nothing

logger = logging.getLogger("voxline.engine.fallback")


class FallbackModel:
    """The models' model, with the embedded dialogue and the recognizer that tells it what was said.

    `ears` is the circuit breaker of the models' recognizer, if that is waited for.
    """

    def __init__(
        self,
        model: SpeechModel,
        embedded: Engine,
        settings: FallbackSettings,
        agents: dict[str, AgentSettings],
        *,
        breaker: CircuitBreaker,
        ears: CircuitBreaker,
    ) -> None:
        self.breaker = breaker
        self.fillers = 0  # said
        self.fallen = 0  # replies with which a call fell back, or was given up
        self._model = model
        self._dialogue = embedded.model
        self._recognizer = embedded.recognizer
        self._settings = settings
        self._agents = agents
        self._ears = ears

    async def load(self) -> None:
        """See SpeechModel."""
        await self._model.load()
        if any(agent.dialogue for agent in self._agents.values()):
            await self._dialogue.load()
            if self._recognizer:
                await self._recognizer.load()

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner."""
        self._agents = self._agents | agents

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        self._agents = {name: agent for name, agent in self._agents.items() if name not in agents}

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel. Raises EngineError only where that costs nothing, for an early request."""
        async with aclosing(self._choose(request)) as events:
            async for event in events:
                yield event

    def cancel(self, request: str) -> None:
        """See SpeechModel."""
        self._model.cancel(request)
        self._dialogue.cancel(request)
        if self._recognizer:
            self._recognizer.cancel(_utterance(request))

    async def close(self) -> None:
        """See SpeechModel."""
        await self._model.close()
        await self._dialogue.close()
        if self._recognizer:
            await self._recognizer.close()

    def _choose(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """Who answers."""
        scripted = self._agent(request).dialogue is not None
        if KEY in request.state:
            return self._script(request)
        if scripted and request.cue is Cue.GREET and not self.breaker.may_be_asked():
            return self._fall_back(request)
        if not scripted and request.cue is Cue.ANSWER and request.transcript == "" and self._ears.lost:
            return self._fall_back(request)  # nobody hears the caller
        return self._ask(request, self._filler_ms(request))

    def _agent(self, request: ReplyRequest) -> AgentSettings:
        if agent := self._agents.get(request.agent):
            return agent
        raise EngineError(f"there is no agent {request.agent!r}; there are {', '.join(self._agents)}")

    # The model

    async def _ask(self, request: ReplyRequest, filler_ms: int) -> AsyncGenerator[ModelEvent, None]:
        """The model's reply, and what is to be said when it is slow (not if `filler_ms` is 0) or fails."""
        text: str | None = None  # of its last words; None before its first event
        filled = False
        try:
            async with PatientReader(self._model.reply(request)) as events:
                if filler_ms and not await events.begins_within(filler_ms / 1000):
                    filled = True
                    self.fillers += 1
                    yield Text(f"{self._settings.filler} ")
                while event := await events.next():
                    if filled and isinstance(event, Incomplete | Backchannel):
                        break
                    text = event.text if isinstance(event, Text) else text or ""
                    yield event
            self.breaker.worked()
            rest = self._ask_again(request) if event else None
        except Exception as error:  # noqa: BLE001 (a model may raise anything, and costs no call)
            self._failed(request, error, begun=text is not None)
            rest = self._fall_back(request) if text is None else self._break_off(text)
        if rest:
            async with aclosing(rest):
                async for event in rest:
                    yield event

    def _filler_ms(self, request: ReplyRequest) -> int:
        """How long the caller waits for the reply without knowing why. During a speculative request they hardly do, but
        soon the turn is over, and then it is the same request that they are waiting for."""
        if not self._settings.filler or not self._settings.filler_ms or request.cue in LAST_CUES:
            return 0
        return max(self._settings.filler_ms, EARLY_MS) if request.early else self._settings.filler_ms

    def _ask_again(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """The caller was told to wait for an answer, so there has to be one."""
        return self._ask(msgspec.structs.replace(request, id=f"{request.id}/again", early=False), 0)

    async def _break_off(self, text: str) -> AsyncGenerator[ModelEvent, None]:
        """What was said stays, and the call goes on; the next request falls back if the model is still lost."""
        stop = "" if text.rstrip().endswith((".", "?", "!")) else "."
        yield Text(f"{stop} {self._settings.apology}")
        yield Done()

    def _failed(self, request: ReplyRequest, error: Exception, *, begun: bool) -> None:
        self.breaker.failed(request.call, error)
        self._model.cancel(request.id)
        if request.early and not begun and self._agent(request).dialogue is None:
            # The caller is transferred only when the model fails once more, after the turn.
            raise EngineError("the model failed at an early reply; it is asked again after the turn") from error

    # Without it

    async def _fall_back(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """The first reply without the model."""
        self.fallen += 1
        logger.warning("the call goes on without the models", extra={"call": request.call})
        if self._agent(request).dialogue is None:
            for event in self._give_up(request):
                yield event
            return
        apology = "" if request.cue in NO_APOLOGY else self._settings.apology
        async with aclosing(self._script(request)) as events:
            async for event in events:
                if apology and isinstance(event, Text | ToolCall):
                    yield Text(f"{apology} ")
                    apology = ""
                yield event

    def _give_up(self, request: ReplyRequest) -> list[ModelEvent]:
        """Without a dialogue only a person can help."""
        apology = self._settings.apology
        to = next(iter(self._agent(request).transfers), "")
        if not to or request.cue in (Cue.UNREACHED, *LAST_CUES):  # nor is it tried twice
            return [Text(apology), Done(next=Next.HANG_UP)]
        return [Text(f"{apology} {self._settings.put_through}"), Done(next=Next.TRANSFER, transfer_to=to)]

    async def _script(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """The dialogue's reply. It wants words; where the model hears by itself, they are found only now."""
        fallen: dict[str, Any] = request.state.get(KEY, {})
        expect = Expect(fallen.get("expect", Expect.OPEN))
        fewest, most = fallen.get("expect_digits", ANY_DIGITS)
        request = msgspec.structs.replace(request, state=fallen.get("dialogue", {}))
        if request.cue is Cue.ANSWER and request.transcript is None:
            heard = await self._hear(request, expect)
            if request.over and heard.meaning in (Meaning.BACKCHANNEL, Meaning.NOTHING):
                if heard.meaning is Meaning.BACKCHANNEL:
                    yield Backchannel()
                secret = bool(fallen.get("secret"))
                yield Done({KEY: fallen}, expect, expect_digits=(fewest, most), secret=secret)
                return
            yield OwnTranscript(heard.text)
            request = msgspec.structs.replace(request, transcript=heard.text)
        async with aclosing(self._dialogue.reply(request)) as events:
            async for event in events:
                if isinstance(event, Done):
                    expected: dict[str, Any] = {
                        "expect": event.expect.value,
                        "expect_digits": list(event.expect_digits),
                    }
                    expected |= {"secret": True} if event.secret else {}
                    state = {KEY: {"dialogue": event.state, **expected}}
                    yield msgspec.structs.replace(event, state=state)
                else:
                    yield event

    async def _hear(self, request: ReplyRequest, expect: Expect) -> Transcript:
        """What the caller's turn says."""
        if self._recognizer is None or not request.audio:
            return Transcript("", final=True)
        name = _utterance(request.id)
        try:
            block = SpeechBlock(name, request.call, request.agent, request.audio, expect, request.over, request.wide)
            await self._recognizer.hear(block)
            return await self._recognizer.finish(name)
        except EngineError as error:
            logger.error("nothing was understood: %s", error, extra={"call": request.call})
            return Transcript("", final=True)
        finally:
            self._recognizer.cancel(name)


def _utterance(request: str) -> str:
    """The id of a request's audio, for the embedded recognizer."""
    return f"{request}/fallback"
