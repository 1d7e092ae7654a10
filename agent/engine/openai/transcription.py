"""A recognizer over HTTP: an utterance is transcribed when it is over."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import msgspec

from agent.engine.base import SpeechBlock, Transcript, clearest
from agent.engine.openai.audio import to_wav
from agent.engine.openai.client import Cancelled, Client, read
from config.engine import OpenAISettings

LONGEST_S = 60  # seconds of one utterance; what is longer is not heard
MAX_UTTERANCES = 1000  # beyond them the oldest is forgotten: its call has long ended

logger = logging.getLogger("voxline.engine.openai")


class _Text(msgspec.Struct):
    text: str


class OpenAIRecognizer:
    """A Recognizer that knows nothing before the end: its partial transcripts are empty and mean nothing."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._model = settings.transcription_model or settings.chat_model
        self._client = Client(settings)
        self._utterances: dict[str, tuple[bytearray, int]] = {}  # audio and its rate in Hz

    async def load(self) -> None:
        """See Recognizer."""
        await self._client.load(self._model, "transcription_model")

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        more, rate = clearest(block)
        if block.utterance not in self._utterances:
            if len(self._utterances) >= MAX_UTTERANCES:
                oldest = next(iter(self._utterances))
                del self._utterances[oldest]
                logger.warning("too many utterances at once: the oldest is forgotten")
            self._utterances[block.utterance] = bytearray(), rate
        audio, rate = self._utterances[block.utterance]
        audio += more[: 2 * rate * LONGEST_S - len(audio)]
        return Transcript("")

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        audio, rate = self._utterances.pop(utterance, (b"", 0))
        if not audio:
            return Transcript("", final=True)
        try:
            async with aclosing(self._client.stream(utterance, partial(self._ask, bytes(audio), rate))) as texts:
                return Transcript(" ".join([text async for text in texts]), final=True)
        except Cancelled:
            return Transcript("", final=True)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._utterances.pop(utterance, None)
        self._client.cancel(utterance)

    async def close(self) -> None:
        """See Recognizer."""
        self._utterances.clear()
        await self._client.close()

    async def _ask(self, audio: bytes, rate: int) -> AsyncGenerator[str, None]:
        """One try: the transcript."""
        wav = await asyncio.to_thread(to_wav, audio, rate)
        async with self._client.request(
            "POST",
            "/audio/transcriptions",
            data={"model": self._model, "response_format": "json", "temperature": "0"},
            files={"file": ("speech.wav", wav, "audio/wav")},
        ) as response:
            yield self._client.parse(await read(response), _Text).text.strip()
