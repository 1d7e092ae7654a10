"""Kokoro speaks: the real loading, the real model in a small size, several callers at once."""

import asyncio
import json
import shutil
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.engine.base import SpeakRequest, Speech
from agent.engine.kokoro import phonemes
from agent.engine.kokoro.forward import RATE
from agent.engine.kokoro.phonemes import MAX_PHONEMES, Phonemes, split
from agent.engine.kokoro.speech import PEAK
from agent.engine.kokoro.synthesizer import KokoroSynthesizer
from agent.exceptions import DeviceLost, EngineError
from config.engine import KokoroSettings
from tests.agent.engine.kokoro.conftest import Gate
from tests.agent.engine.watch import Watch
from tests.waiting import until


async def speak(synthesizer: KokoroSynthesizer, text: str, request: str = "CA1/1.0", **options: object) -> list[Speech]:
    asked = SpeakRequest(request, text, **options)  # type: ignore[arg-type]
    return [piece async for piece in synthesizer.speak(asked)]


def start(synthesizer: KokoroSynthesizer, request: str, text: str = "Sure.") -> "asyncio.Task[list[Speech]]":
    return asyncio.create_task(speak(synthesizer, text, request))


async def waiting(synthesizer: KokoroSynthesizer, count: int) -> None:
    """Until so many pieces are in the queue."""
    await until(lambda: len(synthesizer._waiting) == count)  # other threads fill and empty it


def covers(pieces: list[Speech], text: str) -> None:
    """Every word of the text has its time, one after the other, within its audio."""
    assert [word.text for piece in pieces for word in piece.words] == text.split()
    for piece in pieces:
        ends = 0.0
        for word in piece.words:
            assert ends <= word.start_ms <= word.end_ms <= 1000 * len(piece.audio) / piece.rate
            ends = word.end_ms


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Sure — $42.50 at 3:30.", {}),
        ("Dr. Smith's in.", {"voice": "bf_emma", "language": "en-gb"}),
        ("नमस्ते, मेरा नंबर 12 है।", {"voice": "hm_omega", "language": "hi"}),
    ],
)
async def test_every_word_has_its_time(synthesizer: KokoroSynthesizer, text: str, options: dict[str, str]) -> None:
    (speech,) = await speak(synthesizer, text, **options)
    assert speech.rate == RATE
    assert speech.audio.dtype == np.float32
    covers([speech], text)
    sounding = [word for word in speech.words if word.text != "—"]
    assert all(word.end_ms - word.start_ms >= 25 for word in sounding)
    assert speech.words[0].start_ms <= 100
    assert 0 < np.abs(speech.audio).max() <= PEAK


async def test_chunks_join_without_a_click(synthesizer: KokoroSynthesizer) -> None:
    (one,), (other,) = await asyncio.gather(
        speak(synthesizer, "Sure,", "CA1/1.0"), speak(synthesizer, "one moment.", "CA1/1.1")
    )
    join = len(one.audio)
    joined = np.concatenate([one.audio, other.audio])
    assert abs(joined[join] - joined[join - 1]) < 0.005
    assert not one.audio[-int(0.04 * RATE) :].any()  # a comma's pause
    assert not other.audio[-int(0.08 * RATE) :].any()  # a sentence's


@pytest.mark.parametrize(("limit", "sentences"), [(20, 2), pytest.param(MAX_PHONEMES, 42, marks=pytest.mark.slow)])
async def test_a_long_text_comes_in_pieces(
    synthesizer: KokoroSynthesizer, monkeypatch: pytest.MonkeyPatch, limit: int, sentences: int
) -> None:
    monkeypatch.setattr(phonemes, "split", partial(split, limit=limit))
    text = " ".join(["You know we do."] * sentences)
    pieces = await speak(synthesizer, text, speed=2.0)
    assert len(pieces) == 2
    covers(pieces, text)


async def test_speed_changes_the_length(synthesizer: KokoroSynthesizer) -> None:
    (slow,), (fast,) = [await speak(synthesizer, "One moment.", speed=speed) for speed in (0.5, 2.0)]
    assert len(slow.audio) > 1.3 * len(fast.audio)


async def test_nothing_to_say_is_silence(synthesizer: KokoroSynthesizer) -> None:
    assert await speak(synthesizer, " … ") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voice": "klingon"}, "no voice 'klingon' .* it has af_heart"),
        ({"language": "ja"}, "cannot speak 'ja' here; agent.language may be en-gb, en-us"),
    ],
)
async def test_what_it_does_not_have(synthesizer: KokoroSynthesizer, options: dict[str, str], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        await speak(synthesizer, "Hello.", **options)
    assert await speak(synthesizer, "Yes.")


async def test_a_first_chunk_overtakes_later_ones(synthesizer: KokoroSynthesizer, gate: Gate) -> None:
    finished: list[str] = []
    tasks = []
    for count, request in enumerate(["CA1/1.0", "CA1/1.1", "CA1/1.2", "CA2/1.0"]):
        tasks.append(start(synthesizer, request))
        tasks[-1].add_done_callback(lambda _, request=request: finished.append(request))
        await gate.started()
        await waiting(synthesizer, count)
    gate.open()
    await asyncio.gather(*tasks)
    assert finished == ["CA1/1.0", "CA2/1.0", "CA1/1.1", "CA1/1.2"]


async def test_chunks_of_several_calls_are_spoken_together(
    synthesizer: KokoroSynthesizer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesizer._waiting, "_batch", 8)  # as on a GPU
    texts = {"CA1/1.0": "Yes.", "CA2/1.0": "No, sorry.", "CA3/1.0": "Of course."}
    busy = start(synthesizer, "CA0/1.0")
    await gate.started()
    tasks = [start(synthesizer, request, text) for request, text in texts.items()]
    await waiting(synthesizer, 3)
    gate.open()
    for pieces, text in zip(await asyncio.gather(*tasks), texts.values(), strict=True):
        covers(pieces, text)
    await busy
    assert gate.runs == [1, 3]


async def test_one_bad_text_costs_the_others_nothing(
    synthesizer: KokoroSynthesizer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesizer._waiting, "_batch", 8)
    busy = start(synthesizer, "CA0/1.0")
    await gate.started()
    tasks = [start(synthesizer, f"CA{call}/1.0", "No, sorry.") for call in (1, 2)]
    await waiting(synthesizer, 2)
    gate.failing = [RuntimeError("out of luck"), RuntimeError("out of memory")]
    busy_failed, *rest = await _open(gate, busy, *tasks)
    assert isinstance(busy_failed, EngineError)
    assert "out of memory" in str(busy_failed)
    assert gate.runs == [1, 2, 1, 1]  # the two fail together, and succeed apart
    assert all(isinstance(pieces, list) and len(pieces) == 1 for pieces in rest)


async def test_a_gpu_that_is_lost_is_told_to_all_who_were_spoken_together(
    synthesizer: KokoroSynthesizer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesizer._waiting, "_batch", 8)
    busy = start(synthesizer, "CA0/1.0")
    await gate.started()
    tasks = [start(synthesizer, f"CA{call}/1.0", "No, sorry.") for call in (1, 2)]
    await waiting(synthesizer, 2)
    lost = torch.AcceleratorError("CUDA error: device-side assert triggered")
    gate.failing = [lost, lost]
    assert all(isinstance(outcome, DeviceLost) for outcome in await _open(gate, busy, *tasks))
    assert gate.runs == [1, 2]  # nothing is tried again


async def _open(gate: Gate, *tasks: "asyncio.Task[list[Speech]]") -> list[list[Speech] | BaseException]:
    gate.open()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_broken_numbers_are_an_error_and_no_noise(
    synthesizer: KokoroSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    projection = synthesizer._forward._model.predictor.F0_proj  # type: ignore[attr-defined]
    monkeypatch.setattr(projection.bias, "data", projection.bias.data * float("nan"))
    with pytest.raises(EngineError, match="broken numbers"):
        await speak(synthesizer, "Sure.")


async def test_cancelled_chunks_give_nothing_and_hold_nobody_up(synthesizer: KokoroSynthesizer, gate: Gate) -> None:
    running, queued = start(synthesizer, "CA1/1.0"), start(synthesizer, "CA1/1.1")
    await gate.started()
    await waiting(synthesizer, 1)
    for request in ("CA1/1.0", "CA1/1.1", "unknown"):
        synthesizer.cancel(request)
    assert await running == await queued == []  # though the model is still at it
    assert gate.runs == [1]
    gate.open()
    assert len(await speak(synthesizer, "Yes.", "CA2/1.0")) == 1
    assert gate.runs == [1, 1]  # the queued one never ran


async def test_a_task_that_is_cancelled_frees_its_place(synthesizer: KokoroSynthesizer, gate: Gate) -> None:
    running, queued = start(synthesizer, "CA1/1.0"), start(synthesizer, "CA1/1.1")
    await gate.started()
    await waiting(synthesizer, 1)
    running.cancel()
    queued.cancel()
    await asyncio.wait([running, queued])
    assert running.cancelled()
    assert len(synthesizer._waiting) == 0
    assert not synthesizer._speaking


async def test_the_newest_is_turned_away_when_too_many_wait(synthesizer: KokoroSynthesizer, gate: Gate) -> None:
    running = start(synthesizer, "CA0/1.0")
    await gate.started()
    tasks = [start(synthesizer, f"CA{call}/1.0") for call in range(1, 5)]
    await waiting(synthesizer, 4)  # the bound
    with pytest.raises(EngineError, match=r"4 chunks wait already.*engine\.kokoro\.waiting"):
        await speak(synthesizer, "No.", "CA9/1.0")
    gate.open()
    assert all(len(pieces) == 1 for pieces in await asyncio.gather(running, *tasks))


async def test_the_event_loop_goes_on_meanwhile(
    synthesizer: KokoroSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No operation of the model runs in its thread, and no text is read there."""
    threads: list[threading.Thread] = []
    read = synthesizer._phonemizer.read

    def noted(text: str, language: str) -> list[Phonemes]:
        threads.append(threading.current_thread())
        return read(text, language)

    monkeypatch.setattr(synthesizer._phonemizer, "read", noted)
    with Watch() as watch:
        torch.zeros(1)
        (speech,) = await speak(synthesizer, "One moment.")
    assert watch.here == [torch.zeros]
    assert threads
    assert threading.current_thread() not in threads
    assert len(speech.audio) > RATE / 5


async def test_closing_while_it_is_busy(folder: Path) -> None:
    synthesizer = KokoroSynthesizer(KokoroSettings(model=str(folder), device="cpu"))
    with pytest.raises(EngineError, match="not loaded"):
        await speak(synthesizer, "Too early.")
    await synthesizer.load()
    gate = Gate(synthesizer._forward, {})
    synthesizer._forward = gate  # type: ignore[assignment]
    tasks = [start(synthesizer, "CA1/1.0"), start(synthesizer, "CA1/1.1")]
    await gate.started()
    await waiting(synthesizer, 1)
    closing = asyncio.create_task(synthesizer.close())
    assert await asyncio.gather(*tasks) == [[], []]
    gate.open()
    async with asyncio.timeout(20):
        await closing
    with pytest.raises(EngineError, match="closed"):
        await speak(synthesizer, "Too late.")


async def test_a_model_that_cannot_be_loaded_can_still_be_closed(tmp_path: Path) -> None:
    synthesizer = KokoroSynthesizer(KokoroSettings(model=str(tmp_path), device="cpu"))
    with pytest.raises(EngineError, match=r"is no Kokoro model: config\.json is missing"):
        await synthesizer.load()
    await synthesizer.close()


async def test_a_model_that_cannot_speak_is_not_loaded(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    config = json.loads((copy / "config.json").read_text())
    config["vocab"] = dict.fromkeys(config["vocab"], 10_000)  # tokens that the model does not have
    (copy / "config.json").write_text(json.dumps(config))
    synthesizer = KokoroSynthesizer(KokoroSettings(model=str(copy), device="cpu"))
    with pytest.raises(EngineError, match="is loaded, but cannot speak: IndexError"):
        await synthesizer.load()
    await synthesizer.close()
