"""A small Media Streams client over a real socket: what Twilio sends, and what it does with messages."""

import asyncio
import base64
import itertools
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.debian import require

FRAME_MS = 20
SILENT_FRAME = b"\xff" * 160  # 20 ms of mu-law
WAIT_S = 15  # for anything a test waits for; far more than it should take

_numbers = itertools.count(1)


class Phone:
    """One call. Audio is mu-law at 8 kHz; `received` holds all messages, each with its time of arrival in `at`."""

    def __init__(self, connection: ClientConnection, marks: Literal["played", "at once", "never"]) -> None:
        number = next(_numbers)
        self.call = f"CA{number:032x}"
        self.stream = f"MZ{number:032x}"
        self.received: list[dict[str, Any]] = []
        self.started_at = 0.0
        self.frames = 0  # sent
        self.audio: list[bytes] = []  # received
        self.plays_until = 0.0  # when all audio received will have been played
        self.returned: list[tuple[float, str]] = []  # marks, each with the time of its return
        self.frames_before_mark = 0  # sent before the last of these
        self._socket = connection
        self._marks = marks
        self._clock_ms = 0
        self._outstanding: list[tuple[float, str]] = []  # marks, and when they will have been played
        self._news = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._play())]
        self._holding: asyncio.Task[None] | None = None
        self._words: list[bytes] = []  # frames to be said, the next one last

    async def start(self, **parameters: str) -> None:
        """Send `connected` and `start`."""
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self.started_at = time.monotonic()
        await self.send(self.start_message(**parameters))

    def start_message(self, **parameters: str) -> dict[str, Any]:
        """What Twilio sends when the stream begins."""
        start = {
            "streamSid": self.stream,
            "accountSid": "AC" + "0" * 32,
            "callSid": self.call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        return {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self.stream}

    def media_message(self, timestamp: int, payload: bytes = SILENT_FRAME, chunk: int = 0) -> dict[str, Any]:
        """One piece of the caller's audio."""
        media = {
            "track": "inbound",
            "chunk": str(chunk or self.frames + 1),
            "timestamp": str(timestamp),
            "payload": base64.b64encode(payload).decode(),
        }
        return {"event": "media", "streamSid": self.stream, "media": media}

    async def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        await self._socket.send(json.dumps(message))

    async def frame(self, payload: bytes = SILENT_FRAME) -> None:
        """Send the next 20 ms."""
        await self.send(self.media_message(self._clock_ms, payload))
        self._clock_ms += FRAME_MS
        self.frames += 1

    async def silence(self, ms: int, speed: float = 1) -> None:
        """Send silence, `speed` times as fast as real time."""
        begin = time.monotonic()
        for number in range(ms // FRAME_MS):
            await self.frame()
            await asyncio.sleep(max(0.0, begin + (number + 1) * FRAME_MS / 1000 / speed - time.monotonic()))

    def hold(self, speed: float = 1) -> None:
        """Send audio from now on, `speed` times as fast as real time: what `say` is given, else silence."""
        self._holding = asyncio.create_task(self._hold(speed))
        self._tasks.append(self._holding)

    async def release(self) -> None:
        """Stop sending audio."""
        assert self._holding
        self._holding.cancel()
        await asyncio.gather(self._holding, return_exceptions=True)

    def say(self, audio: bytes) -> None:
        """Speak while the line is held."""
        frames = [audio[at : at + 160].ljust(160, b"\xff") for at in range(0, len(audio), 160)]
        self._words = frames[::-1]

    async def press(self, digits: str) -> None:
        """Press keys."""
        for digit in digits:
            await self.send({"event": "dtmf", "streamSid": self.stream, "dtmf": {"digit": digit}})

    async def return_mark(self, name: str) -> None:
        """Say that everything before this mark was played."""
        self.returned.append((time.monotonic(), name))
        self.frames_before_mark = self.frames
        self._news.set()
        await self.send({"event": "mark", "streamSid": self.stream, "mark": {"name": name}})

    async def hang_up(self) -> None:
        """Send `stop` and wait for the end."""
        await self.send({"event": "stop", "streamSid": self.stream, "stop": {"callSid": self.call}})
        await self.closed()

    async def get(self, event: str, count: int = 1, timeout_s: float = WAIT_S) -> dict[str, Any]:
        """The count-th message of a kind; waits for it."""

        def found() -> list[dict[str, Any]]:
            return [message for message in self.received if message["event"] == event]

        async with asyncio.timeout(timeout_s):
            while len(found()) < count:
                self._news.clear()
                await self._news.wait()
        return found()[count - 1]

    async def heard(self, marks: int, timeout_s: float = WAIT_S) -> None:
        """Wait until this many marks were returned."""
        async with asyncio.timeout(timeout_s):
            while len(self.returned) < marks:
                self._news.clear()
                await self._news.wait()

    async def closed(self, timeout_s: float = WAIT_S) -> tuple[int, str]:
        """Wait until the server closes the socket; returns code and reason."""
        async with asyncio.timeout(timeout_s):
            await self._socket.wait_closed()
        return self._socket.close_code or 1006, self._socket.close_reason or ""

    def audio_ms(self) -> float:
        """All audio received so far."""
        return sum(message["ms"] for message in self.received if message["event"] == "media")

    async def drop(self) -> None:
        """End everything on this side."""
        for task in self._tasks:
            task.cancel()
        self._socket.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.wait_closed()

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                message = json.loads(text) | {"at": time.monotonic()}
                assert message["streamSid"] == self.stream
                self._take(message)
                self.received.append(message)
                self._news.set()
        except ConnectionClosed:
            pass

    def _take(self, message: dict[str, Any]) -> None:
        now = message["at"]
        match message["event"]:
            case "media":
                self.audio.append(base64.b64decode(message["media"]["payload"]))
                message["ms"] = len(self.audio[-1]) / 8
                self.plays_until = max(now, self.plays_until) + message["ms"] / 1000
            case "mark":
                due = {"played": self.plays_until, "at once": 0.0, "never": float("inf")}[self._marks]
                self._outstanding.append((due, message["mark"]["name"]))
            case "clear":
                self.plays_until = now
                self._outstanding = [(0.0, name) for _, name in self._outstanding]

    async def _play(self) -> None:
        """Return each mark when everything before it was played."""
        try:
            while True:
                while self._outstanding and self._outstanding[0][0] <= time.monotonic():
                    _, name = self._outstanding.pop(0)
                    await self.return_mark(name)
                await asyncio.sleep(0.01)
        except ConnectionClosed:
            pass

    async def _hold(self, speed: float) -> None:
        begin, sent = time.monotonic(), 0
        try:
            while True:
                await self.frame(self._words.pop() if self._words else SILENT_FRAME)
                sent += 1
                await asyncio.sleep(max(0.0, begin + sent * FRAME_MS / 1000 / speed - time.monotonic()))
        except ConnectionClosed:
            pass


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Awaitable[Phone]]]:
    """Opens calls: `await dial(server.url)`; with `start=False` only the socket."""
    phones: list[Phone] = []

    async def open_phone(
        url: str,
        *,
        start: bool = True,
        marks: Literal["played", "at once", "never"] = "played",
        headers: dict[str, str] | None = None,
        sock: socket.socket | None = None,
        **parameters: str,
    ) -> Phone:
        connection = await connect(
            url.replace("http", "ws", 1) + "/twilio/media",
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            proxy=None,
            sock=sock,
        )
        phone = Phone(connection, marks)
        phones.append(phone)
        if start:
            await phone.start(**parameters)
        return phone

    yield open_phone
    for phone in phones:
        await phone.drop()


@pytest.fixture
def in_thread() -> Callable[..., Awaitable[Any]]:
    """Runs blocking functions, such as `server.wait_for`, while calls go on: `await in_thread(server.wait_for,
    "ended")`."""
    return asyncio.to_thread


MakeCertificate = Callable[..., dict[str, str]]


@pytest.fixture
def make_certificate(tmp_path: Path) -> MakeCertificate:
    """Makes self-signed certificates, as settings: `make_certificate("DNS:voice.example.com", days=2)`."""
    require("openssl")

    def make(names: str = "IP:127.0.0.1,IP:::1", *, days: int = 60, name: str = "sip") -> dict[str, str]:
        files = {"tls_cert": str(tmp_path / f"{name}.pem"), "tls_key": str(tmp_path / f"{name}.key")}
        make = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days {days} -subj /CN=voxline"
        add = ["-addext", f"subjectAltName={names}", "-keyout", files["tls_key"], "-out", files["tls_cert"]]
        subprocess.run([*make.split(), *add], check=True, capture_output=True)
        return files

    return make


@pytest.fixture
def signed(make_certificate: MakeCertificate, tmp_path: Path) -> tuple[dict[str, str], str]:
    """A certificate for loopback, as settings, and the file of the private authority that has signed it."""
    authority, files = make_certificate("DNS:authority.example", name="authority"), make_certificate(name="signed")
    request, extra = str(tmp_path / "request.pem"), tmp_path / "extra"
    extra.write_text("subjectAltName=IP:127.0.0.1")
    ask = ["openssl", "req", "-new", "-key", files["tls_key"], "-subj", "/CN=pbx", "-out", request]
    sign = ["openssl", "x509", "-req", "-in", request, "-CA", authority["tls_cert"], "-CAkey", authority["tls_key"]]
    sign += ["-CAcreateserial", "-days", "60", "-extfile", str(extra), "-out", files["tls_cert"]]
    for command in (ask, sign):
        subprocess.run(command, check=True, capture_output=True)
    return files, authority["tls_cert"]


@pytest.fixture
def certificate(make_certificate: MakeCertificate) -> dict[str, str]:
    """One for loopback, as settings."""
    return make_certificate()
