"""Malformed, hostile and absurd connections, all at once, while a call goes on that must not notice."""

import asyncio
import base64
import json
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telephony.lines.exceptions import ProtocolError
from telephony.lines.stream.protocol import Stopped
from telephony.lines.twilio.protocol import MediaStream
from tests.simulated import quick
from tests.waiting import until

CAPACITY = 60
TIMEOUT_S = 3  # for start, media and requests; peers that do what they should are slow where all are attacked at once
SETTINGS = {
    **quick(words=100, word_ms=200),
    "engine.simulated.word_ms": 0,
    "call.capacity": CAPACITY,
    "twilio.start_timeout_s": TIMEOUT_S,
    "twilio.media_timeout_s": 2 * TIMEOUT_S,
    # More than usual, because the machine that runs tests is busy with them; a server that stands still would show.
    "playout.lead_ms": 1500,
}
GROWTH = 64 << 20  # bytes of memory that so many hostile connections may cost for good

Dial = Callable[..., Awaitable[Any]]
Outcome = tuple[int, str]  # a WebSocket close code and its reason, or an HTTP status; 0: closed without a word
RESET: Outcome = (0, "")

TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9
HANDSHAKE = (
    "GET /twilio/media HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(
    payload: str | bytes, opcode: int = TEXT, *, fin: bool = True, masked: bool = True, claimed: int = 0
) -> bytes:
    """A WebSocket frame of a client; `claimed` is a length that is not true."""
    data = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    length, mask = claimed or len(data), 0x80 if masked else 0
    head = bytes([fin << 7 | opcode])
    if length < 126:
        head += bytes([mask | length])
    elif length < 1 << 16:
        head += bytes([mask | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask | 127]) + struct.pack("!Q", length)
    return head + (b"\0\0\0\0" if masked else b"") + data


class Peer:
    """A connection by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        self.call = "CA-" + name.replace(" ", "-")
        self._stream = "MZ-" + name.replace(" ", "-")
        self._reader = reader
        self._writer = writer

    async def write(self, data: bytes) -> None:
        """Send raw bytes; that the server has gone meanwhile is no error."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            pass

    async def upgrade(self, head: str = HANDSHAKE) -> bytes:
        """Open the WebSocket; gives the status line."""
        await self.write(head.encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        return answer.split(b"\r\n")[0]

    async def send(self, *messages: str | dict[str, Any]) -> None:
        """Send text messages."""
        for message in messages:
            await self.write(frame(message if isinstance(message, str) else json.dumps(message)))

    async def start(self, **body: Any) -> None:
        """Open the WebSocket and send `start`."""
        await self.upgrade()
        await self.send(self.start_message(**body))

    def start_message(self, **body: Any) -> dict[str, Any]:
        return {"event": "start", "streamSid": self._stream, "start": {"callSid": self.call, **body}}

    def media(self, timestamp: object = 0, payload: str = "/////w==", **message: Any) -> dict[str, Any]:
        body = {"timestamp": timestamp, "payload": payload}
        return {"event": "media", "streamSid": self._stream, "media": body} | message

    def event(self, event: str, **body: Any) -> dict[str, Any]:
        return {"event": event, "streamSid": self._stream, event: body}

    async def status(self) -> Outcome:
        """Read an HTTP answer to the end of the connection."""
        try:
            answer = await self._reader.read()
        except ConnectionError:
            return RESET
        head, _, body = answer.partition(b"\r\n\r\n")
        return (int(head.split()[1]), body.decode()) if head else RESET

    async def code(self) -> Outcome:
        """Read frames up to the one that closes, and answer it."""
        try:
            while True:
                first, length = await self._reader.readexactly(2)
                if length == 126:
                    length = int.from_bytes(await self._reader.readexactly(2), "big")
                elif length == 127:
                    length = int.from_bytes(await self._reader.readexactly(8), "big")
                payload = await self._reader.readexactly(length)
                if first & 15 == CLOSE:
                    await self.write(frame(payload, CLOSE))
                    return int.from_bytes(payload[:2], "big"), payload[2:].decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return RESET

    def reset(self) -> None:
        """Break the connection off."""
        plain = self._writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def end(self) -> None:
        """Send the end of the stream, and go on reading."""
        self._writer.write_eof()

    async def close(self) -> None:
        """Let go of it."""
        self._writer.transport.abort()


Attack = Callable[[Peer], Awaitable[Outcome]]


class Case(NamedTuple):
    """An attack, what becomes of it, and what the log says; `called`: with the call's id."""

    attack: Attack
    code: int
    reason: str
    logged: str = ""
    called: bool = False


def raw(*pieces: bytes, pause_s: float = 0) -> Attack:
    """Bytes on the port."""

    async def attack(peer: Peer) -> Outcome:
        async def send() -> None:
            for piece in pieces:
                await peer.write(piece)
                await asyncio.sleep(pause_s)

        sending = asyncio.create_task(send())
        outcome = await peer.status()
        sending.cancel()
        return outcome

    return attack


def upgraded(head: str) -> Attack:
    """A handshake that is wrong."""
    return raw(head.encode())


def frames(*data: bytes) -> Attack:
    """Raw frames after a good handshake."""

    async def attack(peer: Peer) -> Outcome:
        await peer.upgrade()
        for piece in data:
            await peer.write(piece)
        return await peer.code()

    return attack


def texts(*messages: str) -> Attack:
    """Text messages in place of `start`."""
    return frames(*map(frame, messages))


def started(*make: Callable[[Peer], dict[str, Any] | str | bytes], **body: Any) -> Attack:
    """Messages (or, as bytes, raw frames) after `start`."""

    async def attack(peer: Peer) -> Outcome:
        await peer.start(**body)
        for each in make:
            message = each(peer)
            await (peer.write(message) if isinstance(message, bytes) else peer.send(message))
        return await peer.code()

    return attack


def flood(make: Callable[[Peer], bytes], times: int = 50) -> Attack:
    """The same bytes again and again until the server has enough."""

    async def attack(peer: Peer) -> Outcome:
        await peer.start()
        data = make(peer)

        async def send() -> None:
            for _ in range(times):
                await peer.write(data)
                await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        outcome = await peer.code()
        sending.cancel()
        return outcome

    return attack


async def close_at_once(peer: Peer) -> Outcome:
    await peer.close()
    return RESET


async def reset_at_once(peer: Peer) -> Outcome:
    peer.reset()
    return RESET


async def reset_in_a_call(peer: Peer) -> Outcome:
    await peer.start()
    await peer.send(peer.media())
    peer.reset()
    return RESET


async def end_in_a_call(peer: Peer) -> Outcome:
    await peer.start()
    peer.end()
    return await peer.code()


async def reset_in_a_form(peer: Peer) -> Outcome:
    await peer.write(b"POST /twilio/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nCallSid=")
    await asyncio.sleep(0.1)
    peer.reset()
    return RESET


def js(message: object) -> bytes:
    return frame(json.dumps(message))


def dribble(text: str) -> bytes:
    """A text message, a byte a frame."""
    data = text.encode()
    first = frame(data[:1], TEXT, fin=False)
    middle = b"".join(frame(data[at : at + 1], CONTINUATION, fin=False) for at in range(1, len(data)))
    return first + middle + frame(b"", CONTINUATION)


def with_header(line: str) -> str:
    return HANDSHAKE.replace("\r\n\r\n", f"\r\n{line}\r\n\r\n")


SIX_SECONDS = base64.b64encode(bytes(48_000)).decode()
NOISE = random.Random(7).randbytes(4096)
TLS_HELLO = bytes.fromhex("160301020001fc0303") + NOISE[:507]
HEADERS = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
SLOW = f"no whole request within {TIMEOUT_S} s"
FLOODED = "more than 200 frames a second"
AHEAD = "audio more than 10 s ahead of time"
MANY_BYTES = "more than 65536 bytes besides a body"
FORM = b"POST /twilio/voice HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
INVALID = "not HTTP: "

CASES: dict[str, Case] = {
    # On the port
    "random bytes": Case(raw(NOISE), 400, INVALID, INVALID),
    "zeros": Case(raw(bytes(1000)), 400, INVALID, INVALID),
    "TLS hello": Case(raw(TLS_HELLO), 400, INVALID, INVALID),
    "another protocol": Case(raw(b"SSH-2.0-OpenSSH_9.6\r\n"), 400, INVALID, INVALID),
    "never sends": Case(raw(), 408, "", SLOW),
    "half a request": Case(raw(HEADERS), 408, "", SLOW),
    "slow headers": Case(raw(HEADERS, *[b"X: y\r\n"] * 40, pause_s=0.1), 408, "", SLOW),
    "half a form": Case(
        raw(b"POST /twilio/voice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nCallSid="), 408, "", SLOW
    ),
    "endless header": Case(raw(HEADERS + b"X: ", *[b"x" * 30_000] * 10), 431, "", MANY_BYTES),
    "endless url": Case(raw(b"GET /", *[b"x" * 30_000] * 10), 431, "", MANY_BYTES),
    "endless form": Case(
        raw(
            FORM + b"999999999\r\n\r\n",
            *[b"x=1&" * 9000] * 4,
        ),
        413,
        "a form longer than 65536 bytes",
        "a form longer than 65536 bytes",
    ),
    "form breaks off": Case(reset_in_a_form, *RESET, "a request that broke off"),
    "closes at once": Case(close_at_once, *RESET),
    "resets at once": Case(reset_at_once, *RESET),
    # The handshake
    "no key": Case(upgraded(HANDSHAKE.replace("Sec-WebSocket-Key", "X")), 400, "missing Sec-WebSocket-Key", "missing"),
    "bad key": Case(upgraded(HANDSHAKE.replace("dGhl", "!")), 400, "invalid Sec-WebSocket-Key", "invalid"),
    "old version": Case(upgraded(HANDSHAKE.replace("13", "8")), 400, "invalid", "invalid Sec-WebSocket-Version"),
    "other path": Case(upgraded(HANDSHAKE.replace("/twilio/media", "/twilio")), 404, "no socket", "there is no socket"),
    "not websocket": Case(upgraded(HANDSHAKE.replace("websocket", "h2c")), 404, "", "there is nothing at this path"),
    "long header": Case(
        upgraded(with_header("X: " + "x" * 9000)), 431, "no more than 8192 bytes", "no more than 8192 bytes"
    ),
    "many headers": Case(
        upgraded(with_header("\r\n".join(["X: y"] * 500))), 431, "more than 128 headers", "more than 128 headers"
    ),
    # Frames
    "noise in frames": Case(frames(NOISE), 1002, "", "socket lost"),
    "unmasked": Case(frames(frame("{}", masked=False)), 1002, "incorrect masking", "socket lost"),
    "reserved bits": Case(frames(b"\xf1\x80\0\0\0\0"), 1002, "reserved bits must be 0", "socket lost"),
    "reserved opcode": Case(frames(frame("", 11)), 1002, "invalid opcode", "socket lost"),
    "long ping": Case(frames(frame(b"x" * 126, PING)), 1002, "control frame too long", "socket lost"),
    "fragment of nothing": Case(frames(frame("", CONTINUATION)), 1002, "unexpected continuation", "socket lost"),
    "half a close": Case(frames(frame(b"\x03", CLOSE)), 1002, "close frame too short", "socket lost"),
    "claims too much": Case(frames(frame(b"", claimed=1 << 62)), 1009, "", "message longer than 65536 bytes"),
    "long message": Case(frames(frame("x" * 70_000)), 1009, "", "message longer than 65536 bytes"),
    "long fragments": Case(
        frames(frame("x" * 999, fin=False), *[frame("x" * 999, CONTINUATION, fin=False)] * 70),
        1009,
        "",
        "message longer",
    ),
    "no UTF-8": Case(started(lambda peer: frame(b'{"event":"\xff\xfe"}')), 1007, "", "socket lost", called=True),
    "ping flood": Case(flood(lambda peer: frame(b"", PING) * 1000), 1008, FLOODED, "socket lost", called=True),
    "fragment flood": Case(
        flood(lambda peer: frame("{", fin=False) + frame(b"", CONTINUATION, fin=False) * 5000, 1),
        1008,
        FLOODED,
        "socket lost",
        called=True,
    ),
    # Messages
    "says nothing": Case(frames(), 1008, f"no start within {TIMEOUT_S} s", "no start within"),
    "binary": Case(frames(frame(b"{}", BINARY)), 1003, "binary message; Media Streams are text", "binary message"),
    "no JSON": Case(texts("hello"), 1007, "no Media Streams message", "no Media Streams message"),
    "no object": Case(texts("[1, 2]"), 1007, "no Media Streams message", "no Media Streams message"),
    "no event": Case(texts("{}"), 1007, "no Media Streams message", "no Media Streams message"),
    "deep JSON": Case(texts("[" * 60_000), 1007, "no Media Streams message", "no Media Streams message"),
    "deep JSON in a start": Case(
        texts('{"event":"start","x":' + '{"x":' * 12_000 + "1"), 1007, "", "JSON is nested too deeply"
    ),
    "half a character": Case(texts('{"event": "\\ud800"}', "{"), 1007, "", "no Media Streams message"),
    "media first": Case(
        texts('{"event":"media","streamSid":"MZ","media":{"payload":"/w==","timestamp":0}}'),
        1008,
        "media before start",
        "media before start",
    ),
    "evil call id": Case(
        texts('{"event":"start","streamSid":"MZ","start":{"callSid":"../../etc/passwd"}}'),
        1007,
        "bad start message",
        "bad start",
    ),
    "wrong rate": Case(
        started(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1}),
        1003,
        "media format is audio/x-mulaw, 16000 Hz, 1 ch",
        "media format is",
    ),
    "second start": Case(started(Peer.start_message), 1008, "second start", "second start", called=True),
    "connected later": Case(
        started(lambda peer: {"event": "connected"}), 1008, "connected after start", "", called=True
    ),
    "foreign stream": Case(
        started(lambda peer: peer.media(streamSid="MZ-other")), 1008, "media of another stream", "media of", called=True
    ),
    "bad base64": Case(
        started(lambda peer: peer.media(payload="*")), 1007, "bad media message", "bad media", called=True
    ),
    "empty payload": Case(started(lambda peer: peer.media(payload="")), 1007, "the payload is empty", "", called=True),
    "negative time": Case(started(lambda peer: peer.media(-20)), 1007, "bad media message", "bad media", called=True),
    "no time": Case(started(lambda peer: peer.media(float("nan"))), 1007, "", "Media Streams message", called=True),
    "huge time": Case(started(lambda peer: peer.media(10**400)), 1007, "", "message", called=True),
    "huge exponent": Case(
        started(lambda peer: json.dumps(peer.media("@")).replace('"@"', "1e999")), 1007, "", "message", called=True
    ),
    "bad key pressed": Case(
        started(lambda peer: peer.event("dtmf", digit="12")), 1007, "bad dtmf", "bad dtmf", called=True
    ),
    "no media": Case(started(), 1008, f"no media for {2 * TIMEOUT_S} s", "no media for", called=True),
    "resets in a call": Case(reset_in_a_call, *RESET, "socket lost", called=True),
    "ends in a call": Case(end_in_a_call, *RESET, "socket lost", called=True),
    # Too much of it
    "unknown events": Case(flood(lambda peer: frame('{"event":"?"}') * 500), 1008, FLOODED, "socket lost", called=True),
    "key flood": Case(
        flood(lambda peer: (js(peer.event("dtmf", digit="1")) + js(peer.event("dtmf", digit="#"))) * 100),
        1008,
        FLOODED,
        "socket lost",
        called=True,
    ),
    "mark flood": Case(
        flood(lambda peer: js(peer.event("mark", name="never sent")) * 300), 1008, FLOODED, "socket lost", called=True
    ),
    "hours ahead": Case(
        started(*[lambda peer, hour=hour: peer.media(hour * 3_600_000) for hour in range(4)]),
        1008,
        AHEAD,
        AHEAD,
        called=True,
    ),
    "much audio": Case(
        started(*[lambda peer, at=at: peer.media(at, SIX_SECONDS) for at in range(0, 24_000, 6000)]),
        1008,
        AHEAD,
        AHEAD,
        called=True,
    ),
    # Odd, but no fault
    "dribbled start": Case(
        frames(
            dribble('{"event":"start","streamSid":"MZ-dribble","start":{"callSid":"CA-dribbled-start"}}'),
            frame('{"event":"stop","streamSid":"MZ-dribble"}'),
        ),
        1000,
        "the caller hung up",
        "ended",
        called=True,
    ),
    "marks never sent": Case(
        started(*[lambda peer: peer.event("mark", name="x" * 30_000)] * 20, lambda peer: peer.event("stop")),
        1000,
        "the caller hung up",
        "ended",
        called=True,
    ),
    "time runs back": Case(
        started(*[lambda peer, ms=ms: peer.media(ms) for ms in range(4000, 0, -100)], lambda peer: peer.event("stop")),
        1000,
        "the caller hung up",
        "ended",
        called=True,
    ),
    "stop twice": Case(
        started(*[lambda peer: peer.event("stop")] * 2), 1000, "the caller hung up", "ended", called=True
    ),
}


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    return serve(SETTINGS)


async def connect(server: Any, name: str) -> Peer:
    host, port = server.url.removeprefix("http://").split(":")
    return Peer(*await asyncio.open_connection(host, int(port)), name)


async def attack(server: Any, name: str, case: Case) -> tuple[str, Outcome]:
    peer = await connect(server, name)
    try:
        async with asyncio.timeout(20):
            return name, await case.attack(peer)
    except TimeoutError:
        return name, (-1, "nothing happened")
    finally:
        await peer.close()


def wrong(name: str, outcome: Outcome) -> str:
    """What is wrong with an outcome; nothing if it is right.

    More may be on its way when the server closes, and then its last word is lost to a reset.
    """
    case = CASES[name]
    code, reason = outcome
    if code == case.code and case.reason in reason:
        return ""
    if outcome == RESET and (
        case.reason == FLOODED or name in ("slow headers", "endless header", "endless url", "endless form")
    ):
        return ""
    return f"{name}: {outcome}, not {case.code} {case.reason!r}"


def unlogged(server: Any, name: str) -> bool:
    """Whether the log lacks the line that tells of a case."""
    case = CASES[name]
    call = "CA-" + name.replace(" ", "-")
    return not any(
        case.logged in line["message"] and (not case.called or line.get("call") == call) for line in list(server.log)
    )


async def healthy(server: Any) -> None:
    """Wait until the server has all its places again."""
    async with httpx.AsyncClient(base_url=server.url) as client:

        async def ready() -> bool:
            body: object = (await client.get("/readyz")).json()
            return body == {"status": "ready", "active": 0, "free": CAPACITY}

        await until(ready)


async def test_call_in_progress_notices_nothing_of_any_attack(server: Any, dial: Dial, in_thread: Dial) -> None:
    process = psutil.Process(server.process.pid)
    phone = await dial(server.url)
    phone.hold()
    await phone.heard(3)
    memory = process.memory_info().rss

    outcomes = await asyncio.gather(*(attack(server, name, case) for name, case in CASES.items()))
    assert len(outcomes) >= 40
    mistakes = [text for text in (wrong(name, outcome) for name, outcome in outcomes) if text]
    assert not mistakes, "\n".join(mistakes)

    # The conversation goes on: the agent is still speaking, can be interrupted, and answers.
    heard = len(phone.returned)
    await phone.heard(heard + 2)
    await phone.press("1#")
    await phone.get("clear")
    marks = sum(message["event"] == "mark" for message in phone.received)
    await phone.get("mark", marks + 2)
    await phone.release()
    await phone.hang_up()
    line = await in_thread(server.wait_for, "ended", call=phone.call)
    assert (line["frames"], line["gaps"], line["duplicates"]) == (phone.frames, 0, 0)
    assert line["underruns"] <= 2  # where this machine itself has no time

    await healthy(server)
    assert [name for name in CASES if unlogged(server, name)] == []
    assert not any("exc_info" in entry for entry in server.log if "Invalid UTF-8" not in entry["message"])
    assert len(server.other_output) == 1  # that nobody is checked; no traceback anywhere
    assert process.memory_info().rss - memory < GROWTH
    assert await in_thread(server.metric, "voxline_calls_active") == 0


# Whatever a peer sends: the protocol, which is tested by itself, says what must come of it.

SID = st.sampled_from(["MZ-any", "MZ-other", ""])
NUMBER = st.one_of(st.integers(-5, 200), st.sampled_from([10**9, 2**53, 2**64, 1.5, "40", "x", None]))
PAYLOAD = st.one_of(st.binary(max_size=400).map(lambda data: base64.b64encode(data).decode()), st.text(max_size=8))
DIGIT = st.sampled_from([*"0123456789*#ABCD", "", "12", "E"])
MESSAGE = st.one_of(
    st.builds(lambda: {"event": "connected"}),
    st.builds(lambda sid: {"event": "start", "streamSid": sid, "start": {"callSid": "CA-any"}}, SID),
    st.builds(
        lambda sid, at, chunk, payload: {
            "event": "media",
            "streamSid": sid,
            "media": {"timestamp": at, "chunk": chunk, "payload": payload},
        },
        SID,
        NUMBER,
        NUMBER,
        PAYLOAD,
    ),
    st.builds(lambda sid, digit: {"event": "dtmf", "streamSid": sid, "dtmf": {"digit": digit}}, SID, DIGIT),
    st.builds(lambda sid, name: {"event": "mark", "streamSid": sid, "mark": {"name": name}}, SID, st.text(max_size=9)),
    st.builds(lambda sid: {"event": "stop", "streamSid": sid}, SID),
    st.builds(lambda event: {"event": event}, st.text(max_size=9)),
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)),
)
GOOD_START = {"event": "start", "streamSid": "MZ-any", "start": {"callSid": "CA-any"}}
CONVERSATION = st.lists(MESSAGE, max_size=12) | st.lists(MESSAGE, max_size=12).map(lambda rest: [GOOD_START, *rest])


def expected(messages: list[str]) -> Outcome:
    """What the protocol by itself says to these messages, followed by nothing."""
    stream = MediaStream()
    accepted = False
    for text in messages:
        try:
            event = stream.receive(text)
        except ProtocolError as error:
            return error.code, error.reason
        if isinstance(event, Stopped):
            return 1000, "the caller hung up"
        accepted = accepted or event is not None
    return (1008, f"no media for {2 * TIMEOUT_S} s") if accepted else (1008, f"no start within {TIMEOUT_S} s")


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(conversations=st.lists(CONVERSATION, min_size=40, max_size=40))
async def test_any_messages_end_as_the_protocol_says(server: Any, conversations: list[list[Any]]) -> None:
    async def converse(number: int, messages: list[Any]) -> tuple[Outcome, Outcome]:
        texts = [json.dumps(message).replace("CA-any", f"CA-any-{number}") for message in messages]
        peer = await connect(server, f"any {number}")
        try:
            async with asyncio.timeout(20):
                await peer.upgrade()
                await peer.send(*texts)
                return await peer.code(), expected(texts)
        finally:
            await peer.close()

    pairs = await asyncio.gather(*(converse(number, messages) for number, messages in enumerate(conversations)))
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    await healthy(server)
