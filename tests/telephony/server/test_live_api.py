"""Live calls over HTTP: who may, what is asked wrongly, and viewers that do not read, over real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent import events as e
from config.settings import load_settings
from telephony.lines.outbound_call import TOKEN_FILE
from telephony.live.acts import BODIES, Acts
from telephony.live.live_calls import MAX_VIEWERS
from telephony.server.app import App
from telephony.server.draining import build_server
from telephony.server.sign_in import api_tokens
from telephony.server.sign_in.scope import Scope
from tests.simulated import quick
from tests.telephony.live.calls import acts_on, end, events, live_call
from tests.waiting import running, until

QUIET = {"server.port": 0, "records.mode": "off", "twilio.send_timeout_s": 1}


class Served:
    """A server in this process whose calls are the tests' own."""

    def __init__(self, app: App, port: int, data: Path) -> None:
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.headers = {"Authorization": f"Bearer {(data / TOKEN_FILE).read_text().strip()}"}
        self.http = httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=20)

    def call(self, number: int = 1, **more: Any) -> tuple[Acts, list[e.Event]]:
        """A call that is on from now."""
        acts, given, _ = acts_on(live_call(number), **more)
        self.app.shared.live.add(acts)
        return acts, given

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        answer = await self.http.post(f"/api/calls/{path}", json={} if body is None else body)
        return answer.status_code, answer.json()

    async def follow(self, path: str) -> AsyncIterator[tuple[str, Any]]:
        """The events of a view as they come."""
        async with self.http.stream("GET", path) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            rest = b""
            async for data in answer.aiter_bytes():
                whole, end_, rest = (rest + data).rpartition(b"\n\n")
                for found in events(whole + end_):
                    yield found


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    settings = load_settings(None, quick() | QUIET | {"server.data": str(tmp_path)})
    app = App(settings)
    async with running(build_server(app, settings)) as port:
        found = Served(app, port, tmp_path)
        yield found
        app.shared.live.close()
        await found.http.aclose()


async def test_without_the_token_nothing_is_told_or_done(served: Served) -> None:
    acts, given = served.call()
    paths = [("GET", "/api/live"), ("GET", f"/api/live/{acts.call.id}")]
    paths += [("POST", f"/api/calls/{acts.call.id}/{name}") for name in BODIES]
    async with httpx.AsyncClient(base_url=served.url) as stranger:
        for method, path in paths:
            answer = await stranger.request(method, path, json={})
            assert answer.status_code == 401
            assert answer.json() == {"error": "the token is missing or wrong"}
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{served.port}/api/calls/{acts.call.id}/audio", proxy=None)
    assert refused.value.response.status_code == 401
    assert given == []


async def test_calls_that_are_not_on(served: Served) -> None:
    for name in BODIES:
        assert (await served.post(f"CA9/{name}"))[0] == 404
    assert (await served.http.get("/api/live/CA9")).status_code == 404
    with pytest.raises(InvalidStatus) as refused:
        await connect(
            f"ws://127.0.0.1:{served.port}/api/calls/CA9/audio", additional_headers=served.headers, proxy=None
        )
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    ("act", "body", "status", "why"),
    [
        ("say", b"{", 400, "truncated"),
        ("say", b"\xff\xfe", 400, ""),
        ("say", b"[]", 422, "object"),
        ("say", b"{}", 422, "text"),
        ("say", b'{"text":7}', 422, "str"),
        ("say", b'{"text":"hi","volume":11}', 422, "volume"),
        ("say", b'{"text":"hi","voice":"../../etc/passwd"}', 422, "voice"),
        ("say", b'{"text":"' + b"x" * 1001 + b'"}', 413, "1000"),
        ("say", b'{"text":"' + b"x" * 20_000 + b'"}', 413, "longer than"),
        ("instruct", b'{"text":" "}', 422, "words"),
        ("press", b'{"keys":"1x"}', 422, "'x' is no key"),
        ("press", b'{"keys":""}', 422, "1 to 32"),
        ("transfer", b'{"to":"<script>"}', 422, "one of person"),
        ("recording", b'{"on":"yes"}', 422, "bool"),
        ("hangup", b'{"now":true}', 422, "now"),
        ("giveback", b"{}", 409, "nobody has taken over"),
    ],
)
async def test_what_is_asked_wrongly_is_said_to_be(
    served: Served, act: str, body: bytes, status: int, why: str
) -> None:
    acts, given = served.call()
    answer = await served.http.post(f"/api/calls/{acts.call.id}/{act}", content=body)
    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert (given, list(acts.call.acts)) == ([], [])


async def test_acts_by_either_id(served: Served) -> None:
    acts, given = served.call()
    assert await served.post(f"{acts.call.id}/say", {"text": "Hello.", "interruptible": False}) == (200, {"done": True})
    assert await served.post("CA1/instruct", {"text": "Be brief."}) == (200, {"done": True})
    assert await served.post("CA1/transfer", {"to": "person"}) == (200, {"done": True})
    assert await served.post("CA1/hangup") == (200, {"done": True})
    assert given == [
        e.SayRequested("Hello.", interruptible=False),
        e.Instructed("Be brief."),
        e.TransferRequested("+15550100199"),
        e.HangUpRequested(),
    ]
    assert {act.who for act in acts.call.acts} == {"control token"}
    assert (await served.post("CA1/say", {"text": "Hello."}))[0] == 409


@pytest.mark.slow
async def test_a_viewer_that_never_reads_is_closed_and_delays_nobody(served: Served) -> None:
    """With three hundred calls that change all the time."""
    calls = [served.call(number)[0].call for number in range(1, 301)]
    live = served.app.shared.live
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", served.port))
        lines = ["GET /api/live HTTP/1.1", f"Host: 127.0.0.1:{served.port}"]
        lines += [f"{name}: {value}" for name, value in served.headers.items()]
        deaf.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        await until(lambda: live.viewers == 1)
        seen, shown = 0, 0
        async for kind, data in served.follow("/api/live"):
            assert kind == "calls"
            seen += 1
            shown = max(shown, len(data["calls"]))
            for call in calls:
                call.told(e.Said("caller", f"{seen} {'x' * 200}", False, 1.0))
            if seen > 2 and live.viewers == 1:
                break
        assert shown == 300
    await until(lambda: live.viewers == 0)


async def test_one_call_is_followed(served: Served) -> None:
    acts, _ = served.call()
    found: list[str] = []
    async for kind, data in served.follow(f"/api/live/{acts.call.id}"):
        found.append(kind)
        if kind == "calls" and len(found) == 1:
            acts.call.told(e.Said("caller", "<script>alert(1)</script>", False, 1.0))
        if kind == "said":
            assert data["text"] == "<script>alert(1)</script>"
            end(acts.call)
            served.app.shared.live.remove(acts.call)
        if kind == "gone":
            assert data == {"id": acts.call.id, "ended_by": "caller", "reason": "over"}
    assert found[-1] == "gone"
    await until(lambda: served.app.shared.live.viewers == 0)


async def test_too_many_viewers_are_refused(served: Served) -> None:
    served.app.shared.live.viewers += MAX_VIEWERS
    answer = await served.http.get("/api/live")
    assert (answer.status_code, answer.json()) == (503, {"error": "too many viewers"})


@pytest.mark.parametrize(
    ("frame", "why"), [("hello", "binary"), (b"\0", "whole samples"), (b"", "whole samples"), (bytes(1602), "at most")]
)
async def test_frames_that_are_no_audio_close_the_socket(served: Served, frame: str | bytes, why: str) -> None:
    acts, _ = served.call()
    url = f"ws://127.0.0.1:{served.port}/api/calls/{acts.call.id}/audio"
    async with connect(url, additional_headers=served.headers, proxy=None) as audio:
        assert json.loads(await audio.recv()) == {"rate": 8000}
        await audio.send(frame)
        await asyncio.wait_for(audio.wait_closed(), 20)
    assert audio.close_code == 1008
    assert why in (audio.close_reason or "")
    await until(lambda: served.app.shared.live.viewers == 0)
    assert not acts.call.watched


async def test_the_sound_of_a_call_is_heard_until_it_is_over(served: Served) -> None:
    acts, given = served.call()
    url = f"ws://127.0.0.1:{served.port}/api/calls/CA1/audio"
    async with connect(url, additional_headers=served.headers, proxy=None) as audio:
        await audio.recv()
        await until(lambda: acts.call.watched)
        assert await served.post("CA1/takeover") == (200, {"done": True})
        await audio.send(b"\1\0" * 800)
        await until(lambda: acts.call._voice)
        heard = b""
        for _ in range(10):
            heard += acts.call.caller(b"\2\0" * 160)[0]
        assert heard == b"\1\0" * 800
        frame = await audio.recv()
        assert frame == bytes(5) + b"\2\0" * 320
        end(acts.call)
        served.app.shared.live.remove(acts.call)
        await asyncio.wait_for(audio.wait_closed(), 20)
    assert (audio.close_code, audio.close_reason) == (1000, "the call is over")
    assert given == [e.TakenOver()]


async def test_a_programs_acts_go_under_its_tokens_name_until_it_is_revoked(served: Served, tmp_path: Path) -> None:
    """Over real sockets: acts, a stream of live calls, and an operator's socket, which end when the token does."""
    acts, given = served.call()
    scopes = (Scope.CALLS_READ, Scope.CALLS_ACT)
    bearer = {"Authorization": f"Bearer {api_tokens.create(tmp_path, 'crm', scopes, None, 0)}"}
    audio = f"ws://127.0.0.1:{served.port}/api/calls/{acts.call.id}/audio"
    async with httpx.AsyncClient(base_url=served.url, headers=bearer, timeout=20) as program:

        async def may() -> bool:
            return (await program.get("/api/openapi.json")).status_code == 200

        await until(may)
        answer = await program.post(f"/api/calls/{acts.call.id}/takeover", json={})
        assert answer.json() == {"done": True}
        assert acts.call.operator == "token crm"
        assert given == [e.TakenOver()]
        async with connect(audio, additional_headers=bearer, proxy=None):
            pass
        async with program.stream("GET", "/api/live") as stream:
            assert stream.status_code == 200
            api_tokens.revoke(tmp_path, "crm")
            end_of_stream = asyncio.create_task(_read_all(stream))

            def ended() -> bool:
                served.call(len(served.app.shared.live) + 1)  # news, by which a stream looks who is still known
                return end_of_stream.done()

            await until(ended)
        assert (await program.post(f"/api/calls/{acts.call.id}/giveback", json={})).status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            await connect(audio, additional_headers=bearer, proxy=None)
        assert refused.value.response.status_code == 401


async def _read_all(stream: httpx.Response) -> None:
    async for _ in stream.aiter_bytes():
        pass
