"""The limits of one HTTP connection: time, bytes, headers, requests in flight, answers that nobody reads."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.settings import load_settings
from telephony.server.app import App
from telephony.server.draining import build_server
from telephony.server.http.connection import (
    MAX_BODY_BYTES,
    MAX_HEADERS,
    MAX_IN_FLIGHT,
    MAX_OVERHEAD_BYTES,
    SPARE_CONNECTIONS,
)
from tests.waiting import running, until

TIMEOUT_S = 0.5
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
REQUEST = HEAD + b"\r\n"
LAST = HEAD + b"Connection: close\r\n\r\n"
BODY = b'{"status":"ok"}'
CHUNKED = b"POST /twilio/status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
MEDIA = b"GET /twilio/media HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"

InThread = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    settings = {"engine.profile": "simulated", "twilio.start_timeout_s": TIMEOUT_S, "twilio.send_timeout_s": TIMEOUT_S}
    return serve(settings)


async def connect(server: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = server.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def answer(server: Any, *pieces: bytes) -> bytes:
    """All that is answered to these bytes until the connection is closed."""
    reader, writer = await connect(server)
    got = b""
    with suppress(ConnectionError):  # it may be closed before all is sent
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
    with suppress(ConnectionError):
        while more := await asyncio.wait_for(reader.read(65_536), 15):
            got += more
    writer.close()
    return got


async def refused(server: Any, since: int, *statuses: int, text: str = "") -> dict[str, Any]:
    """The line that tells of it, among those after the first `since`."""

    def told() -> dict[str, Any] | None:
        for line in list(server.log)[since:]:
            if line["message"].startswith("refused: ") and line["status"] in statuses and text in line["message"]:
                return dict(line)
        return None

    found: dict[str, Any] = await until(told)
    return found


# Time


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
    "part", [REQUEST[:20], b"POST /twilio/voice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nCall"]
)
async def test_later_request_must_be_whole_in_time_too(server: Any, part: bytes) -> None:
    reader, writer = await connect(server)
    writer.write(REQUEST)
    await reader.readuntil(BODY)
    writer.write(part)
    got = await reader.read()
    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in got
    writer.close()


async def test_slow_request_in_time_is_answered(server: Any) -> None:
    reader, writer = await connect(server)
    for piece in (REQUEST[:3], REQUEST[3:-1], REQUEST[-1:]):
        writer.write(piece)
        await asyncio.sleep(0.05 * TIMEOUT_S)
    assert b"200 OK" in await reader.readuntil(BODY)
    writer.close()


# Bytes


async def test_long_form_is_no_long_head(server: Any) -> None:
    reader, writer = await connect(server)
    form = b"CallSid=CA1&x=" + b"x" * 65_000
    for _ in range(3):
        writer.write(CHUNKED + b"%x\r\n" % len(form) + form + b"\r\n0\r\nX-Trailer: 1\r\n\r\n")
        assert b"204 No Content" in await reader.readuntil(b"\r\n\r\n")
    writer.close()


FLOODS = {
    "headers": (HEAD, b"a%d: y\r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"a%d: y\r\n"),
    "trailers of a request that is answered": (
        CHUNKED.replace(b"POST /twilio/status", b"GET /healthz") + b"0\r\n",
        b"a%d: y\r\n",
    ),
    "a header": (HEAD + b"a: ", b"%d"),
    "a header's name": (HEAD, b"a%d"),
    "a trailer": (CHUNKED + b"0\r\na: ", b"%d"),
    "a URL": (b"GET /", b"%d"),
    "a chunk's extension": (CHUNKED + b"1;a=", b"%d"),
    "extensions": (CHUNKED, b"1;a%d=y\r\nx\r\n"),
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n"),
    "a chunk's size": (CHUNKED, b"0"),
    "empty lines": (b"", b"\r\n"),
    "headers of an upgrade": (MEDIA, b"a%d: y\r\n"),
}


@pytest.mark.parametrize("what", FLOODS)
async def test_what_is_no_body_is_bounded(server: Any, what: str) -> None:
    begin, piece = FLOODS[what]
    since = len(server.log)
    memory = psutil.Process(server.process.pid).memory_info
    before = memory().rss
    pieces = [piece.replace(b"%d", b"%d" % number) for number in range(120_000)]
    flood = [b"".join(pieces[n : n + 2000]) for n in range(0, len(pieces), 2000)]
    got = await answer(server, begin, *flood)
    assert memory().rss - before < 8_000_000
    line = await refused(server, since, 431, 400)
    if got and b" 200 OK" not in got:  # it gets lost if it comes while we are still sending
        assert got.startswith(b"HTTP/1.1 %d " % line["status"])
    assert (await answer(server, LAST)).endswith(BODY)


async def test_headers_are_bounded_in_number(server: Any) -> None:
    few = b"".join(b"a%d: y\r\n" % number for number in range(MAX_HEADERS - 2))
    assert (await answer(server, HEAD + few + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    many = b"".join(b"a%d: y\r\n" % number for number in range(MAX_HEADERS))
    assert (await answer(server, HEAD + many + b"\r\n")).startswith(b"HTTP/1.1 431 ")


async def test_a_trailer_is_no_header(server: Any) -> None:
    form = b"CallSid=CA1&CallStatus=ringing"
    whole = CHUNKED.replace(b"Host: localhost\r\n", b"") + b"%x\r\n" % len(form) + form + b"\r\n0\r\n"
    reader, writer = await connect(server)
    writer.write(whole + b"Origin: https://evil.example\r\nHost: evil.example\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
    writer.close()


async def test_a_body_that_nobody_reads_is_bounded(server: Any) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n"
    got = await answer(server, head, *[bytes(65_536)] * (2 * MAX_BODY_BYTES // 65_536))
    assert got.count(b"HTTP/1.1 ") <= 2
    await asyncio.to_thread(server.wait_for, f"refused: a body longer than {MAX_BODY_BYTES} bytes", status=413)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "Invalid method"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "header"),
        (CHUNKED + b"xyz\r\n", "chunk size"),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", ""),
        (b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n", ""),
    ],
)
async def test_what_is_no_http_is_refused_with_one_line_that_says_why(server: Any, sent: bytes, why: str) -> None:
    since = len(server.log)
    got = await answer(server, sent)
    assert got.startswith(b"HTTP/1.1 400 ")
    await refused(server, since, 400, text=why)
    assert [line["logger"] for line in list(server.log)[since:]] == ["voxline.refused"]


async def test_a_form_that_breaks_off_is_told_once(server: Any) -> None:
    since = len(server.log)
    _, writer = await connect(server)
    writer.write(CHUNKED + b"5\r\nCallS\r\n")
    await writer.drain()
    writer.close()
    await refused(server, since, 400, text="a request that broke off")
    await answer(server, LAST)
    assert len(list(server.log)[since:]) == 1


# Requests in flight and answers that nobody reads


async def test_pipelined_requests_are_answered_in_order_up_to_a_bound(server: Any, in_thread: InThread) -> None:
    last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    got = await answer(server, REQUEST * (MAX_IN_FLIGHT - 1) + last)
    assert got.count(b"200 OK") == MAX_IN_FLIGHT - 1
    assert got.rindex(b"404 Not Found") > got.rindex(b"200 OK")
    got = await answer(server, REQUEST * 4000)
    assert got.count(b"HTTP/1.1 ") <= MAX_IN_FLIGHT
    await in_thread(server.wait_for, f"refused: more than {MAX_IN_FLIGHT} requests in flight", status=429)


async def test_an_upgrade_waits_for_no_answer(server: Any, in_thread: InThread) -> None:
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    await answer(server, REQUEST + MEDIA + key)
    await in_thread(server.wait_for, "refused: an upgrade while a request is in flight", status=400)


async def test_an_upgrade_may_follow_an_answer(server: Any) -> None:
    reader, writer = await connect(server)
    writer.write(REQUEST)
    await reader.readuntil(BODY)
    writer.write(MEDIA + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    writer.close()


@pytest.mark.parametrize("between", [b"\r\n", b"x"])
async def test_nothing_keeps_an_answered_connection_open(server: Any, between: bytes) -> None:
    """Neither empty lines nor bytes after an upgrade to an unknown protocol."""
    reader, writer = await connect(server)
    head = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" if between == b"x" else REQUEST
    writer.write(head)
    await reader.readuntil(BODY)
    with suppress(ConnectionError):
        async with asyncio.timeout(15):
            while not reader.at_eof():
                writer.write(between)
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 0.1)
    writer.close()


async def test_answers_that_nobody_reads_end_the_connection(server: Any) -> None:
    process, since = psutil.Process(server.process.pid), len(server.log)
    sockets, before = len(process.net_connections()), process.memory_info().rss
    host, port = server.url.removeprefix("http://").split(":")
    deaf = []
    for _ in range(10):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.connect((host, int(port)))
        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * MAX_IN_FLIGHT)
        deaf.append(one)
    await until(lambda: len(process.net_connections()) <= sockets and len(list(server.log)[since:]) >= len(deaf))
    lines = [line["message"] for line in list(server.log)[since:]]
    assert lines == [f"refused: an answer that is not read within {TIMEOUT_S:g} s"] * len(deaf)
    assert process.memory_info().rss - before < 8_000_000
    for one in deaf:
        one.close()


@pytest.mark.parametrize("how_many", [1, MAX_IN_FLIGHT - 1])
async def test_a_peer_that_leaves_before_its_answers_leaves_no_traceback(server: Any, how_many: int) -> None:
    for _ in range(20):
        _, writer = await connect(server)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * how_many)
        await writer.drain()
        writer.transport.abort()
    assert (await answer(server, LAST)).endswith(BODY)
    assert not [line for line in server.log if line["level"] == "ERROR"]
    assert "Traceback" not in "".join(server.other_output)


async def test_connections_are_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In this process, with a low limit."""
    settings = load_settings(None, {"engine.profile": "simulated", "server.port": 0, "server.data": str(tmp_path)})
    app = App(settings)
    server = build_server(app, settings)
    assert server.config.max_connections == settings.call.capacity + SPARE_CONNECTIONS
    server.config.max_connections = 3
    async with running(server) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in kept:
            writer.write(REQUEST)
        answers = [await reader.readuntil(BODY) for reader, _ in kept]
        assert all(b"200 OK" in told for told in answers)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.read()).endswith(b"more than 3 connections\n")
        assert "refused: more than 3 connections" in caplog.text
        for one in (writer, *(writer for _, writer in kept)):
            one.close()


def test_the_bounds_let_pass_what_twilio_and_proxies_send() -> None:
    assert MAX_OVERHEAD_BYTES >= 16_384
    assert MAX_HEADERS >= 100
