"""A media socket of no carrier in particular: who comes in, and that each call leaves again."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from config.settings import PlayoutSettings
from config.stream import StreamSettings
from telephony.lines.line import Line, Listener
from telephony.lines.metrics import Metrics
from telephony.lines.refusals import Refusals
from telephony.lines.stream.media_socket import MediaSocket
from telephony.lines.stream.protocol import Counters, Event, Started, Stopped
from telephony.lines.stream.stream_call import StreamCall


class Plain:
    """A carrier that says "start" and "stop"."""

    carrier = "plain"

    def __init__(self) -> None:
        self.counters = Counters()
        self.received = 0

    def receive(self, message: str | bytes) -> Event | None:
        return Started("CALL-1", "STREAM-1", {}) if message == "start" else Stopped()

    def media(self, payload: bytes) -> str:
        return "media"

    def mark(self, name: str) -> str:
        return name

    def clear(self) -> str:
        return "clear"


class Quiet(Listener):
    """Takes the call, and has nothing to say."""

    taping = False

    async def closed(self) -> None: ...


class Calls:
    """A registry that remembers who came."""

    def __init__(self) -> None:
        self.is_ready, self.crowded = True, False
        self.entered: list[Line] = []
        self.left: list[Line] = []

    def enter(self, line: Line) -> None:
        self.entered.append(line)

    def leave(self, line: Line) -> None:
        self.left.append(line)

    def join(self, line: Line, agent: str) -> Listener:
        raise AssertionError("the carrier accepts")

    connect = join


class Socket:
    """One, and a client of it."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.calls = Calls()
        self.fault = fault
        socket = MediaSocket(
            self.calls,
            Refusals(Metrics()),
            StreamSettings(),
            PlayoutSettings(),
            protocol=Plain,
            check=self.check,
            accept=self.accept,
        )
        self.client = TestClient(Starlette(routes=[WebSocketRoute("/media", socket.serve)]))

    def check(self, websocket: WebSocket) -> Response | None:
        return None if websocket.headers.get("key") == "ours" else PlainTextResponse("who are you?", 403)

    def accept(self, call: StreamCall, started: Started) -> Listener:
        if self.fault:
            raise self.fault
        call.call_id = started.call_id
        return Quiet()

    def denied(self, key: str) -> tuple[int, str]:
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            self.client.websocket_connect("/media", headers={"key": key}),
        ):
            pass
        return refused.value.status_code, refused.value.text.strip()

    def stream(self) -> int:
        """Start, stop, and with which code the socket is closed."""
        with self.client.websocket_connect("/media", headers={"key": "ours"}) as socket:
            socket.send_text("start")
            socket.send_text("stop")
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_text()
        return closed.value.code


def test_a_stranger_is_told_nothing_of_the_server() -> None:
    socket = Socket()
    socket.calls.is_ready, socket.calls.crowded = False, True
    assert socket.denied("theirs") == (403, "who are you?")


def test_a_server_that_loads_or_is_crowded_takes_no_socket() -> None:
    socket = Socket()
    socket.calls.is_ready = False
    assert socket.denied("ours") == (503, "not ready")
    socket.calls.crowded = True
    assert socket.denied("ours") == (503, "too many media sockets")
    assert socket.calls.entered == []


def test_a_call_enters_and_leaves() -> None:
    socket = Socket()
    assert socket.stream() == 1000
    assert [line.call_id for line in socket.calls.left] == ["CALL-1"]
    assert socket.calls.entered == socket.calls.left


def test_a_call_that_fails_leaves_too() -> None:
    socket = Socket(ValueError("a bug"))
    assert socket.stream() == 1011
    assert socket.calls.entered == socket.calls.left != []
