"""Transcribes the caller's words in the background, while the model is idle: a Recognizer that nothing waits for."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import torch

from agent.engine.base import SpeechBlock, Transcript
from agent.engine.voxtral.streaming_mel import Listening

# utterance, audio, its rate and its spectrogram's frames, agent → text
Transcribe = Callable[[str, bytes, int, torch.Tensor | None, str], AsyncGenerator[str, None]]


class VoxtralTranscriber:
    """The model's own transcripts. There is none before an utterance is over."""

    def __init__(
        self,
        listening: Listening,
        load: Callable[[], Awaitable[None]],
        transcribe: Transcribe,
        stop: Callable[[str], None],
    ) -> None:
        self._listening = listening
        self._load = load
        self._transcribe = transcribe
        self._stop = stop

    async def load(self) -> None:
        """See Recognizer; it loads the model that it shares."""
        await self._load()

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer. Of an utterance longer than 30 s, the end is kept."""
        self._listening.hear(block)
        return Transcript("")

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer. Raises EngineError when the model is too busy or fails."""
        item = self._listening.get(utterance)
        audio, bands = item.mel.whole() if item else (b"", None)
        if item is None or not audio:
            self.cancel(utterance)
            return Transcript("", final=True)
        words = []
        try:
            async with aclosing(self._transcribe(utterance, audio, item.mel.rate, bands, item.agent)) as pieces:
                async for piece in pieces:
                    words.append(piece)
        finally:
            cancelled = self._listening.forget(utterance) is not item
        return Transcript("" if cancelled else "".join(words).strip(), final=True)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._listening.forget(utterance)
        self._stop(utterance)

    async def close(self) -> None:
        """See Recognizer; the model is closed by itself."""
        self._listening.clear()
