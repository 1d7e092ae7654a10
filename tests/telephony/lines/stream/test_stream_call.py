"""One call over a real socket: its limits, its audio both ways, marks, goodbye and barge-in."""

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed

from agent.engine.embedded.synthesizer import say
from agent.tape.file import read_lines
from audio import g711, resample, wav
from audio.tones import tones
from tests.simulated import quick
from tests.waiting import until

LEAD_MS = 240
WORD_MS = 120
WORDS = 10
MARKS = WORDS + 1  # of one reply: at the end of every word, and at its own
SIMULATED = {
    **quick(WORDS, WORD_MS),
    "engine.simulated.word_ms": 0,
    "playout.lead_ms": LEAD_MS,
}

Dial = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    """A server with the usual limits."""
    return serve(SIMULATED)


@pytest.fixture(scope="module")
def taped(serve: Callable[..., Any]) -> Any:
    """A server that keeps tapes."""
    return serve(SIMULATED | {"tape.mode": "full"})


@pytest.fixture(scope="module")
def strict(serve: Callable[..., Any]) -> Any:
    """A server whose limits are soon reached; its calls say nothing unless asked."""
    limits = {
        "twilio.start_timeout_s": 2,
        "twilio.media_timeout_s": 2,
        "twilio.max_ahead_s": 2,
        "twilio.max_gap_ms": 1000,
        "playout.mark_grace_ms": 400,
        "playout.lead_ms": 3_600_000,
        "playout.buffer_ms": 3_600_000,
        "engine.simulated.delivery_speed": 10_000,
    }
    return serve(SIMULATED | limits)


@pytest.fixture(scope="module")
def brief(serve: Callable[..., Any]) -> Any:
    """A server that reprompts after a second, once, and whose marks are lost after 300 ms."""
    settings = {
        "turn.reprompt_ms": 1000,
        "turn.max_reprompts": 1,
        "playout.mark_grace_ms": 300,
        "engine.simulated.words": 2,
        "engine.simulated.audio_ms_per_word": 100,
    }
    return serve(SIMULATED | settings)


def on_the_phone(audio: NDArray[np.float32], rate: int) -> bytes:
    """The first half second of speech, as it comes over a telephone line."""
    begin = int(np.argmax(np.abs(audio) > 0.3 * np.abs(audio).max()))
    return g711.encode(resample.to_line(audio[begin : begin + rate // 2], rate))


async def ended(server: Any, phone: Any) -> dict[str, Any]:
    line: dict[str, Any] = await asyncio.to_thread(server.wait_for, "ended", call=phone.call)
    return line


# Limits


async def test_socket_without_start_is_closed(strict: Any, dial: Dial) -> None:
    phone = await dial(strict.url, start=False)
    await phone.send({"event": "connected"})
    assert await phone.closed() == (1008, "no start within 2 s")


async def test_call_without_media_is_closed(strict: Any, dial: Dial) -> None:
    phone = await dial(strict.url)
    assert await phone.closed() == (1008, "no media for 2 s")
    assert (await ended(strict, phone))["outcome"] == "failed"


async def test_media_keeps_a_call_open_and_its_end_does_not(strict: Any, dial: Dial) -> None:
    phone = await dial(strict.url)
    await phone.silence(3000)
    assert phone.frames == 150
    assert await phone.closed() == (1008, "no media for 2 s")
    assert (await ended(strict, phone))["frames"] == 150


async def test_long_message_is_refused(server: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(server.url)
    await phone.get("media")
    await phone.send(phone.media_message(0, b"\xff" * 50_000))
    assert (await phone.closed())[0] == 1009
    await in_thread(server.wait_for, "refused: message longer than 65536 bytes", call=phone.call)


async def test_audio_far_ahead_of_time_is_refused(strict: Any, dial: Dial) -> None:
    phone = await dial(strict.url)
    begin = time.monotonic()
    with suppress(ConnectionClosed):
        while time.monotonic() < begin + 30:
            while phone.frames * 20 < 1000 * (time.monotonic() - begin) + 3000:
                await phone.frame()
            await asyncio.sleep(0.01)  # and read the end
    assert await phone.closed() == (1008, "audio more than 2 s ahead of time")


async def test_audio_slower_than_that_is_welcome(server: Any, dial: Dial) -> None:
    phone = await dial(server.url)
    await phone.silence(2000, speed=4)
    await phone.hang_up()
    line = await ended(server, phone)
    assert (line["frames"], line["gaps"]) == (100, 0)


async def test_peer_that_does_not_read_is_let_go(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    endless = {
        "twilio.send_timeout_s": 0.3,
        "playout.lead_ms": 3_600_000,
        "playout.buffer_ms": 3_600_000,
        "engine.simulated.words": 1000,
        "engine.simulated.audio_ms_per_word": 20_000,
        "engine.simulated.delivery_speed": 10_000,
        "reply.max_chars": 100_000,
    }
    server = await in_thread(serve, SIMULATED | endless)
    # A small window, so that little is lost on the way.
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = server.url.removeprefix("http://").split(":")
    raw.connect((host, int(port)))
    phone = await dial(server.url, sock=raw)
    phone._socket.transport.pause_reading()

    async def noticed() -> bool:
        await phone.frame()
        return any("does not read" in line["message"] for line in server.log)

    await until(noticed)
    assert (await ended(server, phone))["reason"] == "the peer does not read"
    # Nor does the server keep what it can send no more.
    process, ours = psutil.Process(server.process.pid), raw.getsockname()
    await until(lambda: all(connection.raddr != ours for connection in process.net_connections("tcp")))


async def test_longest_call_ends_with_a_goodbye(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    server = await in_thread(serve, SIMULATED | {"call.max_s": 1.5, "engine.simulated.words": 2})
    phone = await dial(server.url)
    phone.hold()
    assert await phone.closed() == (1000, "the agent hung up")
    assert phone.audio_ms() == 2 * 2 * WORD_MS  # greeting and goodbye
    assert await in_thread(server.metric, 'voxline_replies_total{cue="farewell"}') == 1


# The caller's audio


async def test_a_gap_is_on_the_tape(taped: Any, dial: Dial) -> None:
    phone = await dial(taped.url)
    for number in (0, 1, 4):
        await phone.send(phone.media_message(20 * number, chunk=number + 1))
    await phone.hang_up()
    await ended(taped, phone)
    folder = taped.data / "tapes"
    await until(lambda: list(folder.glob(f"*{phone.call}*.gz")))
    (tape,) = folder.glob(f"*{phone.call}*.gz")
    notes = [json.loads(line) for line in read_lines(tape)]
    assert [note["ms"] for note in notes if note.get("in") == "gap"] == [40]


async def test_gaps_duplicates_late_frames_and_bursts_are_counted(server: Any, dial: Dial, in_thread: Dial) -> None:
    names = ["voxline_frames", "voxline_gaps", "voxline_frames_duplicate", "voxline_frames_late"]
    names += ["voxline_gap_milliseconds", "voxline_events_unknown"]
    before = {name: await in_thread(server.metric, name + "_total") for name in names}
    phone = await dial(server.url)
    await phone.get("media")
    for number in (0, 1, 1, 2, 5, 4, 6):  # a duplicate, a gap of two frames, one of which comes late
        await phone.send(phone.media_message(20 * number, chunk=number + 1))
    await asyncio.gather(*(phone.send(phone.media_message(20 * number, chunk=number + 1)) for number in range(7, 17)))
    await phone.send({"event": "something new", "streamSid": phone.stream})
    await phone.get("mark", 3)  # the call goes on
    after = {name: await in_thread(server.metric, name + "_total") for name in names}
    assert [after[name] - before[name] for name in names] == [15, 1, 1, 1, 40, 1]
    await phone.hang_up()
    line = await ended(server, phone)
    assert (line["frames"], line["gaps"], line["duplicates"]) == (15, 1, 1)


@pytest.mark.parametrize("size", [1, 80, 161, 8000])
async def test_frames_of_any_size_are_taken(server: Any, dial: Dial, size: int) -> None:
    phone = await dial(server.url)
    for number in range(5):
        await phone.send(phone.media_message(number * size // 8, b"\xff" * size, chunk=number + 1))
    await phone.hang_up()
    line = await ended(server, phone)
    assert (line["frames"], line["gaps"]) == (5, 0)


async def test_keys_reach_the_agent(server: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(server.url)
    phone.hold()
    await phone.get("mark", MARKS)
    await phone.press("42#")
    await phone.get("mark", 2 * MARKS)
    line = await in_thread(server.wait_for, "said", call=phone.call, role="caller")
    assert line["text"] == "42"
    await phone.release()
    await phone.hang_up()


async def test_keys_as_tones_reach_the_agent(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    """From old exchanges, of whose keys no message tells."""
    server = await in_thread(serve, SIMULATED | {"call.key_tones": "always"})
    phone = await dial(server.url)
    phone.hold()
    await phone.get("mark", MARKS)
    phone.say(g711.encode(tones("47#")))
    line = await in_thread(server.wait_for, "said", call=phone.call, role="caller")
    assert line["text"] == "47"
    await phone.release()
    await phone.hang_up()


# What the caller hears


async def test_greeting_begins_at_once_and_is_never_far_ahead(server: Any, dial: Dial) -> None:
    phone = await dial(server.url)
    await phone.get("media")  # before anything was heard of the caller
    phone.hold()
    await phone.get("mark", WORDS)
    handed_over = 0.0
    for message in phone.received:
        handed_over += message.get("ms", 0)
        # The server cannot have begun before `start` was sent, so this never says more than there was.
        assert handed_over - 1000 * (message["at"] - phone.started_at) <= LEAD_MS
    await phone.get("mark", MARKS)
    audio = b"".join(phone.audio)
    words = [audio[at : at + WORD_MS * 8] for at in range(0, len(audio), WORD_MS * 8)]
    assert words == [words[0]] * WORDS  # the same hum every time: nothing lost, nothing twice
    await phone.release()
    await phone.hang_up()


async def test_marks_stand_where_words_end(server: Any, dial: Dial) -> None:
    phone = await dial(server.url, marks="at once")
    await phone.get("mark", MARKS)
    sent, places = 0.0, []
    for message in phone.received:
        sent += message.get("ms", 0)
        if message["event"] == "mark":
            places.append((message["mark"]["name"], sent))
    ends = [number * WORD_MS + 0.8 * WORD_MS for number in range(WORDS)]
    names = [f"1.0.{round(end * 8)}" for end in ends[:-1]]
    assert [name for name, _ in places[: WORDS - 1]] == names
    for (_, place), end in zip(places, ends, strict=False):
        assert end <= place <= end + 80  # at most a block later
    await phone.hang_up()


async def test_silence_after_a_finished_reply_is_asked_about_and_then_ended(brief: Any, dial: Dial) -> None:
    phone = await dial(brief.url)
    phone.hold(speed=3)
    assert await phone.closed() == (1000, "the agent hung up")
    assert phone.audio_ms() == 3 * 2 * 100  # greeting, reprompt, goodbye
    assert time.monotonic() >= phone.plays_until  # the goodbye was heard to its end
    assert (await ended(brief, phone))["outcome"] == "hangup"
    said = [line for line in brief.log if line["message"] == "said" and line["call"] == phone.call]
    assert [line["interrupted"] for line in said] == [False] * 3


async def test_without_marks_the_goodbye_is_waited_for_until_they_must_be_lost(brief: Any, dial: Dial) -> None:
    phone = await dial(brief.url, marks="never")
    phone.hold(speed=3)
    assert await phone.closed() == (1000, "the agent hung up")
    assert time.monotonic() >= phone.plays_until + 0.3  # mark_grace_ms
    assert phone.audio_ms() == 3 * 2 * 100


# Barge-in


@pytest.mark.parametrize("name", ["goforward.wav", "librivox-0880.wav", "cards-1.wav"])
async def test_human_speech_silences_the_agent(server: Any, dial: Dial, speech: Path, name: str) -> None:
    await talk_over(await dial(server.url), server, on_the_phone(*wav.read(speech / name)))


async def test_synthetic_speech_silences_the_agent(server: Any, dial: Dial) -> None:
    await talk_over(await dial(server.url), server, on_the_phone(*say("wait a moment please")))


async def talk_over(phone: Any, server: Any, words: bytes) -> None:
    """Interrupt the greeting: silence at once, nothing more of it, and only what was heard is remembered."""
    phone.hold()
    await phone.heard(2)
    phone.say(words)
    clear = await phone.get("clear")
    before = phone.received.index(clear)
    marks = sum(message["event"] == "mark" for message in phone.received)
    await phone.get("mark", marks + 1)
    fade, *after = phone.received[before + 1 :]
    assert (fade["event"], fade["ms"]) == ("media", 20)
    assert {message["event"] for message in after} == {"media", "mark"}
    assert after[0]["at"] - clear["at"] > 0.2  # silence until the turn is over, and the answer to it
    assert all(not message["mark"]["name"].startswith("1.") for message in after if message["event"] == "mark")

    line = await asyncio.to_thread(server.wait_for, "said", call=phone.call, interrupted=True)
    heard = line["text"].split()
    assert heard == [f"word{number}" for number in range(1, len(heard) + 1)]
    # Words whose marks the phone had returned before `clear`; one may have been on its way.
    assert 2 <= len(heard) <= sum(at < clear["at"] for at, _ in phone.returned) + 1
    assert len(heard) < WORDS
    await phone.release()
    await phone.hang_up()


async def test_key_interrupts_like_speech(server: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(server.url)
    phone.hold()
    await phone.heard(2)
    await phone.press("7")
    await phone.get("clear")
    line = await in_thread(server.wait_for, "said", call=phone.call, interrupted=True)
    assert 2 <= len(line["text"].split()) < WORDS
    await phone.release()
    await phone.hang_up()


async def test_cut_history_is_exactly_what_the_marks_tell(server: Any, dial: Dial, in_thread: Dial) -> None:
    """Marks are returned by hand here, so that what was heard is known to the word."""
    phone = await dial(server.url, marks="never")
    names = [(await phone.get("mark", number))["mark"]["name"] for number in (1, 2, 3)]
    for name in names[:2]:
        await phone.return_mark(name)
    await phone.press("1")
    await phone.get("clear")
    for name in names[2:]:  # `clear` returns what is outstanding; that was not heard
        await phone.return_mark(name)
    line = await in_thread(server.wait_for, "said", call=phone.call, interrupted=True)
    assert line["text"] == "word1 word2"
    await phone.hang_up()
