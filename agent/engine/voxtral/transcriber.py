"""Writes down what the caller said, when the model has nothing better to do: a Recognizer that nobody waits for."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from agent.engine.base import SpeechBlock, Transcript
from agent.engine.voxtral.mel import MAX_BYTES

MAX_UTTERANCES = 1000
Transcribe = Callable[[str, bytes, str], AsyncGenerator[str, None]]  # utterance, audio, agent → text


@dataclass
class Utterance:
    """The audio of one utterance so far."""

    agent: str
    audio: bytearray = field(default_factory=bytearray)


class VoxtralTranscriber:
    """The model's own transcripts. Nothing is known of an utterance before it is over."""

    def __init__(
        self, load: Callable[[], Awaitable[None]], transcribe: Transcribe, stop: Callable[[str], None]
    ) -> None:
        self._load = load
        self._transcribe = transcribe
        self._stop = stop
        self._utterances: dict[str, Utterance] = {}

    async def load(self) -> None:
        """See Recognizer; it loads the model that it shares."""
        await self._load()

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer. Of an utterance of more than 30 s, the end is kept."""
        utterance = self._utterances.get(block.utterance)
        if utterance is None:
            if len(self._utterances) >= MAX_UTTERANCES:  # the oldest one's call must have been lost
                del self._utterances[next(iter(self._utterances))]
            utterance = self._utterances[block.utterance] = Utterance(block.agent)
        utterance.audio += block.audio
        del utterance.audio[:-MAX_BYTES]
        return Transcript("")

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer. Raises EngineError when the model is too busy or fails."""
        item = self._utterances.get(utterance)
        if item is None or not item.audio:
            self.cancel(utterance)
            return Transcript("", final=True)
        words = []
        try:
            async with aclosing(self._transcribe(utterance, bytes(item.audio), item.agent)) as pieces:
                async for piece in pieces:
                    words.append(piece)
        finally:
            cancelled = self._utterances.pop(utterance, None) is not item
        return Transcript("" if cancelled else "".join(words).strip(), final=True)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._utterances.pop(utterance, None)
        self._stop(utterance)

    async def close(self) -> None:
        """See Recognizer; the model is closed by itself."""
        self._utterances.clear()
