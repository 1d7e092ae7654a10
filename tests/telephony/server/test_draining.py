"""How a server ends: drained gracefully, stopped at once, or killed; and how it comes back."""

import asyncio
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from config.exceptions import SettingsError
from telephony.server.draining import bind
from tests.simulated import quick

QUICK = quick(words=3)
LONG = QUICK | {"engine.simulated.words": 300}

Dial = Callable[..., Awaitable[Any]]


async def test_drain_lets_calls_end_says_goodbye_and_takes_no_new_ones(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial
) -> None:
    server = await in_thread(serve, QUICK | {"server.drain_s": 30, "server.drain_goodbye_s": 28})
    phone = await dial(server.url)
    phone.hold()
    await phone.heard(4)
    server.process.send_signal(signal.SIGTERM)
    await in_thread(server.wait_for, "draining", calls=1)

    health = await in_thread(httpx.get, server.url + "/readyz")
    assert (health.status_code, health.json()["status"]) == (503, "draining")
    busy = await in_thread(lambda: httpx.post(server.url + "/twilio/voice", data={"CallSid": "CA1"}))
    assert (busy.status_code, "<Say" in busy.text, "<Stream" in busy.text) == (200, True, False)
    assert (await (await dial(server.url)).closed())[0] == 1013

    # Two seconds into the drain it is said goodbye to.
    assert await phone.closed() == (1000, "the agent hung up")
    assert phone.audio_ms() == 2 * 300
    assert time.monotonic() >= phone.plays_until
    line = await in_thread(server.wait_for, "ended", call=phone.call)
    assert line["outcome"] == "hangup"
    assert phone.frames_before_mark <= line["frames"] <= phone.frames  # the last ones may have met a closed socket
    assert await in_thread(server.process.wait, 15) == 0


async def test_call_that_does_not_end_is_ended_when_the_drain_is_over(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial
) -> None:
    server = await in_thread(serve, LONG | {"server.drain_s": 1})
    phone = await dial(server.url)
    phone.hold()
    await phone.get("media")
    server.process.send_signal(signal.SIGTERM)
    assert (await phone.closed())[0] == 1012
    assert await in_thread(server.process.wait, 15) == 0


async def test_call_that_was_promised_a_place_may_still_come(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial
) -> None:
    server = await in_thread(serve, QUICK)
    await in_thread(lambda: httpx.post(server.url + "/twilio/voice", data={"CallSid": "CA-promised"}))
    server.process.send_signal(signal.SIGTERM)
    await in_thread(server.wait_for, "draining")
    phone = await dial(server.url, start=False)
    phone.call = "CA-promised"
    await phone.start()
    await phone.heard(4)
    await phone.hang_up()
    assert await in_thread(server.process.wait, 15) == 0


async def test_second_signal_stops_at_once(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    server = await in_thread(serve, LONG)
    phone = await dial(server.url)
    phone.hold()
    await phone.get("media")
    server.process.send_signal(signal.SIGTERM)
    await in_thread(server.wait_for, "ending once the calls are over; a second signal ends them at once")
    server.process.send_signal(signal.SIGTERM)
    await in_thread(server.wait_for, "ending at once: calls that are on are cut off")
    assert (await phone.closed())[0] == 1012
    assert await in_thread(server.process.wait, 15) == 0


async def test_a_terminal_that_is_closed_ends_no_call(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    server = await in_thread(serve, QUICK)
    phone = await dial(server.url)
    server.process.send_signal(signal.SIGHUP)
    await in_thread(server.wait_for, "agents read anew", read=[], unchanged=1)
    await phone.heard(4)
    await phone.hang_up()


def test_idle_server_ends_at_the_first_signal(serve: Callable[..., Any]) -> None:
    server = serve(QUICK)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(15) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/healthz")


async def test_killed_server_drops_its_calls_and_a_restart_serves_again(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial
) -> None:
    server = await in_thread(serve, LONG)
    phone = await dial(server.url)
    phone.hold()
    await phone.get("media")
    server.process.kill()
    assert await phone.closed() == (1006, "")  # the socket broke: no closing handshake

    port = int(server.url.rsplit(":", 1)[1])
    again = await in_thread(serve, QUICK | {"server.port": port})
    assert again.url == server.url
    phone = await dial(again.url)
    await phone.heard(4)
    await phone.hang_up()


def test_bind_says_what_is_wrong() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"cannot listen on 127.0.0.1:{port}: Address already in use"):
            bind("127.0.0.1", port)
    with pytest.raises(SettingsError, match=r"server.host, server.port: cannot listen on 192.0.2.1:0"):
        bind("192.0.2.1", 0)  # an address for documentation: nobody's
    with pytest.raises(SettingsError, match=r"cannot listen on not a host:0"):
        bind("not a host", 0)


async def test_bound_sockets_serve(serve: Callable[..., Any]) -> None:
    sockets = bind("127.0.0.1", 0)
    assert [each.getsockname()[0] for each in sockets] == ["127.0.0.1"]
    server = await asyncio.start_server(lambda _, writer: writer.close(), sock=sockets[0])
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
