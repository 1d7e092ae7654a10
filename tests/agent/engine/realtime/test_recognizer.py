"""The Recognizer as the rest of voxline sees it: asynchronous, many at once, on a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from agent.engine.base import Meaning, Transcript
from agent.engine.meaning import meaning_of
from agent.engine.realtime.recognizer import RealtimeRecognizer
from agent.exceptions import EngineError
from config.engine import RealtimeSettings
from tests.agent.engine.realtime.conftest import STREAMS, Parts
from tests.agent.engine.realtime.hearing import block, blocks, tones
from tests.agent.engine.watch import Watch

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def recognizer(checkpoint: Path) -> AsyncGenerator[RealtimeRecognizer]:
    made = RealtimeRecognizer(RealtimeSettings(model=str(checkpoint), device="cpu", streams=STREAMS))
    await made.load()
    yield made
    await made.close()


async def transcribe(recognizer: RealtimeRecognizer, name: str, pcm: bytes, size: int = 3200) -> list[Transcript]:
    heard = [await recognizer.hear(block(name, piece)) for piece in blocks(pcm, size)]
    return [*heard, await recognizer.finish(name)]


async def test_words_come_while_the_caller_speaks(recognizer: RealtimeRecognizer, parts: Parts) -> None:
    *partials, last = await transcribe(recognizer, "u", tones(1, 4))
    assert partials[0] == Transcript("")
    assert not any(partial.final for partial in partials)
    assert any(meaning_of(partial.text) is Meaning.TURN for partial in partials)
    tokens = parts.generated(tones(1, 4))
    assert parts.text(tokens).startswith(partials[-1].text)
    assert (last.final, last.meaning, last.complete) == (True, None, None)
    assert last.text.startswith(partials[-1].text)
    assert parts.text(tokens).startswith(last.text)


async def test_more_than_there_are_streams_and_any_blocks_give_the_same_words(recognizer: RealtimeRecognizer) -> None:
    alone = [(await transcribe(recognizer, "alone", tones(seed, 1.5)))[-1] for seed in range(3)]
    sizes = [3200, 1600, 4096, 320]
    together = await asyncio.gather(
        *(transcribe(recognizer, f"u{number}", tones(number % 3, 1.5), sizes[number % 4]) for number in range(9))
    )
    assert [heard[-1] for heard in together] == alone * 3


async def test_the_event_loop_goes_on_while_it_loads_and_listens(checkpoint: Path) -> None:
    """No operation of the model runs in the thread of the event loop."""
    recognizer = RealtimeRecognizer(RealtimeSettings(model=str(checkpoint), device="cpu", streams=1))
    with Watch() as watch:
        torch.zeros(1)
        await recognizer.load()
        assert (await recognizer.hear(block("u", tones(1, 2)))).text
        await recognizer.finish("u")
        await recognizer.close()
    assert watch.here == [torch.zeros]


async def test_cancelling_whoever_waits_for_the_end_frees_the_slot(recognizer: RealtimeRecognizer) -> None:
    for number in range(2 * STREAMS):
        await recognizer.hear(block(f"u{number}", tones(1, 0.3)))
        task = asyncio.create_task(recognizer.finish(f"u{number}"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for number in range(STREAMS):  # all slots are there: each is heard, none has to wait
        partial = await recognizer.hear(block(f"new{number}", tones(1, 2)))
        assert partial.text
    for number in range(STREAMS):
        recognizer.cancel(f"new{number}")
    assert await recognizer.finish("new0") == Transcript("", final=True)


async def test_not_loaded() -> None:
    recognizer = RealtimeRecognizer(RealtimeSettings(model="anything", device="cpu"))
    with pytest.raises(EngineError, match="not loaded"):
        await recognizer.hear(block("u", b""))
    await recognizer.close()


async def test_close_while_busy(checkpoint: Path) -> None:
    recognizer = RealtimeRecognizer(RealtimeSettings(model=str(checkpoint), device="cpu", streams=1))
    await recognizer.load()
    tasks = [asyncio.create_task(recognizer.hear(block("u", tones(1, 20))))]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(recognizer.finish("v")))
    await asyncio.sleep(0)
    await recognizer.close()
    heard, unknown = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(heard, EngineError)
    assert unknown == Transcript("", final=True)
    assert not [thread for thread in threading.enumerate() if thread.name == "realtime" and not thread.daemon]
    with pytest.raises(EngineError):
        await recognizer.finish("u")
