"""A Recognizer with a time limit and a fallback: if the model's recognizer fails, the embedded one hears the whole
utterance."""

import asyncio
import logging
from collections.abc import Collection

import msgspec

from agent.engine.base import Recognizer, SpeechBlock, Transcript
from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.exceptions import EngineError
from audio.rate import RATE
from config.agent import AgentSettings

SILENT_S = 5.0  # without an answer until it counts as failed
MAX_BYTES = 2 * RATE * 90  # of one utterance that are kept
MAX_UTTERANCES = 1000
NOTHING = Transcript("", final=True)

logger = logging.getLogger("voxline.engine.fallback")


class KeptUtterance:
    """One that is being heard. Its audio is kept while the models hear it."""

    def __init__(self, first: SpeechBlock) -> None:
        self.first = first
        self.audio = bytearray()
        self.wide = bytearray()  # twice as many bytes, on a wide-band line
        self.moved = False  # the models have lost it

    def keep(self, block: SpeechBlock) -> None:
        """More of it."""
        room = MAX_BYTES - len(self.audio)
        self.audio += block.audio[:room]
        self.wide += block.wide[: 2 * room]

    def move(self) -> SpeechBlock:
        """All of it, for the embedded recognizer."""
        whole = msgspec.structs.replace(self.first, audio=bytes(self.audio), wide=bytes(self.wide))
        self.moved = True
        self.audio.clear()
        self.wide.clear()
        return whole


class FallbackRecognizer:
    """Utterances to agents with a dialogue move to the embedded recognizer, which belongs to `FallbackModel`: that
    loads and closes it. It knows no words for other agents, so what is said to those is then not understood."""

    def __init__(
        self, recognizer: Recognizer, embedded: Recognizer, breaker: CircuitBreaker, agents: dict[str, AgentSettings]
    ) -> None:
        self.breaker = breaker
        self._recognizer = recognizer
        self._embedded = embedded
        self._scripted = {name for name, agent in agents.items() if agent.dialogue}
        self._utterances: dict[str, KeptUtterance] = {}

    async def load(self) -> None:
        """See Recognizer."""
        await self._recognizer.load()

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner."""
        self._scripted |= {name for name, agent in agents.items() if agent.dialogue}

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        self._scripted.difference_update(agents)

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        said = self._utterances.get(block.utterance) or self._open(block)
        if not said.moved:
            said.keep(block)
            try:
                async with asyncio.timeout(SILENT_S):
                    transcript = await self._recognizer.hear(block)
            except Exception as error:  # noqa: BLE001 (a recognizer may raise anything, and costs no call)
                block = self._move(said, error)
            else:
                self.breaker.worked()
                return transcript
        if block.agent not in self._scripted or self._utterances.get(block.utterance) is not said:  # or was cancelled
            return Transcript("")
        return await self._embedded.hear(block)

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        said = self._utterances.get(utterance)
        if said is None:
            return NOTHING
        try:
            if not said.moved:
                try:
                    async with asyncio.timeout(SILENT_S):
                        transcript = await self._recognizer.finish(utterance)
                except Exception as error:  # noqa: BLE001 (see above)
                    await self._hear_again(self._move(said, error))
                else:
                    self.breaker.worked()
                    return transcript
            return await self._embedded.finish(utterance)
        except EngineError as error:
            logger.error("nothing was understood: %s", error, extra={"call": said.first.call})
            return NOTHING
        finally:
            self._utterances.pop(utterance, None)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._utterances.pop(utterance, None)
        self._recognizer.cancel(utterance)
        self._embedded.cancel(utterance)

    async def close(self) -> None:
        """See Recognizer."""
        await self._recognizer.close()

    def _open(self, first: SpeechBlock) -> KeptUtterance:
        if len(self._utterances) >= MAX_UTTERANCES:
            raise EngineError("too many utterances at once")
        said = self._utterances[first.utterance] = KeptUtterance(first)
        said.moved = not self.breaker.may_be_asked()
        return said

    def _move(self, said: KeptUtterance, error: Exception) -> SpeechBlock:
        self.breaker.failed(said.first.call, error)
        self._recognizer.cancel(said.first.utterance)
        return said.move()

    async def _hear_again(self, whole: SpeechBlock) -> None:
        if whole.agent in self._scripted and whole.utterance in self._utterances:
            await self._embedded.hear(whole)
