"""Addresses and signatures."""

import httpx
import pytest
from twilio.request_validator import RequestValidator

from config.exceptions import SettingsError
from telephony.simulator.phone import CallFailed
from telephony.simulator.twilio.twiml import Hangup
from telephony.simulator.twilio.webhooks import Webhooks, webhook_of


@pytest.mark.parametrize(
    ("given", "webhook"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/twilio/voice"),
        ("https://host/", "https://host/twilio/voice"),
        ("https://host/hook?x=1", "https://host/hook?x=1"),
        ("ws://host", "ws://host"),
    ],
)
def test_the_webhooks_address(given: str, webhook: str) -> None:
    assert webhook_of(given) == webhook


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://host", "http://"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(SettingsError, match="address"):
        webhook_of(url)


IDENTITY = {"CallSid": "CA1", "AccountSid": "AC1", "From": "+1", "To": "+2"}


async def test_a_public_address_is_signed_and_the_local_one_is_asked() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, text="<Response><Hangup/></Response>")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        hooks = Webhooks(
            "http://127.0.0.1:8080/twilio/voice",
            http,
            identity=IDENTITY,
            auth_token="secret",
            public_url="https://voice.example.com",
        )
        assert hooks.voice_url == "https://voice.example.com/twilio/voice"
        assert hooks.local("wss://voice.example.com/media") == "ws://127.0.0.1:8080/media"
        assert hooks.local("wss://elsewhere.example.com/media") == "wss://elsewhere.example.com/media"
        assert await hooks.fetch(hooks.voice_url, "ringing") == [Hangup()]
        await hooks.completed(12)
    first, last = asked
    assert str(first.url) == "http://127.0.0.1:8080/twilio/voice"
    form = dict(httpx.QueryParams(first.content.decode()))
    assert form == IDENTITY | {"CallStatus": "ringing"}
    signature = first.headers["X-Twilio-Signature"]
    assert RequestValidator("secret").validate(hooks.voice_url, form, signature)
    assert str(last.url) == "http://127.0.0.1:8080/twilio/status"
    form = dict(httpx.QueryParams(last.content.decode()))
    assert (form["CallStatus"], form["CallDuration"]) == ("completed", "12")
    url = "https://voice.example.com/twilio/status"
    assert RequestValidator("secret").validate(url, form, last.headers["X-Twilio-Signature"])


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (httpx.Response(403, text="bad\nsignature"), "HTTP 403: bad signature"),
        (httpx.Response(500), "HTTP 500$"),
        (httpx.Response(200, text="<html/>"), "<html>"),
    ],
)
async def test_what_comes_back_wrong_is_said(response: httpx.Response, reason: str) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: response)) as http:
        hooks = Webhooks("http://h/v", http, identity=IDENTITY, auth_token=None, public_url=None)
        with pytest.raises(CallFailed, match=reason):
            await hooks.fetch("http://h/v", "ringing")
