"""One reply on its way to speech: its text is cut into chunks, synthesized several at a time and heard in order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from agent.engine.base import SpeakRequest, Speech, Synthesizer
from agent.speaking.chunks import Chunker, intoned
from config.settings import ReplySettings

MAX_PIECES = 64  # pieces of one chunk made ahead


class Chunk:
    """One chunk of a reply on its way through the synthesizer. `text` is the model's, which the synthesizer may be
    given with a mark at its end that is not."""

    def __init__(self, request: SpeakRequest, text: str) -> None:
        self.request = request
        self.pieces: asyncio.Queue[Speech | None] = asyncio.Queue(MAX_PIECES)
        self._added = request.text[len(text) :]
        self._words_to_come = len(text.split())

    def own(self, piece: Speech) -> Speech:
        """A piece with the model's own words."""
        self._words_to_come -= len(piece.words)
        if not (self._added and piece.words) or self._words_to_come > 0:
            return piece
        last = piece.words[-1]
        last = msgspec.structs.replace(last, text=last.text.removesuffix(self._added))
        return msgspec.structs.replace(piece, words=(*piece.words[:-1], last))


class Synthesis:
    """Takes the text of one reply and gives its audio. `request` tells how it is spoken; its id is that of the reply.

    Its tasks belong to `group`; cancelling that stops the synthesizer.
    """

    def __init__(
        self, request: SpeakRequest, synthesizer: Synthesizer, settings: ReplySettings, group: asyncio.TaskGroup
    ) -> None:
        self._request = request
        self._synthesizer = synthesizer
        self._settings = settings
        self._group = group
        self._chunker = Chunker(settings)
        self._count = 0
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue(settings.concurrent_tts_streams)
        self._order = asyncio.Lock()  # held from the cut of a chunk until it is in the queue
        self._written = ""  # text that waits for the end of the reply, where nothing is streamed
        self._news = asyncio.Event()  # there is more text
        self._hurrying: asyncio.Task[None] | None = None

    async def add(self, text: str) -> None:
        """Take more text; waits while `concurrent_tts_streams` chunks are being spoken."""
        if not self._settings.streaming:
            self._written = (self._written + text)[: self._settings.max_chars]
            return
        self._news.set()
        self._hurrying = self._hurrying or self._group.create_task(self._hurry())
        async with self._order:
            for chunk in self._chunker.add(text):
                await self._speak(chunk, intoned(chunk))

    async def finish(self) -> None:
        """The text is complete."""
        async with self._order:
            if self._hurrying:
                self._hurrying.cancel()  # it waits, for time or for `_order`, and holds no text
                self._hurrying = None  # a task that was cancelled keeps its frame, and that this reply: a cycle
            for chunk in self._chunker.add(self._written):
                await self._speak(chunk, intoned(chunk))
            if rest := self._chunker.rest():
                await self._speak(rest, rest)
            await self._chunks.put(None)

    async def audio(self) -> AsyncGenerator[Speech, None]:
        """All of it, in order."""
        while chunk := await self._chunks.get():
            while piece := await chunk.pieces.get():
                yield chunk.own(piece)

    async def _hurry(self) -> None:
        """Speech is not to wait for the end of a clause while the model is slow: the first chunk for `first_chunk_ms`
        from the first text, a later one until nothing has come for so long."""
        while True:
            await self._news.wait()
            while self._news.is_set():
                self._news.clear()
                await asyncio.sleep(self._settings.first_chunk_ms / 1000)
                if self._chunker.first:
                    break
            async with self._order:
                for chunk in self._chunker.hurry():
                    await self._speak(chunk, intoned(chunk))

    async def _speak(self, text: str, read: str) -> None:
        name = f"{self._request.id}.{self._count}"
        self._count += 1
        chunk = Chunk(msgspec.structs.replace(self._request, id=name, text=read), text)
        await self._chunks.put(chunk)
        self._group.create_task(self._synthesize(chunk))

    async def _synthesize(self, chunk: Chunk) -> None:
        try:
            whole: list[Speech] = []  # kept back where nothing may be heard before all of it is there
            async with aclosing(self._synthesizer.speak(chunk.request)) as pieces:
                async for piece in pieces:
                    if self._settings.speech_streaming:
                        await chunk.pieces.put(piece)
                    else:
                        whole.append(piece)
            for piece in whole:
                await chunk.pieces.put(piece)
            await chunk.pieces.put(None)
        except asyncio.CancelledError:
            self._synthesizer.cancel(chunk.request.id)
            raise
