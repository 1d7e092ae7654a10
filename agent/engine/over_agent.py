"""Speech over the agent, heard by a recognizer besides the engine's own, where that has no words before an utterance is
over, or where there is none. All other speech it does not hear."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

import msgspec

from agent.engine.base import (
    Backchannel,
    Done,
    Engine,
    Meaning,
    ModelEvent,
    Recognizer,
    ReplyRequest,
    SpeechBlock,
    SpeechModel,
    Transcript,
)
from agent.engine.meaning import meaning_of
from agent.exceptions import EngineError

LATE_S = 0.6  # without an answer until nobody waits for it any more: the caller hears silence meanwhile

logger = logging.getLogger("voxline.engine")


def with_words_over_agent(engine: Engine, listener: Recognizer, agents: Collection[str]) -> Engine:
    """The engine with partial transcripts of what is said over these agents. What it was when it is over is told by the
    engine: by its recognizer if that is waited for, or by the first word of a model that hears."""
    return msgspec.structs.replace(engine, recognizer=OverAgentRecognizer(engine.recognizer, listener, agents))


def judged_by_words(engine: Engine, listener: Recognizer, agents: Collection[str]) -> Engine:
    """The same for an engine that hears nothing: what it was when it is over is told by the words as well."""
    heard = with_words_over_agent(engine, listener, agents)
    model = OverAgentModel(engine.model, listener, agents)
    return msgspec.structs.replace(heard, model=model, transcribes_in_background=True)


class OverAgentRecognizer:
    """Its partial transcripts of speech over the agent are `listener`'s, all others the engine's own."""

    def __init__(self, own: Recognizer | None, listener: Recognizer, agents: Collection[str]) -> None:
        """`agents` are those whose language the listener knows."""
        self._own = own
        self._listener = listener
        self._agents = agents

    async def load(self) -> None:
        """See Recognizer."""
        await self._listener.load()
        if self._own:
            await self._own.load()

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        heard = await self._hear_over(block) if block.over and block.agent in self._agents else None
        own = await self._own.hear(block) if self._own else Transcript("")
        return heard or own

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        self._listener.cancel(_name(utterance))
        return await self._own.finish(utterance) if self._own else Transcript("", final=True)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._listener.cancel(_name(utterance))
        if self._own:
            self._own.cancel(utterance)

    async def close(self) -> None:
        """See Recognizer."""
        if self._own:
            await self._own.close()
        await self._listener.close()

    async def _hear_over(self, block: SpeechBlock) -> Transcript | None:
        try:
            return await self._listener.hear(msgspec.structs.replace(block, utterance=_name(block.utterance)))
        except EngineError as error:  # the engine's own hears on
            logger.warning("speech over the agent was not heard: %s", error, extra={"call": block.call})
            return None


class OverAgentModel:
    """A model that hears nothing. Asked what speech over the agent was, it has nothing to say to what means nothing."""

    def __init__(self, model: SpeechModel, listener: Recognizer, agents: Collection[str]) -> None:
        self._model = model
        self._listener = listener
        self._agents = agents

    async def load(self) -> None:
        """See SpeechModel."""
        await self._model.load()

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel."""
        if request.over and request.agent in self._agents:
            meaning = await self._meaning(request)
            if meaning is Meaning.BACKCHANNEL:
                yield Backchannel()
            if meaning is not Meaning.TURN:
                yield Done()
                return
        async with aclosing(self._model.reply(request)) as events:
            async for event in events:
                yield event

    def cancel(self, request: str) -> None:
        """See SpeechModel."""
        self._listener.cancel(_name(request))
        self._model.cancel(request)

    async def close(self) -> None:
        """See SpeechModel."""
        await self._model.close()

    async def _meaning(self, request: ReplyRequest) -> Meaning:
        """What the speech means; a turn where that cannot be found out in time."""
        name = _name(request.id)
        block = SpeechBlock(name, request.call, request.agent, request.audio, over=True, wide=request.wide)
        try:
            async with asyncio.timeout(LATE_S):
                await self._listener.hear(block)
                heard = await self._listener.finish(name)
            return heard.meaning or meaning_of(heard.text)
        except (EngineError, TimeoutError) as error:
            logger.warning(
                "speech over the agent was not heard: %s", str(error) or "too late", extra={"call": request.call}
            )
            return Meaning.TURN
        finally:
            self._listener.cancel(name)


def _name(of: str) -> str:
    """The listener's id of an utterance or a request: others may use the same recognizer."""
    return f"{of}/over"
