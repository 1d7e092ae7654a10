"""The running server: who may call, how many, and what follows a call. Real processes, real sockets."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx
import pytest
from starlette.datastructures import MultiDict
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.engine.base import Cue, Done, Engine, ModelEvent, Next, ReplyRequest, Text
from agent.engine.simulated import SimulatedSynthesizer
from config.settings import load_settings
from telephony.server.app import App
from telephony.server.draining import build_server
from tests.simulated import quick
from tests.waiting import running, until

TOKEN = "secret-of-the-account"
PUBLIC = "https://voice.example.com/line"
QUICK = quick()

Dial = Callable[..., Awaitable[Any]]


def call_id(number: int) -> str:
    return f"CA{number:032d}"


def sign(url: str, form: Mapping[str, Any] | None = None, token: str = TOKEN) -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, form or {})}


def post(server: Any, path: str, form: dict[str, Any], headers: dict[str, str] | None = None) -> httpx.Response:
    """Post a webhook, signed as Twilio does unless headers are given."""
    headers = sign(PUBLIC + path, form) if headers is None else headers
    return httpx.post(server.url + path, data=form, headers=headers, timeout=15)


def forget(server: Any, call: str) -> None:
    """The call is over, so that nothing waits for it."""
    assert post(server, "/twilio/status", {"CallSid": call, "CallStatus": "completed"}).status_code == 204


def parameters(twiml: str) -> dict[str, str]:
    """The `<Parameter>`s of a TwiML that connects a stream."""
    return {item.attrib["name"]: item.attrib["value"] for item in ElementTree.fromstring(twiml).iter("Parameter")}


def upgrade() -> dict[str, str]:
    return sign("wss://voice.example.com/line/twilio/media")


def ready(server: Any) -> dict[str, Any]:
    return httpx.get(server.url + "/readyz").json()


@pytest.fixture(scope="module")
def secured(serve: Callable[..., Any]) -> Any:
    """A server with an account, behind a proxy that puts a path in front."""
    return serve(QUICK | {"server.public_url": PUBLIC, "log.words": False}, TWILIO_AUTH_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def hasty(serve: Callable[..., Any]) -> Any:
    """A secured server with tokens, and so reservations, of 3 s, and one place."""
    settings = {"server.public_url": PUBLIC, "twilio.token_lifetime_s": 3, "call.capacity": 1}
    return serve(QUICK | settings, TWILIO_AUTH_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def pair(serve: Callable[..., Any]) -> Any:
    """A server with two places, and no account."""
    return serve(QUICK | {"call.capacity": 2})


# Who may call


def test_signed_webhook_is_connected_to_the_public_media_url(secured: Any) -> None:
    answer = post(secured, "/twilio/voice", {"CallSid": call_id(1), "From": "+15550100"})
    twiml = ElementTree.fromstring(answer.text)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/xml")
    assert twiml.find("Connect/Stream").attrib["url"] == "wss://voice.example.com/line/twilio/media"
    assert twiml.find("Connect").attrib["action"] == PUBLIC + "/twilio/after"
    assert set(parameters(answer.text)) == {"agent", "token"}
    forget(secured, call_id(1))


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/after", "/twilio/status"])
@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda path, form: {}, id="no signature"),
        pytest.param(lambda path, form: {"X-Twilio-Signature": ""}, id="empty"),
        pytest.param(lambda path, form: sign(PUBLIC + path, form, "another token"), id="another token"),
        pytest.param(lambda path, form: sign(PUBLIC + path, form | {"To": "+1"}), id="another form"),
        pytest.param(lambda path, form: sign("http://127.0.0.1" + path, form), id="another host"),
        pytest.param(lambda path, form: sign(PUBLIC + path + "?agent=x", form), id="another query"),
    ],
)
def test_unsigned_webhook_is_refused(secured: Any, path: str, forge: Callable[..., dict[str, str]]) -> None:
    form = {"CallSid": call_id(2)}
    answer = post(secured, path, form, headers := forge(path, form))
    why = "is wrong; is server.public_url right?" if headers.get("X-Twilio-Signature") else "is missing: this is not"
    assert answer.status_code == 403
    assert why in answer.text
    secured.wait_for(f"refused: {answer.text.strip()}", path=path, status=403)


def test_signature_covers_fields_that_come_twice_and_query_strings(secured: Any) -> None:
    once = [("CallSid", call_id(3)), ("MediaUrl", "b"), ("Empty", ""), ("Name", "Zoë & Søn")]
    twice = [*once, ("MediaUrl", "a")]
    path = "/twilio/voice?agent=front_desk&note=a%20b%26c"
    for signed, sent, status in ((once, once, 200), (twice, twice, 200), (once, twice, 403), (twice, once, 403)):
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | sign(PUBLIC + path, MultiDict(signed))
        answer = httpx.post(secured.url + path, content=urlencode(sent), headers=headers)
        assert answer.status_code == status, (signed, sent)
    forget(secured, call_id(3))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"CallSid=", 400),
        (b"CallSid=../../etc/passwd", 400),
        (b"CallSid=CA1%0AINFO+forged", 400),
        (b"\xff\xfe=\xff", 400),
        (b"a=1&" * 600 + b"CallSid=CA1", 400),
        (b"CallSid=CA1&x=" + b"x" * 70_000, 413),
        (b"CallSid=CA1&CallSid=CA2", 200),
    ],
)
def test_forms_that_are_none_are_refused(pair: Any, body: bytes, status: int) -> None:
    answer = httpx.post(pair.url + "/twilio/status", content=body)
    assert answer.status_code == (204 if status == 200 else status)


def test_unknown_agent_is_refused(pair: Any) -> None:
    answer = post(pair, "/twilio/voice?agent=nobody", {"CallSid": call_id(4)}, {})
    assert answer.status_code == 404
    assert "nobody" in answer.text


async def test_upgrade_without_signature_is_refused_before_it_is_accepted(secured: Any, dial: Dial) -> None:
    for headers in ({}, sign("wss://voice.example.com/twilio/media"), sign(PUBLIC + "/twilio/media")):
        with pytest.raises(InvalidStatus) as refused:
            await dial(secured.url, headers=headers)
        assert refused.value.response.status_code == 403
    assert (await dial(secured.url, headers=upgrade(), start=False)).received == []


async def test_token_of_the_webhook_opens_the_stream_once(secured: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(secured.url, headers=upgrade(), start=False)
    twiml = await in_thread(post, secured, "/twilio/voice", {"CallSid": phone.call})
    await phone.start(**parameters(twiml.text))
    await phone.get("media")
    again = await dial(secured.url, headers=upgrade(), start=False)
    again.call = phone.call
    await again.start(**parameters(twiml.text))
    assert await again.closed() == (1008, "stream token was used already")
    assert phone.audio_ms() > 0
    await phone.hang_up()


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, "stream token is malformed"), ("x" * 64, "not for this call"), ("\u2713", "malformed"), ("A" * 9, "malf")],
)
async def test_stream_without_a_good_token_is_closed(
    secured: Any, dial: Dial, in_thread: Dial, token: str | None, reason: str
) -> None:
    phone = await dial(secured.url, headers=upgrade(), **({} if token is None else {"token": token}))
    code, why = await phone.closed()
    assert (code, reason in why) == (1008, True), why
    line = await in_thread(secured.wait_for, f"refused: {why} (close code 1008)", call=phone.call)
    assert line["level"] == "WARNING"


async def test_token_of_another_call_is_refused(secured: Any, dial: Dial, in_thread: Dial) -> None:
    twiml = await in_thread(post, secured, "/twilio/voice", {"CallSid": call_id(5)})
    phone = await dial(secured.url, headers=upgrade(), **parameters(twiml.text))
    assert await phone.closed() == (1008, "stream token is not for this call")
    await in_thread(forget, secured, call_id(5))


async def test_token_is_refused_after_a_restart(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    """The new process cannot know which tokens were used."""
    settings = QUICK | {"server.public_url": PUBLIC}
    first = await in_thread(serve, settings, TWILIO_AUTH_TOKEN=TOKEN)
    phone = await dial(first.url, headers=upgrade(), start=False)
    twiml = await in_thread(post, first, "/twilio/voice", {"CallSid": phone.call})
    await phone.start(**parameters(twiml.text))
    await phone.get("media")
    first.process.kill()
    second = await in_thread(serve, settings, TWILIO_AUTH_TOKEN=TOKEN)
    again = await dial(second.url, headers=upgrade(), start=False)
    again.call = phone.call
    await again.start(**parameters(twiml.text))
    assert await again.closed() == (1008, "stream token is not for this call")


async def test_webhooks_and_upgrades_signed_with_a_shared_key(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial
) -> None:
    """As Twilio signs where a webhook rule names a key; no auth token need be known here."""
    name, secret = "webhooks_sharedkey_01k4h7g2n8", "secret-of-the-shared-key"
    settings = {"X-Twilio-Webhooks-Signature-Settings": f"key={name},algorithm=HMAC_SHA256"}

    def signed(url: str, form: Mapping[str, str]) -> dict[str, str]:
        return {"X-Twilio-Signature": RequestValidator(secret).compute_signature(url, form, "HMAC_SHA256"), **settings}

    server = await in_thread(serve, QUICK | {"server.public_url": PUBLIC, "twilio.shared_keys": {name: secret}})
    form = {"CallSid": call_id(11)}
    headers = signed(PUBLIC + "/twilio/voice", form)
    twiml = await in_thread(post, server, "/twilio/voice", form, headers)
    assert twiml.status_code == 200
    phone = await dial(server.url, headers=signed("wss://voice.example.com/line/twilio/media", {}), start=False)
    phone.call = call_id(11)
    await phone.start(**parameters(twiml.text))
    await phone.get("media")
    await phone.hang_up()
    assert (await in_thread(post, server, "/twilio/voice", form)).status_code == 403
    assert secret not in str(list(server.log)) + "".join(server.other_output)


def test_until_a_shared_key_is_set_the_log_names_the_cause(secured: Any) -> None:
    headers = sign(PUBLIC + "/twilio/voice", {}) | {
        "X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_9,algorithm=HMAC_SHA256"
    }
    answer = post(secured, "/twilio/voice", {"CallSid": call_id(12)}, headers)
    why = "signed with the shared key 'webhooks_sharedkey_9', which twilio.shared_keys does not have"
    assert (answer.status_code, answer.text.strip()) == (403, why)
    secured.wait_for(f"refused: {why}", path="/twilio/voice", status=403)


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": ""}])
async def test_a_request_without_a_signature_is_refused_before_its_body_is_read(
    secured: Any, headers: dict[str, str]
) -> None:
    host, port = secured.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n{lines}\r\n".encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)
    assert answer.startswith(b"HTTP/1.1 403 ")
    writer.close()


async def test_expired_token_is_refused_and_the_place_is_free_again(hasty: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(hasty.url, headers=upgrade(), start=False)
    twiml = await in_thread(post, hasty, "/twilio/voice", {"CallSid": phone.call})
    assert "<Stream" in twiml.text

    async def free() -> bool:
        return bool((await in_thread(ready, hasty))["free"])

    await until(free)
    await phone.start(**parameters(twiml.text))
    assert await phone.closed() == (1008, "stream token has expired")


async def test_without_an_account_a_start_needs_no_token(pair: Any, dial: Dial) -> None:
    phone = await dial(pair.url)
    await phone.get("media")
    await phone.hang_up()


async def test_start_with_an_unknown_agent_is_closed(pair: Any, dial: Dial) -> None:
    phone = await dial(pair.url, agent="nobody")
    assert await phone.closed() == (1008, "there is no agent 'nobody'")


# How many


async def test_full_server_says_so_and_calls_go_on(pair: Any, dial: Dial, in_thread: Dial) -> None:
    phones = [await dial(pair.url) for _ in range(2)]
    for phone in phones:
        phone.hold()
        await phone.get("media")
    answer = await in_thread(post, pair, "/twilio/voice", {"CallSid": call_id(6)}, {})
    assert answer.status_code == 200
    assert [item.tag for item in ElementTree.fromstring(answer.text)] == ["Say", "Hangup"]
    assert "lines are busy" in answer.text
    third = await dial(pair.url)
    assert (await third.closed())[0] == 1013
    health = await in_thread(httpx.get, pair.url + "/readyz")
    assert (health.status_code, health.json()) == (503, {"status": "full", "active": 2, "free": 0})

    for phone in phones:  # nobody noticed: the greeting comes to its end, all frames have arrived
        await phone.get("mark", 4)
        await phone.release()
        await phone.hang_up()
        line = await in_thread(pair.wait_for, "ended", call=phone.call)
        assert (line["frames"], line["gaps"], line["outcome"]) == (phone.frames, 0, "hangup")
    assert (await in_thread(ready, pair))["free"] == 2


async def test_two_webhooks_race_for_the_last_place(hasty: Any) -> None:
    async with httpx.AsyncClient(base_url=hasty.url) as client:
        forms = [{"CallSid": call_id(number)} for number in (7, 8, 9)]
        answers = await asyncio.gather(
            *(client.post("/twilio/voice", data=form, headers=sign(PUBLIC + "/twilio/voice", form)) for form in forms)
        )
    assert sorted("<Stream" in answer.text for answer in answers) == [False, False, True]


def test_a_call_that_is_over_before_its_stream_gives_its_place_back(secured: Any) -> None:
    free = ready(secured)["free"]
    form = {"CallSid": call_id(10)}
    post(secured, "/twilio/voice", form)
    post(secured, "/twilio/voice", form)  # Twilio repeats a webhook that it got no answer to
    assert ready(secured)["free"] == free - 1
    post(secured, "/twilio/status", form | {"CallStatus": "in-progress"})
    assert ready(secured)["free"] == free - 1
    assert post(secured, "/twilio/status", form | {"CallStatus": "completed"}).status_code == 204
    assert ready(secured)["free"] == free


async def test_second_stream_of_a_call_is_refused(pair: Any, dial: Dial) -> None:
    phone = await dial(pair.url)
    phone.hold()
    await phone.get("media")
    second = await dial(pair.url, start=False)
    second.call = phone.call
    await second.start()
    assert await second.closed() == (1013, "no capacity, or this call has a stream already")
    await phone.get("mark", 4)
    await phone.release()
    await phone.hang_up()


# What follows


async def test_after_a_call_twilio_hangs_up(pair: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(pair.url)
    await phone.get("media")
    await phone.hang_up()
    for sid in (phone.call, phone.call, call_id(99)):  # asked twice, and of a call that never was
        answer = await in_thread(post, pair, "/twilio/after", {"CallSid": sid}, {})
        assert [item.tag for item in ElementTree.fromstring(answer.text)] == ["Hangup"]


async def test_after_a_failure_the_caller_is_told(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    slow = {"engine.simulated.first_word_ms": 60_000, "reply.timeout_s": 0.1}
    server = await in_thread(serve, QUICK | slow)
    phone = await dial(server.url)
    assert await phone.closed() == (1000, "the agent hung up")
    for _ in range(2):
        answer = await in_thread(post, server, "/twilio/after", {"CallSid": phone.call}, {})
        assert [item.tag for item in ElementTree.fromstring(answer.text)] == ["Say", "Hangup"]
        assert "something went wrong" in answer.text
    assert (await in_thread(server.wait_for, "ended", call=phone.call))["outcome"] == "failed"
    assert await in_thread(server.metric, 'voxline_calls_total{outcome="failed"}') == 1


class Operator:
    """A model that transfers every caller."""

    async def load(self) -> None:
        """Nothing to load."""

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        assert request.cue is Cue.GREET
        yield Text("One moment.")
        yield Done(next=Next.TRANSFER, transfer_to="reception")

    def cancel(self, request: str) -> None:
        """Nothing goes on."""

    async def close(self) -> None:
        """Nothing to give back."""


@asynccontextmanager
async def in_this_process(model: Any) -> AsyncGenerator[str, None]:
    """A server in this process, with this model; yields its URL."""
    settings = load_settings(None, {"server.port": 0, "records.mode": "off"} | QUICK)
    app = App(settings, Engine(model, SimulatedSynthesizer(settings.engine.simulated)))
    server = build_server(app, settings)
    async with running(server) as port:
        yield f"http://127.0.0.1:{port}"


async def test_after_a_transfer_twilio_dials_the_agents_number(dial: Dial) -> None:
    async with in_this_process(Operator()) as url, httpx.AsyncClient(base_url=url) as client:
        phone = await dial(url)
        assert await phone.closed() == (1000, "transferred")
        assert time.monotonic() > phone.plays_until  # the last word was heard before
        for _ in range(2):
            answer = await client.post("/twilio/after", data={"CallSid": phone.call})
            twiml = ElementTree.fromstring(answer.text)
            assert twiml.findtext("Dial/Number", "").startswith("+")


# Health and logs


def test_health(pair: Any) -> None:
    assert httpx.get(pair.url + "/healthz").json() == {"status": "ok"}
    answer = httpx.get(pair.url + "/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "active": 0, "free": 2})


@pytest.mark.parametrize(
    ("method", "path", "status", "why"),
    [
        ("GET", "/twilio/voice", 405, "GET, where only POST is answered"),
        ("PUT", "/metrics", 405, "PUT, where only GET, HEAD is answered"),
        ("GET", "/twilio/media", 404, "there is nothing at this path"),
        ("GET", "/nothing/" + "x" * 500, 404, "there is nothing at this path"),
        (
            "POST",
            "/twilio/voice/",
            404,
            "there is nothing at this path",
        ),  # no redirect: its address would be the proxy's
    ],
)
def test_what_is_not_there_is_refused_with_a_line(pair: Any, method: str, path: str, status: int, why: str) -> None:
    name = f'voxline_refused_total{{reason="{status}"}}'
    httpx.request(method, pair.url + path)
    before = pair.metric(name)
    answer = httpx.request(method, pair.url + path)
    assert (answer.status_code, sorted(answer.text.strip())) == (status, sorted(why))
    assert (status == 405) == ("allow" in answer.headers)
    pair.wait_for(f"refused: {answer.text.strip()}", path=path[:80], status=status)
    assert pair.metric(name) == before + 1


async def test_a_socket_that_is_not_there_is_refused_with_a_line(pair: Any, in_thread: Dial) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect("ws" + pair.url.removeprefix("http") + "/twilio/nothing"):
            pass
    assert refused.value.response.status_code == 404
    await in_thread(pair.wait_for, "refused: there is no socket at this path", path="/twilio/nothing", status=404)


def test_a_scanner_does_not_flood_the_log(serve: Callable[..., Any]) -> None:
    server = serve(QUICK)
    with httpx.Client(base_url=server.url) as client:
        for number in range(300):
            client.get(f"/{number}.php")
        begin = time.monotonic()
        assert client.get("/healthz").status_code == 200
    assert server.metric('voxline_refused_total{reason="404"}') == 300
    lines = [line for line in list(server.log) if line["message"].startswith("refused")]
    assert len(lines) <= 20 + 60 + time.monotonic() - begin


async def test_logs_hold_the_calls_id_and_no_secret(secured: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(secured.url, headers=upgrade(), start=False)
    twiml = await in_thread(post, secured, "/twilio/voice", {"CallSid": phone.call, "From": "+15550199"})
    token = parameters(twiml.text)["token"]
    await phone.start(token=token, agent="front_desk")
    await phone.get("mark", 4)
    await in_thread(secured.wait_for, "said", call=phone.call)
    await phone.hang_up()
    await in_thread(secured.wait_for, "ended", call=phone.call)
    lines = [line for line in secured.log if line.get("call") == phone.call]
    assert [line["message"] for line in lines] == ["call", "started", "said", "ended"]
    text = str(list(secured.log)) + "".join(secured.other_output)
    for secret in (TOKEN, token, "word1", "+15550199"):
        assert secret not in text


def test_unsecured_server_says_that_nobody_is_checked(pair: Any) -> None:
    assert any("callers are not checked" in line for line in pair.other_output)
    assert pair.wait_for("listening")["secured"] is False
