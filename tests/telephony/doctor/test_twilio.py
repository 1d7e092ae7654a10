"""What the doctor says of HTTP and Twilio."""

import socket

import pytest

from telephony.doctor import twilio
from tests.telephony.doctor.findings import of, settings, text

TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = {"twilio__auth_token": TOKEN, "server__public_url": "https://voice.example.com", "server__port": 0}


def test_without_an_account_it_is_local() -> None:
    local = settings(server__port=0, sip__enabled=False)
    assert of("warning", twilio.check(local)) == [
        "Twilio cannot call: there is no twilio.auth_token, so voxline listens to this machine only"
    ]
    assert of("warning", twilio.check(settings(server__port=0))) == []  # over SIP is enough


def test_an_account_in_order_and_what_to_enter_where() -> None:
    found = list(twilio.check(settings(**ACCOUNT)))
    assert {finding.level for finding in found} == {"ok"}
    assert "https://voice.example.com/twilio/voice, by POST" in text(found)
    assert "with WebSocket upgrades on /twilio/media" in text(found)
    behind = text(twilio.check(settings(**ACCOUNT | {"server__public_url": "https://example.com/agent/"})))
    assert "https://example.com/agent/twilio/voice" in behind
    assert "without the /agent in front" in behind


@pytest.mark.parametrize(
    ("public_url", "said"),
    [
        ("http://voice.example.com", "wss:// only"),
        ("https://localhost", "Twilio cannot reach localhost"),
        ("https://10.1.2.3", "Twilio cannot reach 10.1.2.3"),
        ("https://desk.local", "Twilio cannot reach desk.local"),
        ("https://voice", "Twilio cannot reach voice"),
        ("https://voice.example.com/twilio/voice", "must end before /twilio"),
        ("https://user:secret@voice.example.com", "server.public_url must be http(s)://host"),
    ],
)
def test_an_address_that_twilio_cannot_call(public_url: str, said: str) -> None:
    found = list(twilio.check(settings(**ACCOUNT | {"server__public_url": public_url})))
    assert said in of("problem", found)[0]
    assert "console" not in text(found)
    assert "secret@" not in text(found)


def test_a_token_that_is_none_and_is_not_shown() -> None:
    found = list(twilio.check(settings(**ACCOUNT | {"twilio__auth_token": "very-secret"})))
    assert "twilio.auth_token does not look like one" in of("warning", found)[0]
    assert "very-secret" not in text(found)
    assert TOKEN not in text(twilio.check(settings(**ACCOUNT)))


def test_http_that_is_open_to_others() -> None:
    found = of("warning", twilio.check(settings(**ACCOUNT | {"server__host": "0.0.0.0"})))
    assert "http://0.0.0.0:0 is open to others, without encryption" in found[0]


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        used = settings(server__port=port)
        said = f"server.host, server.port: cannot listen on 127.0.0.1:{port}: Address already in use"
        assert of("problem", twilio.check(used)) == [said]
        assert of("problem", twilio.check(used, running=True)) == []
