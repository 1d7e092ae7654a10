"""A Synthesizer that falls back to the embedded one's voice for the language when the model's fails."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from agent.engine.base import SpeakRequest, Speech, Synthesizer
from agent.engine.fallback.circuit_breaker import CircuitBreaker

SILENT_S = 5.0  # without a piece until it counts as failed


class FallbackSynthesizer:
    """Speaks what the models' synthesizer did not speak of a chunk."""

    def __init__(self, synthesizer: Synthesizer, embedded: Synthesizer, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.synthesizer = synthesizer
        self.embedded = embedded

    async def load(self) -> None:
        """See Synthesizer."""
        await self.synthesizer.load()
        await self.embedded.load()

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        spoken = 0  # words
        if self.breaker.may_be_asked():
            try:
                async with aclosing(self.synthesizer.speak(request)) as pieces:
                    while piece := await _next(pieces):
                        spoken += len(piece.words)
                        yield piece
                self.breaker.worked()
                return
            except Exception as error:  # noqa: BLE001 (a synthesizer may raise anything, and costs no call)
                self.breaker.failed(request.id.partition("/")[0], error)  # the ids of a call begin with its own
                self.synthesizer.cancel(request.id)
        rest = " ".join(request.text.split()[spoken:])
        if rest:
            again = msgspec.structs.replace(request, text=rest, voice="")
            async with aclosing(self.embedded.speak(again)) as pieces:
                async for piece in pieces:
                    yield piece

    def cancel(self, request: str) -> None:
        """See Synthesizer."""
        self.synthesizer.cancel(request)
        self.embedded.cancel(request)

    async def close(self) -> None:
        """See Synthesizer."""
        await self.synthesizer.close()
        await self.embedded.close()


async def _next(pieces: AsyncGenerator[Speech, None]) -> Speech | None:
    """The next piece, None at the end; raises TimeoutError, after which there is none."""
    async with asyncio.timeout(SILENT_S):
        return await anext(pieces, None)
