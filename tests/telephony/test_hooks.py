"""Routes and hooks, end to end: real servers, real calls, real receivers, real kills."""

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from telephony.cli.main import main
from telephony.lines.outbound_call import TOKEN_FILE
from telephony.lines.sip.dialogs.events import Answered, Ended, Progress
from telephony.simulator.call import run_call
from telephony.simulator.script import load_script
from tests.debian import require
from tests.simulated import SIP, quick
from tests.telephony.hooks.receiver import SECRET, Receiver, receiving
from tests.telephony.lines.sip.phone import Phone
from tests.telephony.records.postgres import Postgres
from tests.waiting import until

Serve = Callable[..., Any]
Dial = Callable[..., Awaitable[Any]]
InThread = Callable[..., Awaitable[Any]]
EXAMPLES = Path(__file__).parents[2] / "examples"
ANN, DESK, BAKERY = "+31612345678", "+31201234567", "+31201230000"
PASSWORD = "rumpelstiltskin"
USER = f"ann:{PASSWORD}@"
AGENT = """name: {name}
variables: {{customer: dear customer}}
dialogue:
  texts: {{greeting: "Hello {{customer}}, this is the {name}."}}
  slots:
    colour: {{values: {{red: [], blue: []}}}}
    pin: {{digits: 4, secret: true}}
    code: {{digits: 4}}
  intents:
    book:
      phrases: [book]
      ask: {{code: Your code?, pin: And your PIN?}}
      answer: Done.
"""


@pytest.fixture
def agents(tmp_path: Path) -> dict[str, Any]:
    """Settings of a server with two agents whose dialogues are spoken."""
    folder = tmp_path / "agents"
    folder.mkdir()
    for name in ("desk", "bakery"):
        (folder / f"{name}.yaml").write_text(AGENT.format(name=name))
    return {"agents": str(folder), "call.agent": "desk", "engine.embedded.decoders": 1}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    require("postgresql")
    server = Postgres()
    yield server
    server.close()


def hooks(before: str = "", after: str = "") -> dict[str, Any]:
    return {"hooks.before_call": before, "hooks.after_call": after, "hooks.secret": SECRET}


async def ring(server: Any, call: str, to: str = DESK, **query: str) -> str:
    """Twilio's webhook; returns the TwiML."""
    form = {"CallSid": call, "From": ANN, "To": to}
    async with httpx.AsyncClient(timeout=20) as http:
        answer = await http.post(f"{server.url}/twilio/voice", params=query, data=form)
    assert answer.status_code == 200
    return answer.text


def agent_of(twiml: str) -> str:
    return twiml.partition('name="agent" value="')[2].partition('"')[0]


async def greeting(server: Any, phone: Any, in_thread: InThread, to: str = DESK) -> str:
    """What the agent says first to somebody who has called this number."""
    twiml = await ring(server, phone.call, to)
    await phone.start(agent=agent_of(twiml))
    await phone.frame()
    said = await in_thread(server.wait_for, "said", 60, call=phone.call, role="agent")
    text: str = said["text"]
    return text


class Api:
    def __init__(self, server: Any) -> None:
        token = (server.data / TOKEN_FILE).read_text().strip()
        self._url, self._headers = f"{server.url}/api", {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: str) -> Any:
        return httpx.get(self._url + path, params=query, headers=self._headers, timeout=20).json()

    def post(self, path: str) -> httpx.Response:
        return httpx.post(self._url + path, headers=self._headers, timeout=20)

    def delete(self, path: str) -> int:
        return httpx.delete(self._url + path, headers=self._headers, timeout=20).status_code

    async def delivery(self, status: str) -> dict[str, Any]:
        """The only delivery, as soon as it is in this state."""

        async def there() -> Any:
            found = (await asyncio.to_thread(self.get, "/hooks/deliveries", status=status)).get("deliveries")
            return found[0] if found else None

        found: dict[str, Any] = await until(there, 40)
        return found


# Routes


async def test_calls_go_to_the_agent_of_their_number(serve: Serve, in_thread: InThread, agents: dict[str, Any]) -> None:
    routes = {DESK: "desk", "+3120*": "bakery", "cake": "bakery"}
    settings = quick() | SIP | {key: agents[key] for key in ("agents", "call.agent")}
    server = await in_thread(serve, settings | {"routes": routes})
    cases: list[tuple[str, dict[str, str], str]] = [
        (DESK, {}, "desk"),
        (BAKERY, {}, "bakery"),
        ("+32101234567", {}, "desk"),
        ("sip:cake@voxline.sip.twilio.com", {}, "bakery"),
        (BAKERY, {"agent": "desk"}, "desk"),
    ]
    for number, (to, query, agent) in enumerate(cases):
        assert agent_of(await ring(server, f"CA{number}", to, **query)) == agent
    port = (await in_thread(server.wait_for, "listening", logger="voxline.sip"))["ports"]["UDP"]
    for user, agent in (("cake", "bakery"), (BAKERY, "bakery"), ("bakery", "bakery"), ("1000", "desk")):
        phone = await Phone().open_at(port)
        phone.dial(user)
        await phone.wait(Answered)
        phone.hang_up()
        await phone.wait(Ended)
        await phone.close()
        started = [line for line in list(server.log) if line["message"] == "started"]
        assert started[-1]["agent"] == agent


def test_a_route_to_an_agent_that_there_is_not_stops_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--set", 'routes={"+3120*": nobody}']) == 2
    assert "routes.+3120*: no agent 'nobody'; there are front_desk" in capsys.readouterr().err


# Before a call


@pytest.mark.slow
async def test_who_is_asked_chooses_agent_and_variables(
    serve: Serve, dial: Dial, in_thread: InThread, agents: dict[str, Any], receiver: Receiver
) -> None:
    server = await in_thread(serve, agents | {"hooks.before_call_ms": 5000} | hooks(receiver.url(user=USER)))
    receiver.answers = [{"agent": "bakery", "variables": {"customer": "{called} Ann", "other": "x"}}, b""]
    phone = await dial(server.url, start=False)
    assert await greeting(server, phone, in_thread) == "Hello {called} Ann, this is the bakery."
    [asked] = receiver.asked
    assert asked.is_signed()
    question = asked.content
    assert question.pop("id") == asked.headers["voxline-delivery"]
    assert question == {
        "event": "before_call",
        "call": phone.call,
        "line": "twilio",
        "trunk": "",
        "caller": ANN,
        "called": DESK,
        "caller_name": "",
        "forwarded_from": "",
        "verified": False,
        "agent": "desk",
    }
    other = await dial(server.url, start=False)
    assert await greeting(server, other, in_thread) == "Hello dear customer, this is the desk."
    assert server.metric('voxline_hooks_total{hook="before_call",outcome="answered"}') == 2
    assert not [line for line in server.log if PASSWORD in json.dumps(line)]
    assert not [line for line in server.other_output if PASSWORD in line]


@pytest.mark.slow
async def test_whatever_goes_wrong_with_the_question_the_call_goes_on(
    serve: Serve, in_thread: InThread, agents: dict[str, Any], receiver: Receiver
) -> None:
    settings = quick() | {key: agents[key] for key in ("agents", "call.agent")} | {"hooks.before_call_ms": 5000}
    server = await in_thread(serve, settings | hooks(receiver.url(user=USER)))
    wrong = [{"agent": "nobody"}, {"agents": "x"}, b"<html>", b"x" * 40_000, 302, 500, None]
    for number, answer in enumerate(wrong):
        receiver.answers = [answer]
        assert agent_of(await ring(server, f"CA{number}")) == "desk"
    await receiver.stop()
    assert agent_of(await ring(server, "CA-nobody-there")) == "desk"
    assert server.metric('voxline_hooks_total{hook="before_call",outcome="invalid"}') == 3
    assert server.metric('voxline_hooks_total{hook="before_call",outcome="failed"}') == 5
    assert server.wait_for("hooks.before_call is not understood, and the call goes on: there is no agent 'nobody'")
    assert not [line for line in server.log if PASSWORD in json.dumps(line)]


async def test_who_is_asked_may_refuse(
    serve: Serve, in_thread: InThread, agents: dict[str, Any], receiver: Receiver
) -> None:
    """On both lines; a caller over SIP hears it ring meanwhile, and one who gives up leaves nothing behind."""
    settings = quick() | SIP | {key: agents[key] for key in ("agents", "call.agent")} | {"call.capacity": 1}
    server = await in_thread(serve, settings | {"hooks.before_call_ms": 5000} | hooks(receiver.url()))
    receiver.answers = [{"refuse": "busy"}, {"refuse": "rejected"}, {"refuse": "busy"}, {"refuse": "rejected"}, None]
    assert '<Reject reason="busy" />' in await ring(server, "CA1")
    assert '<Reject reason="rejected" />' in await ring(server, "CA2")
    port = (await in_thread(server.wait_for, "listening", logger="voxline.sip"))["ports"]["UDP"]
    for status in (486, 603):
        phone = await Phone().open_at(port)
        phone.dial("bakery")
        await phone.wait(Progress)
        assert (await phone.wait(Ended)).status == status
        await phone.close()
    assert receiver.asked[-1].content["agent"] == "bakery"
    assert receiver.asked[-1].content["line"] == "sip"
    phone = await Phone().open_at(port)
    phone.dial("bakery")
    await phone.wait(Progress)
    await until(lambda: len(receiver.asked) == 5)
    phone.hang_up()
    await phone.wait(Ended)
    receiver.answers = [{"agent": "desk"}]
    receiver.freed.set()

    def free() -> bool:
        return bool(httpx.get(f"{server.url}/readyz").json().get("free") == 1)

    await until(lambda: in_thread(free))
    phone.dial("bakery")
    await phone.wait(Answered)
    await phone.close()
    assert server.wait_for("started")["agent"] == "desk"
    assert server.metric('voxline_refused_total{reason="hooks.before_call"}') == 4


# After a call


@pytest.mark.slow
async def test_the_end_of_a_call_is_told_and_answered_with_its_costs(
    serve: Serve, dial: Dial, in_thread: InThread, agents: dict[str, Any], receiver: Receiver
) -> None:
    receiver.answers = [{"cost_micros": 12_000, "cost_currency": "EUR"}]
    server = await in_thread(serve, agents | hooks(after=receiver.url(user=USER)) | {"log.numbers": "full"})
    api = Api(server)
    phone = await dial(server.url, start=False)
    await greeting(server, phone, in_thread)
    await phone.hang_up()
    await api.delivery("delivered")
    [asked] = receiver.asked
    told = asked.content
    assert asked.is_signed()
    assert (told["event"], told["id"]) == ("after_call", asked.headers["voxline-delivery"])
    assert told["fields"] == {}
    call = told["call"]
    assert told["id"] == f"after-{call['id']}"
    assert (call["call"], call["status"], call["outcome"], call["caller"]) == (phone.call, "ended", "hangup", ANN)
    assert call["transcript"][0]["text"].startswith("Hello dear")
    row = await in_thread(api.get, f"/calls/{call['id']}")
    assert (row["cost_micros"], row["cost_currency"]) == (12_000, "EUR")
    assert not [line for line in server.log if PASSWORD in json.dumps(line)]


@pytest.mark.slow
async def test_what_the_dialogue_has_filled_is_told_whatever_the_log_holds(
    serve: Serve, in_thread: InThread, tmp_path: Path, receiver: Receiver
) -> None:
    shutil.copy(EXAMPLES / "agents" / "bakery.yaml", tmp_path)
    settings = {"agents": str(tmp_path), "call.agent": "bakery", "log.words": False}
    server = await in_thread(serve, settings | hooks(after=receiver.url()))
    report = await run_call(server.url, load_script(EXAMPLES / "caller.yaml"))
    assert report.ok
    await until(lambda: len(receiver.asked) == 1)
    told = receiver.asked[0].content
    assert told["fields"] == {"cake": "chocolate", "day": "Saturday"}
    assert (told["call"]["transcript"], told["call"]["outcome"]) == ([], "hangup")


async def test_what_failed_is_listed_sent_again_and_deleted_with_its_call(
    serve: Serve,
    dial: Dial,
    in_thread: InThread,
    receiver: Receiver,
    capsys: pytest.CaptureFixture[str],
) -> None:
    receiver.answers = [500]
    server = await in_thread(serve, quick() | hooks(after=receiver.url()) | {"hooks.after_call_days": 1e-9})
    api = Api(server)
    phone = await dial(server.url)
    await phone.hang_up()
    failed = await api.delivery("failed")
    assert (failed["attempts"], failed["answer"], failed["error"]) == (1, 500, "500: an error")
    place = ["--set", f"server.data={server.data}"]
    assert await in_thread(main, ["hooks", "list", "--status", "failed", *place]) == 0
    assert failed["id"] in capsys.readouterr().out
    receiver.answers = [b"ok"]
    answer = await in_thread(api.post, f"/hooks/deliveries/{failed['id']}/resend")
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    await api.delivery("delivered")
    assert await in_thread(main, ["hooks", "resend", failed["call"], *place]) == 0
    await until(lambda: len(receiver.asked) == 3)
    assert {asked.headers["voxline-delivery"] for asked in receiver.asked} == {failed["id"]}
    await api.delivery("delivered")
    assert await in_thread(api.delete, f"/calls/{failed['call']}") == 200
    assert (await in_thread(api.get, "/hooks/deliveries"))["deliveries"] == []
    assert (await in_thread(api.post, f"/hooks/deliveries/{failed['id']}/resend")).status_code == 404
    assert await in_thread(main, ["hooks", "resend", failed["id"], *place]) == 1


async def test_a_server_that_is_killed_between_end_and_delivery_delivers_later(
    serve: Serve, dial: Dial, in_thread: InThread, receiver: Receiver
) -> None:
    """One call has ended and was not told, since nobody answered; the other was on. Both are told by the next run."""
    receiver.answers = [None]
    settings = quick() | hooks(after=receiver.url())
    server = await in_thread(serve, settings)
    ended, on = await dial(server.url), await dial(server.url)
    await ended.hang_up()
    await until(lambda: len(receiver.asked) == 1)  # it is being told, and the database does not know of it
    await in_thread(server.wait_for, "said", call=on.call, role="agent")
    server.process.send_signal(signal.SIGKILL)
    await in_thread(server.stop)
    receiver.answers = [b"ok"]
    again = await in_thread(serve, settings | {"server.data": str(server.data)})
    again.data = server.data

    def told() -> set[tuple[str, str]]:
        calls = [asked.content["call"] for asked in receiver.asked[1:]]
        return {(call["call"], call["status"]) for call in calls}

    await until(lambda: (on.call, "broken_off") in told(), 40)
    first = receiver.asked[0].headers["voxline-delivery"]
    # For a minute it is the dead server's.
    assert (await in_thread(Api(again).post, f"/hooks/deliveries/{first}/resend")).status_code == 200
    await until(lambda: (ended.call, "ended") in told(), 40)


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_database_that_stops_only_delays_what_is_told(
    serve: Serve, dial: Dial, in_thread: InThread, receiver: Receiver, postgres: Postgres
) -> None:
    receiver.answers = [b"ok"]
    server = await in_thread(serve, quick() | hooks(after=receiver.url()) | {"records.url": postgres.url()})
    first, second = await dial(server.url), await dial(server.url)
    await first.hang_up()
    await until(lambda: len(receiver.asked) == 1, 40)
    await in_thread(postgres.stop)
    await second.hang_up()
    await in_thread(server.wait_for, "ended", call=second.call)
    await until(lambda: any("deliveries of hooks.after_call wait" in line["message"] for line in list(server.log)), 40)
    third = await dial(server.url)
    await in_thread(server.wait_for, "said", call=third.call, role="agent")
    await in_thread(postgres.start)
    await third.hang_up()

    def told() -> set[str]:
        return {asked.content["call"]["call"] for asked in receiver.asked}

    await until(lambda: told() == {first.call, second.call, third.call}, 60)


async def test_without_hooks_nothing_is_kept_for_any(serve: Serve, dial: Dial, in_thread: InThread) -> None:
    server = await in_thread(serve, quick())
    phone = await dial(server.url)
    await phone.hang_up()
    await in_thread(server.wait_for, "ended", call=phone.call)
    answer = await in_thread(Api(server).get, "/hooks/deliveries", status="open")
    assert answer == {"deliveries": [], "next": None}
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/api/hooks/deliveries")).status_code == 401
        assert (await http.post("/api/hooks/deliveries/x/resend")).status_code == 401
