"""A recognizer over HTTP: an utterance is written down when it is over."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import msgspec

from agent.engine.base import CALLER_RATE, SpeechBlock, Transcript
from agent.engine.openai.audio import to_wav
from agent.engine.openai.client import Cancelled, Client, read
from config.engine import OpenAISettings

MAX_BYTES = 2 * CALLER_RATE * 60  # of one utterance; what is longer is not heard
MAX_UTTERANCES = 1000  # beyond them the oldest is forgotten: its call has long ended

logger = logging.getLogger("voxline.engine.openai")


class _Text(msgspec.Struct):
    text: str


class OpenAIRecognizer:
    """A Recognizer that knows nothing before the end: its partial transcripts are empty and mean nothing."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._model = settings.transcription_model or settings.chat_model
        self._client = Client(settings)
        self._utterances: dict[str, bytearray] = {}

    async def load(self) -> None:
        """See Recognizer."""
        await self._client.load(self._model, "transcription_model")

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        audio = self._utterances.get(block.utterance)
        if audio is None:
            if len(self._utterances) >= MAX_UTTERANCES:
                oldest = next(iter(self._utterances))
                del self._utterances[oldest]
                logger.warning("too many utterances at once: the oldest is forgotten")
            audio = self._utterances[block.utterance] = bytearray()
        audio += block.audio[: MAX_BYTES - len(audio)]
        return Transcript("")

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        audio = self._utterances.pop(utterance, None)
        if not audio:
            return Transcript("", final=True)
        try:
            async with aclosing(self._client.stream(utterance, partial(self._ask, bytes(audio)))) as texts:
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

    async def _ask(self, audio: bytes) -> AsyncGenerator[str, None]:
        """One try: the transcript."""
        wav = await asyncio.to_thread(to_wav, audio)
        async with self._client.request(
            "POST",
            "/audio/transcriptions",
            data={"model": self._model, "response_format": "json", "temperature": "0"},
            files={"file": ("speech.wav", wav, "audio/wav")},
        ) as response:
            yield self._client.parse(await read(response), _Text).text.strip()
