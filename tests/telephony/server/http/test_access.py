"""Which requests are served at all: none from pages in browsers, and some only from this machine. Over real sockets."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

AUTH_TOKEN = "secret-of-the-account"
METRICS_TOKEN = "secret-of-prometheus"
PUBLIC = "https://voice.example.com"
QUICK = {"engine.profile": "simulated"}
CALL = {"CallSid": "CA" + "1" * 32}

InThread = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def open_server(serve: Callable[..., Any]) -> Any:
    """Without credentials, on loopback."""
    return serve(QUICK)


@pytest.fixture(scope="module")
def secured(serve: Callable[..., Any]) -> Any:
    return serve(QUICK | {"server.public_url": PUBLIC}, TWILIO_AUTH_TOKEN=AUTH_TOKEN)


@pytest.fixture(scope="module")
def observed(serve: Callable[..., Any]) -> Any:
    """With a token for its metrics."""
    return serve(QUICK, VOXLINE_SERVER__METRICS_TOKEN=METRICS_TOKEN)


# Pages in a browser on the same machine


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::1", "a@b"]
)
def test_a_host_that_is_none_of_ours_is_refused_without_credentials(open_server: Any, host: str) -> None:
    answer = httpx.post(open_server.url + "/twilio/voice", data=CALL, headers={"Host": host})
    assert answer.status_code == 421
    assert "not this server's; is server.public_url right?" in answer.text
    open_server.wait_for(f"refused: {answer.text.strip()}", status=421, path="/twilio/voice")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/readyz"), ("GET", "/metrics"), ("POST", "/calls"), ("GET", "/")]
)
def test_nothing_is_told_to_another_host(open_server: Any, method: str, path: str) -> None:
    assert httpx.request(method, open_server.url + path, headers={"Host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:80", "LOCALHOST", "127.0.0.1", "127.1.2.3:80", "[::1]:80"])
def test_names_of_this_machine_are_ours(open_server: Any, host: str) -> None:
    assert httpx.get(open_server.url + "/readyz", headers={"Host": host}).status_code == 200


def test_the_public_name_is_ours(serve: Callable[..., Any]) -> None:
    server = serve(QUICK | {"server.public_url": "https://Voice.example.com:8443/line"})
    for host in ("voice.example.com", "voice.example.com:8443"):
        answer = httpx.post(server.url + "/twilio/status", data=CALL, headers={"Host": host})
        assert answer.status_code == 204
    assert httpx.get(server.url + "/readyz", headers={"Host": "voice.example.org"}).status_code == 421


def test_where_callers_prove_themselves_any_host_may_lead_here(secured: Any) -> None:
    headers = {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC + "/twilio/status", CALL)}
    answer = httpx.post(secured.url + "/twilio/status", data=CALL, headers=headers | {"Host": "internal:80"})
    assert answer.status_code == 204


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", "file://", "", "http://[::1"])
async def test_a_page_of_another_origin_gets_neither_socket_nor_place(
    open_server: Any, in_thread: InThread, origin: str
) -> None:
    since = len(open_server.log)
    url = "ws" + open_server.url.removeprefix("http") + "/twilio/media"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403
    answer = await in_thread(httpx.post, open_server.url + "/twilio/voice", data=CALL, headers={"Origin": origin})
    assert answer.status_code == 403
    assert (await in_thread(httpx.get, open_server.url + "/readyz")).json()["active"] == 0
    lines = list(open_server.log)[since:]
    assert [line.get("status") for line in lines] == [403, 403], lines


async def test_a_page_of_our_own_may(open_server: Any) -> None:
    url = "ws" + open_server.url.removeprefix("http") + "/twilio/media"
    async with connect(url, additional_headers={"Origin": open_server.url}):
        pass


# What is for this machine


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "voice.example.com"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Host": "voice.example.com"},
        {"Forwarded": "for=203.0.113.9"},
        {"Cf-Connecting-Ip": "203.0.113.9"},
        {"X-Real-IP": "203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"X-Forwarded-For": ""},
    ],
)
def test_metrics_do_not_pass_a_tunnel(secured: Any, headers: dict[str, str]) -> None:
    answer = httpx.get(secured.url + "/metrics", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "server.metrics_token" in answer.text
    ready = httpx.get(secured.url + "/readyz", headers=headers)
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert httpx.get(secured.url + "/healthz", headers=headers).json() == {"status": "ok"}


def test_metrics_from_this_machine(secured: Any) -> None:
    assert "voxline_calls_active" in httpx.get(secured.url + "/metrics").text
    assert set(httpx.get(secured.url + "/readyz").json()) == {"status", "active", "free"}


def test_metrics_for_whoever_bears_the_token(observed: Any) -> None:
    right = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    for headers in (right, right | {"X-Forwarded-For": "203.0.113.9"}):
        assert "voxline_calls_active" in httpx.get(observed.url + "/metrics", headers=headers).text
    for given in (None, "", "Bearer", f"Bearer {METRICS_TOKEN}x", f"Basic {METRICS_TOKEN}", "Bearer \u00e9"):
        headers = {} if given is None else {"Authorization": given.encode("latin-1")}
        assert httpx.get(observed.url + "/metrics", headers=headers).status_code == 401
    assert METRICS_TOKEN not in str(list(observed.log)) + "".join(observed.other_output)


# Pages that may call


@pytest.fixture(scope="module")
def listed(serve: Callable[..., Any]) -> Any:
    """With pages elsewhere that may call."""
    return serve(QUICK | {"browser.origins": ["https://shop.example"]})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/browser/voxline.js", 200),
        ("POST", "/browser/token", 401),
        ("GET", "/readyz", 403),
        ("POST", "/twilio/voice", 403),
        ("GET", "/browserx", 403),
    ],
)
def test_a_listed_page_reaches_the_phone_and_nothing_else(listed: Any, method: str, path: str, status: int) -> None:
    assert httpx.request(method, listed.url + path, headers={"Origin": "https://shop.example"}).status_code == status


@pytest.mark.parametrize("origin", ["https://shop.example.evil.example", "http://shop.example", "null"])
def test_others_do_not(listed: Any, origin: str) -> None:
    assert httpx.get(listed.url + "/browser/voxline.js", headers={"Origin": origin}).status_code == 403


async def test_the_phones_socket_is_for_listed_pages(listed: Any) -> None:
    url = listed.url.replace("http", "ws", 1) + "/browser/media"
    async with connect(url, origin="https://shop.example"):  # type: ignore[arg-type]
        pass
    with pytest.raises(InvalidStatus, match="403"):
        await connect(url, origin="https://evil.example")  # type: ignore[arg-type]
