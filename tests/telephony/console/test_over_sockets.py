"""Over real sockets: streams and sockets end with their session, and no bytes of a request are too much."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from config.settings import from_sources, read_sources
from telephony.console import console
from telephony.server.app import App
from telephony.server.draining import build_server
from tests.simulated import quick
from tests.telephony.live.calls import acts_on, live_call
from tests.waiting import running


class Desk:
    """A server with its port, and somebody who is signed in."""

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.url = f"http://127.0.0.1:{port}"
        signed_in = app.gate.sign_in.by_link(app.gate.sign_in.link_token)
        assert signed_in
        self.key = signed_in.key
        self.cookie = {"Cookie": f"voxline-{port}={self.key}"}

    def sign_out(self) -> None:
        self.app.gate.sign_in.sessions.end(self.key)

    def call(self, number: int) -> str:
        """A call that is on from now."""
        acts, _, _ = acts_on(live_call(number))
        self.app.shared.live.add(acts)
        return acts.call.id


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    sources = read_sources(None, quick() | {"server.port": 0, "server.data": str(tmp_path), "records.mode": "off"})
    settings = from_sources(sources)
    app = App(settings)
    console.mount(app, settings, sources)
    async with running(build_server(app, settings)) as port:
        yield Desk(app, port)


async def test_the_list_of_live_calls_ends_with_the_session(desk: Desk) -> None:
    async with (
        httpx.AsyncClient(timeout=20) as http,
        http.stream("GET", f"{desk.url}/api/live", headers=desk.cookie) as answer,
    ):
        assert answer.status_code == 200
        news = answer.aiter_bytes()
        assert b"event: calls" in await anext(news)
        desk.call(1)
        assert b'"calls":[{' in await anext(news)
        desk.sign_out()
        desk.call(2)
        assert [data async for data in news] == []


async def test_who_listens_in_hears_no_more(desk: Desk) -> None:
    url = f"{desk.url.replace('http', 'ws', 1)}/api/calls/{desk.call(1)}/audio"
    with pytest.raises(InvalidStatus):
        await connect(url, additional_headers=desk.cookie, proxy=None)  # from no page
    async with connect(url, additional_headers=desk.cookie, origin=desk.url, proxy=None) as socket:  # type: ignore[arg-type]
        assert "rate" in json.loads(await socket.recv())
        desk.sign_out()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.recv()
    assert closed.value.rcvd
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "you have signed out")


async def test_acts_carry_the_name_of_whoever_is_signed_in(desk: Desk) -> None:
    acts, _, done = acts_on(live_call(3))
    desk.app.shared.live.add(acts)
    csrf = desk.app.gate.sign_in.sessions.person(desk.key, time.monotonic())
    async with httpx.AsyncClient(timeout=20, headers=desk.cookie) as http:
        path = f"{desk.url}/api/calls/{acts.call.id}/hangup"
        assert (await http.post(path, json={})).status_code == 403
        assert csrf
        answer = await http.post(path, json={}, headers={"X-CSRF-Token": csrf.csrf})
        assert answer.json() == {"done": True}
    assert [(act.who, act.act) for act in done] == [("local", "hangup")]


QUERIES = [
    b"/console/calls?q=\xff",
    b"/console/calls?q=%ff%00",
    b"/console/calls?q=a&q=b",
    b"/console/calls?limit=99999999999999999999",
    b"/console/calls?before=%u1",
    b"/console/calls?%5b%5d=1",
    b"/console/calls/%ff",
    b"/console/calls/%00",
    b"/console/calls/a%2Fb/report",
    b"/console/assets/%ff",
    b"/console?token=%ff",
    b"/console?token=\xff",
    b"/console/sign-in?next=%ff%0d%0aX:1",
]
HEADERS = [b"Cookie: voxline-1=\xff\xfe; voxline-theme=\xff", b"Authorization: Bearer \xff", b"X-CSRF-Token: \xff"]
FORMS = [b"", b"csrf=%ff", b"name=%ff%00&password=%ed%a0%80&next=%ff", b"\xff", b"name=" + b"x" * 17_000]


async def status(desk: Desk, head: bytes, *headers: bytes, body: bytes = b"") -> int:
    """What a request is answered with, byte by byte as it is given."""
    port = int(desk.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [head + b" HTTP/1.1", b"Host: 127.0.0.1:%d" % port, b"Connection: close", *headers]
    writer.write(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""]) + body)
    answer = await reader.read()
    writer.close()
    assert b"\r\nX:1" not in answer
    return int(answer.split()[1])


async def test_no_bytes_of_a_request_are_too_much(desk: Desk) -> None:
    known = f"Cookie: {desk.cookie['Cookie']}".encode()
    for signed_in in ([], [known]):
        found = [await status(desk, b"GET " + path, *signed_in) for path in QUERIES]
        found += [await status(desk, b"GET /console", header) for header in HEADERS]
        for form in FORMS:
            found += [
                await status(desk, b"POST " + path, *signed_in, body=form)
                for path in (b"/console/sign-in", b"/console/sign-out", b"/console/calls/x/delete", b"/console/doctor")
            ]
        assert max(found) < 500
