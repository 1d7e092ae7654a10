"""A Recognizer with Voxtral Realtime: partial transcripts while the caller speaks, the last words right after.

One thread owns the model. Requests reach it through a queue, and answers go back to the event loop.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from agent.engine.base import SpeechBlock, Transcript
from agent.engine.host import use_own_stream
from agent.engine.realtime.loading import load_model
from agent.engine.realtime.transcriber import Transcriber
from agent.engine.realtime.utterance import Answer
from agent.exceptions import EngineError
from config.engine import RealtimeSettings

Order = Callable[[Transcriber], None]
CLOSED = "Voxtral Realtime is not loaded, is closed, or has crashed (then the log says why)"


class RealtimeRecognizer:
    """At most `streams` utterances are heard at once; further ones wait for a slot, and then catch up."""

    def __init__(self, settings: RealtimeSettings) -> None:
        self._settings = settings
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def load(self) -> None:
        """See Recognizer."""
        model, processor = await asyncio.to_thread(load_model, self._settings)
        transcriber = Transcriber(model, processor, self._settings.streams)
        work = partial(_work, transcriber, self._orders, self._settings.device)
        self._thread = threading.Thread(target=work, name="realtime", daemon=True)
        self._thread.start()

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        return await self._ask(lambda transcriber, answer: transcriber.hear(block, answer))

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        try:
            return await self._ask(lambda transcriber, answer: transcriber.finish(utterance, answer))
        except asyncio.CancelledError:
            self.cancel(utterance)
            raise

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._orders.put(lambda transcriber: transcriber.cancel(utterance))

    async def close(self) -> None:
        """See Recognizer."""
        thread, self._thread = self._thread, None
        if thread:
            self._orders.put(None)
            await asyncio.to_thread(thread.join)

    async def _ask(self, question: Callable[[Transcriber, Answer], None]) -> Transcript:
        if self._thread is None or not self._thread.is_alive():
            raise EngineError(CLOSED)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Transcript] = loop.create_future()

        def answer(outcome: Transcript | EngineError) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is waiting
                loop.call_soon_threadsafe(_answer, future, outcome)

        self._orders.put(lambda transcriber: question(transcriber, answer))
        return await future


def _answer(future: asyncio.Future[Transcript], outcome: Transcript | EngineError) -> None:
    if future.done():
        return  # the task that asked was cancelled
    if isinstance(outcome, EngineError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _work(transcriber: Transcriber, orders: queue.SimpleQueue[Order | None], device: str) -> None:
    """The thread: requests first, then a step, and sleep when there is nothing to hear."""
    try:
        use_own_stream(device)
        while True:
            busy = transcriber.step()
            while not (busy and orders.empty()):
                order = orders.get()
                if order is None:
                    return
                order(transcriber)
                busy = True
    finally:
        transcriber.close(EngineError(CLOSED))
