"""A synthesizer over HTTP: speaks while the audio is still coming in. Word times are estimates."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
import numpy as np

from agent.engine.base import SpeakRequest, Speech, Word
from agent.engine.openai.client import Cancelled, Client
from agent.engine.openai.words import Pace, Spread
from agent.exceptions import EngineError
from config.engine import OpenAISettings

RATE = 24_000  # Hz, of response_format "pcm": mono 16-bit
PIECE = 2 * RATE * 200 // 1000  # bytes
LAST = 2 * RATE * 40 // 1000  # bytes that are kept back, so that the last words have some audio to lie in
MAX_BYTES = 2 * RATE * 300  # of one chunk


class OpenAISynthesizer:
    """A Synthesizer."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._client = Client(settings)
        self._paces: dict[str, Pace] = {}  # by voice, of which the agents have few

    async def load(self) -> None:
        """See Synthesizer."""
        await self._client.load(self._settings.speech_model, "speech_model")

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        pace = self._paces.setdefault(request.voice, Pace())
        spread = Spread(request.text, pace.letter_ms / request.speed)
        waiting, size = bytearray(), 0
        try:
            async with aclosing(self._client.stream(request.id, partial(self._ask, request))) as audio:
                async for more in audio:
                    waiting += more
                    size += len(more)
                    while len(waiting) >= PIECE + LAST:
                        yield _speech(waiting[:PIECE], spread.take(_ms(PIECE)))
                        del waiting[:PIECE]
        except Cancelled:
            return
        del waiting[len(waiting) // 2 * 2 :]
        if waiting:
            yield _speech(waiting, spread.rest(_ms(len(waiting))))
            pace.learn(spread.letters, _ms(size) * request.speed)
        elif any(map(str.isalnum, request.text)):
            raise EngineError(f"{self._client.url} sent no audio for a text of {len(request.text)} characters")

    def cancel(self, request: str) -> None:
        """See Synthesizer."""
        self._client.cancel(request)

    async def close(self) -> None:
        """See Synthesizer."""
        await self._client.close()

    async def _ask(self, request: SpeakRequest) -> AsyncGenerator[bytes, None]:
        """One try: the audio as it comes."""
        body: dict[str, Any] = {
            "model": self._settings.speech_model,
            "input": request.text,
            "voice": request.voice or self._settings.voice,
            "response_format": "pcm",
            "stream_format": "audio",  # vLLM-Omni streams only when it is told to, and then takes no speed but 1
        }
        if request.speed != 1:
            body["speed"] = request.speed
        size = 0
        async with self._client.request(
            "POST",
            "/audio/speech",
            content=msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
        ) as response:
            async for piece in response.aiter_bytes():
                if not size and piece.startswith((b"RIFF", b"{")):
                    raise EngineError(f"{self._client.url} sends no raw audio; it must know response_format pcm")
                size += len(piece)
                if size > MAX_BYTES:
                    raise EngineError(f"{self._client.url} sends speech without end")
                for start in range(0, len(piece), PIECE):
                    yield piece[start : start + PIECE]


def _ms(size: int) -> float:
    return size * 1000 / (2 * RATE)


def _speech(pcm: bytearray, words: tuple[Word, ...]) -> Speech:
    return Speech(np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / np.float32(32768), RATE, words)
