"""The bounds of one connection: requests in time, and not too many frames."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

TIMEOUT_S = 0.5
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"status":"ok"}'

Dial = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    return serve(
        {
            "engine.profile": "simulated",
            "engine.simulated.greeting": False,
            "twilio.start_timeout_s": TIMEOUT_S,
            "twilio.max_ahead_s": 2,  # so a burst of 400 frames
        }
    )


async def connect(server: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = server.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_kept_connection_may_rest_between_requests(server: Any) -> None:
    reader, writer = await connect(server)
    for _ in range(2):
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(BODY)
        await asyncio.sleep(1.5 * TIMEOUT_S)
    writer.write(REQUEST * 2)  # pipelined
    await reader.readuntil(BODY)
    await reader.readuntil(BODY)
    writer.close()


@pytest.mark.parametrize(
    "part", [REQUEST[:20], b"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nCall"]
)
async def test_later_request_must_be_whole_in_time_too(server: Any, part: bytes) -> None:
    reader, writer = await connect(server)
    writer.write(REQUEST)
    await reader.readuntil(BODY)
    writer.write(part)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    writer.close()


async def test_slow_request_in_time_is_answered(server: Any) -> None:
    reader, writer = await connect(server)
    for byte in REQUEST:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.2 * TIMEOUT_S / len(REQUEST))
    assert b"200 OK" in await reader.readuntil(BODY)
    writer.close()


async def test_long_form_is_no_long_head(server: Any) -> None:
    reader, writer = await connect(server)
    form = b"CallSid=CA1&x=" + b"x" * 65_000
    for _ in range(3):
        writer.write(b"POST /twilio/status HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(form) + form)
        assert b"204 No Content" in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_burst_of_frames_is_taken_and_more_is_refused(server: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(server.url)
    for _ in range(50):
        await phone.frame()
    for _ in range(300):
        await phone.send({"event": "of no interest"})
    await phone.frame()
    with suppress(ConnectionClosed):  # the server does not wait for what is still on its way
        for _ in range(3000):
            await phone.send({"event": "of no interest"})
    await phone.closed()
    await in_thread(server.wait_for, "socket lost", call=phone.call, code=1008, reason="more than 200 frames a second")
    line = await in_thread(server.wait_for, "ended", call=phone.call)
    assert (line["frames"], line["outcome"]) == (51, "failed")
