"""Speech that is handed on while it comes in, with words at estimated times."""

import asyncio
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from agent.engine.base import SpeakRequest, Speech
from agent.engine.openai.synthesizer import LAST, MAX_BYTES, PIECE, RATE, OpenAISynthesizer
from agent.exceptions import EngineError
from tests.agent.engine.openai.server import BREAK, Server, Status

SAMPLES = np.random.default_rng(1).integers(-32768, 32768, RATE, "<i2")
PCM = SAMPLES.tobytes()  # one second
TEXT = "We are open from nine to five, Monday to Friday."


def asked(text: str = TEXT, **fields: Any) -> SpeakRequest:
    return SpeakRequest("CA1/1.0.0", text, **fields)


def ms(piece: Speech) -> float:
    return len(piece.audio) * 1000 / piece.rate


async def spoken(server: Server, *script: Any, request: SpeakRequest | None = None) -> list[Speech]:
    server.script("tts", script)
    voice = OpenAISynthesizer(server.settings())
    try:
        return [piece async for piece in voice.speak(request or asked())]
    finally:
        await voice.close()


@pytest.mark.parametrize("size", [1, 7, 999, 4800, 20_001, len(PCM)])
async def test_audio_comes_whole_in_pieces_of_200_ms_however_it_was_sent(server: Server, size: int) -> None:
    count = 40 * size if size < 100 else len(PCM)
    sent = PCM[: count // 2 * 2]
    pieces = await spoken(server, *(sent[start : start + size] for start in range(0, len(sent), size)))
    audio = np.concatenate([piece.audio for piece in pieces])
    assert audio.dtype == np.float32
    assert np.array_equal(np.round(audio * 32768).astype(np.int16), SAMPLES[: len(sent) // 2])
    assert all(piece.rate == RATE for piece in pieces)
    assert all(ms(piece) == 200 for piece in pieces[:-1])
    assert 0 < ms(pieces[-1]) < 240
    assert [word.text for piece in pieces for word in piece.words] == TEXT.split()
    for piece in pieces:
        times = [time for word in piece.words for time in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert not times or (times[0] >= 0 and times[-1] <= ms(piece))


async def test_speech_begins_before_the_server_has_said_all(server: Server) -> None:
    more = asyncio.Event()
    server.script("tts", [PCM[: PIECE + LAST], more, PCM])
    voice = OpenAISynthesizer(server.settings())
    async with aclosing(voice.speak(asked())) as pieces:
        assert ms(await anext(pieces)) == 200
        more.set()
        assert len([piece async for piece in pieces]) == 6
    await voice.close()


async def test_the_request_names_voice_speed_and_format(server: Server) -> None:
    await spoken(server, PCM)
    await spoken(server, PCM, request=asked("Hi.", voice="hm_omega", speed=1.25))
    usual = {"model": "tts", "input": TEXT, "voice": "alloy", "response_format": "pcm", "stream_format": "audio"}
    assert server.asked[0].body == usual
    assert server.asked[1].body == usual | {"input": "Hi.", "voice": "hm_omega", "speed": 1.25}


async def test_the_last_word_ends_with_the_audio(server: Server) -> None:
    pieces = await spoken(server, PCM, request=asked("Good bye."))
    assert pieces[-1].words[-1].text == "bye."
    assert pieces[-1].words[-1].end_ms == ms(pieces[-1])


async def test_the_pace_of_a_voice_is_learnt(server: Server) -> None:
    """The words of a slow voice: at first far too early, later where they are."""
    text = " ".join(["abcd"] * 10)
    server.script("tts", [PCM * 5])  # 500 ms a word
    voice = OpenAISynthesizer(server.settings())

    async def third_word_ends_ms() -> float:
        at, ends = 0.0, []
        async for piece in voice.speak(asked(text, voice="slow")):
            ends += [at + word.end_ms for word in piece.words]
            at += ms(piece)
        return ends[2]

    assert await third_word_ends_ms() < 1100
    for _ in range(8):
        await third_word_ends_ms()
    assert await third_word_ends_ms() == pytest.approx(1500, abs=20)
    await voice.close()


async def test_half_a_sample_at_the_end_is_dropped(server: Server) -> None:
    (piece,) = await spoken(server, PCM[:1001])
    assert len(piece.audio) == 500


async def test_no_audio_is_an_error_unless_there_was_nothing_to_say(server: Server) -> None:
    assert await spoken(server, b"", request=asked("… —")) == []
    with pytest.raises(EngineError, match="sent no audio"):
        await spoken(server, b"", request=asked("Hello."))


@pytest.mark.parametrize("answer", [b"RIFF" + PCM, b'{"error": "no such voice"}'])
async def test_what_is_no_raw_audio_is_not_played(server: Server, answer: bytes) -> None:
    with pytest.raises(EngineError, match="response_format pcm"):
        await spoken(server, answer)


async def test_speech_that_breaks_off_is_an_error_and_before_the_first_sound_tried_again(server: Server) -> None:
    with pytest.raises(EngineError, match="broken off"):
        await spoken(server, PCM, BREAK)
    server.script("tts", [BREAK], [Status(503, "")], [PCM])
    voice = OpenAISynthesizer(server.settings(retries=2))
    assert len([piece async for piece in voice.speak(asked())]) == 5
    await voice.close()


async def test_speech_without_end_is_an_error(server: Server) -> None:
    with pytest.raises(EngineError, match="without end"):
        await spoken(server, *[bytes(1 << 20)] * (MAX_BYTES // (1 << 20) + 2))


async def test_cancel_hangs_up_and_ends_the_speech(server: Server) -> None:
    server.script("tts", [PCM, asyncio.Event()])
    voice = OpenAISynthesizer(server.settings())
    pieces = voice.speak(asked())
    await anext(pieces)
    voice.cancel("unknown")
    voice.cancel(asked().id)
    await server.until(server.asked[0].gone.is_set)
    assert [piece async for piece in pieces] == []
    await voice.close()


async def test_closing_the_generator_hangs_up(server: Server) -> None:
    server.script("tts", [PCM, asyncio.Event()])
    voice = OpenAISynthesizer(server.settings())
    async with aclosing(voice.speak(asked())) as pieces:
        await anext(pieces)
    await server.until(server.asked[0].gone.is_set)
    await voice.close()


async def test_who_takes_nothing_makes_the_server_wait(server: Server) -> None:
    """What waits here is bounded: the socket fills up, and the server cannot send on."""
    server.script("tts", [bytes(1 << 16)] * 400)
    voice = OpenAISynthesizer(server.settings())
    async with aclosing(voice.speak(asked())) as pieces:
        await anext(pieces)
        await asyncio.sleep(0.2)
        assert not server.asked[0].complete
    await voice.close()


async def test_many_chunks_at_once(server: Server) -> None:
    gate = asyncio.Event()
    server.script("tts", *[[gate, (SAMPLES // 2 + number).tobytes()] for number in range(20)])
    voice = OpenAISynthesizer(server.settings())

    async def first_sample(number: int) -> float:
        pieces = [piece async for piece in voice.speak(SpeakRequest(f"CA{number}/1.0.0", TEXT))]
        return round(float(pieces[0].audio[0]) * 32768)

    speaking = [asyncio.create_task(first_sample(number)) for number in range(20)]
    await server.until(lambda: len(server.asked) == 20)
    gate.set()
    firsts = sorted(await asyncio.gather(*speaking))
    assert all(after - before == 1 for before, after in pairwise(firsts))
    await voice.close()


async def test_load_asks_for_the_synthesizers_model(server: Server) -> None:
    voice = OpenAISynthesizer(server.settings(speech_model="other"))
    with pytest.raises(EngineError, match=r"no model 'other'.*speech_model"):
        await voice.load()
    await voice.close()
