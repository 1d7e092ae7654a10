"""Twilio's part of the server: which media sockets are taken, and which of their streams become calls."""

import time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from twilio.request_validator import RequestValidator

from config.parties import Parties
from config.settings import load_settings
from telephony.lines.admission import Admission
from telephony.lines.exceptions import ProtocolError
from telephony.lines.line import Line, Listener
from telephony.lines.metrics import Metrics
from telephony.lines.outcomes import Outcomes
from telephony.lines.refusals import Refusals
from telephony.lines.twilio.service import TwilioService

TOKEN, PUBLIC = "secret-of-the-account", "https://voice.example.com"
SECURED = {"twilio.auth_token": TOKEN, "server.public_url": PUBLIC}
CALL = f"CA{1:032x}"


class Quiet(Listener):
    """Takes the call, and has nothing to say."""

    taping = False

    async def closed(self) -> None: ...


class Calls:
    """A registry with places for all; it remembers who came."""

    def __init__(self) -> None:
        self.is_ready = True
        self.crowded = False
        self.entered: list[Line] = []
        self.left: list[Line] = []
        self.joined: list[tuple[str, str, Parties]] = []

    def enter(self, line: Line) -> None:
        self.entered.append(line)

    def leave(self, line: Line) -> None:
        self.left.append(line)

    def join(self, line: Line, agent: str) -> Listener:
        if agent == "nobody":
            raise ProtocolError(1008, "there is no agent 'nobody'")
        self.joined.append((line.call_id, agent, line.parties))
        return Quiet()

    def connect(self, line: Line, agent: str, keys: str = "") -> Listener:
        raise AssertionError("Twilio's calls join")


class Place:
    """Twilio's part alone."""

    def __init__(self, **settings: Any) -> None:
        self.calls = Calls()
        self.admission = Admission(2, 60, time.monotonic)
        metrics = Metrics()
        service = TwilioService(
            load_settings(None, settings),
            ["front_desk"],
            self.calls,
            admission=self.admission,
            outcomes=Outcomes(60, time.monotonic),
            metrics=metrics,
            refusals=Refusals(metrics),
        )
        self.client = TestClient(Starlette(routes=service.routes()))

    def denied(self, **headers: str) -> tuple[int, str]:
        """The answer to an upgrade that is refused."""
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            self.client.websocket_connect("/twilio/media", headers=headers),
        ):
            pass
        return refused.value.status_code, refused.value.text.strip()

    def stream(self, headers: dict[str, str] | None = None, **parameters: str) -> tuple[int, str]:
        """A stream that starts and stops; how its socket is closed."""
        start = {
            "streamSid": "MZ" + "0" * 32,
            "accountSid": "AC" + "0" * 32,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        sid = start["streamSid"]
        with self.client.websocket_connect("/twilio/media", headers=dict(headers or {})) as socket:
            socket.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
            socket.send_json({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": sid})
            socket.send_json({"event": "stop", "streamSid": sid, "stop": {"callSid": CALL}})
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_text()
        return closed.value.code, closed.value.reason


def sign(url: str, form: dict[str, str] | None = None) -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form or {})}


UPGRADE = sign("wss://voice.example.com/twilio/media")


def test_an_upgrade_that_twilio_has_not_signed_is_refused() -> None:
    place = Place(**SECURED)
    status, why = place.denied()
    assert (status, "the signature is missing" in why) == (403, True)
    status, why = place.denied(**sign("wss://elsewhere.example.com/twilio/media"))
    assert (status, "the signature of the upgrade is wrong" in why) == (403, True)


def test_a_stream_joins_its_agent_and_leaves() -> None:
    place = Place()
    assert place.stream(agent="sales") == (1000, "the caller hung up")
    assert [(call, agent) for call, agent, _ in place.calls.joined] == [(CALL, "sales")]
    assert place.calls.entered == place.calls.left != []


def test_without_a_name_the_settings_say_which_agent_answers() -> None:
    place = Place(**{"call.agent": "museum"})
    place.stream()
    assert [agent for _, agent, _ in place.calls.joined] == ["museum"]


def test_a_call_that_finds_no_listener_is_closed_with_the_reason_and_leaves() -> None:
    place = Place()
    assert place.stream(agent="nobody") == (1008, "there is no agent 'nobody'")
    assert place.calls.entered == place.calls.left != []


def test_with_an_account_a_stream_needs_the_token_that_the_webhook_gave() -> None:
    place = Place(**SECURED)
    code, _ = place.stream(UPGRADE, token="forged")
    assert (code, place.calls.joined) == (1008, [])
    form = {"CallSid": CALL, "From": "+15550100123", "To": "+15550100199"}
    twiml = place.client.post("/twilio/voice", data=form, headers=sign(f"{PUBLIC}/twilio/voice", form)).text
    token = twiml.split('name="token" value="')[1].split('"')[0]
    assert place.stream(UPGRADE, token=token) == (1000, "the caller hung up")
    [(_, agent, parties)] = place.calls.joined
    assert (agent, parties.caller, parties.called) == ("front_desk", "+15550100123", "+15550100199")
