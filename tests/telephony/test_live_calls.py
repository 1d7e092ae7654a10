"""Live calls, end to end over Twilio's protocol: real servers, real calls, real sockets of operators."""

import asyncio
import base64
import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect

from audio import g711
from telephony.cli.main import main
from telephony.lines.outbound_call import TOKEN_FILE
from tests.simulated import quick
from tests.telephony.live.calls import events
from tests.telephony.recordings.listening import noise, samples
from tests.telephony.test_calls_on_record import Api
from tests.waiting import until

Serve = Callable[..., Any]
Dial = Callable[..., Awaitable[Any]]
InThread = Callable[..., Awaitable[Any]]
FADE_MS = 20


class Operator:
    """Somebody with the server's token."""

    def __init__(self, server: Any) -> None:
        self.url = server.url
        self.headers = {"Authorization": f"Bearer {(server.data / TOKEN_FILE).read_text().strip()}"}

    async def act(self, call: str, act: str, **body: Any) -> tuple[int, Any]:
        async with httpx.AsyncClient(base_url=self.url, headers=self.headers) as http:
            answer = await http.post(f"/api/calls/{call}/{act}", json=body)
        return answer.status_code, answer.json()

    async def sees(self, path: str, wanted: Callable[[str, Any], Any]) -> Any:
        """The first event of a view that is wanted."""
        async with (
            httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=20) as http,
            http.stream("GET", path) as answer,
        ):
            rest = b""
            async for data in answer.aiter_bytes():
                whole, end, rest = (rest + data).rpartition(b"\n\n")
                for kind, found in events(whole + end):
                    if wanted(kind, found):
                        return found
        raise AssertionError(f"{path} has ended")

    def audio(self, call: str) -> Any:
        url = self.url.replace("http", "ws", 1) + f"/api/calls/{call}/audio"
        return connect(url, additional_headers=self.headers, proxy=None, max_queue=None)


def heard_since(phone: Any, event: str) -> bytes:
    """The audio that came after the last message of this kind, PCM16."""
    last = max(number for number, message in enumerate(phone.received) if message["event"] == event)
    after = [message for message in phone.received[last:] if message["event"] == "media"]
    return g711.decode(b"".join(base64.b64decode(message["media"]["payload"]) for message in after))


@pytest.fixture(scope="module")
def desk(serve: Serve) -> Any:
    """A server whose agent talks long, and is interrupted by nobody."""
    return serve(quick(40, 200) | {"turn.onset_probability": 1, "turn.pause_probability": 1, "log.numbers": "full"})


async def test_taken_over_the_caller_hears_the_operator_and_no_more_of_the_agent(
    desk: Any, dial: Dial, in_thread: InThread
) -> None:
    operator = Operator(desk)
    phone = await dial(desk.url)
    phone.hold()
    await phone.heard(4)
    assert await operator.act(phone.call, "takeover") == (200, {"done": True})
    await phone.get("clear")
    said = await in_thread(desk.wait_for, "said", call=phone.call, role="agent", interrupted=True)
    assert 3 <= len(said["text"].split()) <= 10
    view = await operator.sees("/api/live", lambda _, data: data["calls"])
    [shown] = [call for call in view["calls"] if call["call"] == phone.call]
    assert (shown["taken_over"], shown["operator"]) == (True, "control token")

    words = noise(480, 7)  # as much as may wait, so that no delay of this machine is heard
    async with operator.audio(phone.call) as audio:
        assert json.loads(await audio.recv()) == {"rate": 8000}
        for at in range(0, len(words), 1600):
            await audio.send(words[at : at + 1600])
        await until(lambda: len(heard_since(phone, "clear")) >= 16 * (480 + FADE_MS))
        heard = heard_since(phone, "clear")
        fade, voice = heard[: 16 * FADE_MS], heard[16 * FADE_MS :]
        assert np.abs(np.frombuffer(fade, "<i2"))[-8:].max() < 2000
        # Of the agent nothing but the fade: then comes the operator, from the first sample on.
        assert np.corrcoef(samples(voice), samples(words)[: len(voice) // 2])[0, 1] > 0.99
        assert len(voice) == len(words)
        kinds = {(await audio.recv())[0] for _ in range(8)}
        assert kinds == {0, 1}
    assert await operator.act(phone.call, "giveback") == (200, {"done": True})
    assert (await operator.act(phone.call, "giveback"))[0] == 409
    count = len(phone.received)
    await phone.silence(400)
    assert [message["event"] for message in phone.received[count:]] == []
    await phone.hang_up()


async def test_who_listens_in_hears_the_caller_and_the_agent(desk: Any, dial: Dial) -> None:
    operator = Operator(desk)
    phone = await dial(desk.url)
    words = noise(600, 3)
    async with operator.audio(phone.call) as audio:
        await audio.recv()
        phone.say(g711.encode(words))
        phone.hold()
        loud, places = set(), {0: -1, 1: -1}
        while loud != {0, 1}:
            frame = await audio.recv()
            kind, at = frame[0], int.from_bytes(frame[1:5], "big")
            assert at > places[kind]
            places[kind] = at
            if np.abs(np.frombuffer(frame[5:], "<i2")).max() > 1000:
                loud.add(kind)
    await phone.hang_up()


async def test_what_is_done_is_on_record(
    desk: Any, dial: Dial, in_thread: InThread, capsys: pytest.CaptureFixture[str]
) -> None:
    operator, api = Operator(desk), Api(desk)
    phone = await dial(desk.url)
    phone.hold()
    following = asyncio.create_task(operator.sees(f"/api/live/{phone.call}", lambda kind, _: kind == "gone"))
    await phone.heard(1)
    assert (await operator.act(phone.call, "takeover"))[0] == 200
    assert (await operator.act(phone.call, "press", keys="12#"))[0] == 200
    assert (await operator.act(phone.call, "giveback"))[0] == 200
    where = ["--url", desk.url, "--set", f"server.data={desk.data}"]
    assert await in_thread(main, ["calls", "live", *where]) == 0
    assert "  twilio  front_desk  " in capsys.readouterr().out
    assert await in_thread(main, ["calls", "say", phone.call, "Your", "taxi is here.", *where]) == 0
    said = await in_thread(desk.wait_for, "said", 20, call=phone.call, text="Your taxi is here.")
    assert said["role"] == "agent"
    assert await in_thread(main, ["calls", "transfer", phone.call, "nowhere", *where]) == 1
    assert "E.164" in capsys.readouterr().err
    assert await in_thread(main, ["calls", "hangup", phone.call, *where]) == 0
    assert (await phone.closed())[0] == 1000
    assert (await following)["ended_by"] == "operator"
    [row] = await api.until(1, call=phone.call, status="ended")
    assert (row["ended_by"], row["reason"], row["outcome"]) == ("operator", "the operator hung up", "hangup")
    assert [(act["who"], act["act"], act["details"]) for act in row["acts"]] == [
        ("control token", "takeover", {}),
        ("control token", "press", {"keys": "12#"}),
        ("control token", "giveback", {}),
        ("control token", "say", {"text": "Your taxi is here."}),
        ("control token", "hangup", {}),
    ]
    assert row["started"] < row["acts"][0]["at"] < row["acts"][-1]["at"]
    assert await in_thread(main, ["calls", "show", phone.call, "--set", f"server.data={desk.data}"]) == 0
    assert 'control token: press {"keys":"12#"}' in capsys.readouterr().out
    assert await in_thread(api.delete, row["id"]) == 200
    assert await in_thread(main, ["calls", "hangup", phone.call, *where]) == 1
    assert "no such call now" in capsys.readouterr().err


async def test_a_server_that_ends_ends_all_views_and_is_not_held_up(serve: Serve, in_thread: InThread) -> None:
    server = await in_thread(serve, quick())
    operator = Operator(server)
    async with (
        httpx.AsyncClient(base_url=server.url, headers=operator.headers, timeout=20) as http,
        http.stream("GET", "/api/live") as answer,
    ):
        data = answer.aiter_bytes()
        assert (await anext(data)).startswith(b"event: calls")
        assert await in_thread(server.stop) == 0
        assert [part async for part in data] == []
    assert not [line for line in server.log if line["level"] in ("ERROR", "CRITICAL")]


async def test_the_acts_of_a_killed_server_are_on_record(serve: Serve, dial: Dial, in_thread: InThread) -> None:
    server = await in_thread(serve, quick())
    operator, api = Operator(server), Api(server)
    phone = await dial(server.url)
    assert (await operator.act(phone.call, "takeover"))[0] == 200
    await until(lambda: api.all(call=phone.call)[0]["acts"])
    server.process.send_signal(signal.SIGKILL)
    await in_thread(server.stop)
    again = await in_thread(serve, quick() | {"server.data": str(server.data)})
    again.data = server.data
    [row] = await Api(again).until(1)
    assert (row["status"], [act["act"] for act in row["acts"]]) == ("broken_off", ["takeover"])
