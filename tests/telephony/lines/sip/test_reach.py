"""Calls over TLS, over IPv6 and from behind NATs, over real sockets: the addresses used, and that both sides hear."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.lines.sip.call import SipCall
from telephony.lines.sip.dialogs.events import Answered, Ended
from telephony.lines.sip.syntax import sdp
from telephony.lines.sip.syntax.header import parse_name_addr, parse_via
from telephony.lines.sip.syntax.message import Request, Response
from telephony.server.app import App
from tests.telephony.lines.sip.phone import QUICK, Phone, likeness, over, server

pytestmark = pytest.mark.looptime
Open = Callable[..., Awaitable[Phone]]
PRIVATE = "192.0.2.77"  # for documentation: nobody is there


def line_of(app: App) -> SipCall:
    (line,) = app.calls
    assert isinstance(line, SipCall)
    return line


async def converse(app: App, one: Phone, sent: list[bytes]) -> SipCall:
    """Hear the agent, be heard, and have the agent hang up."""
    await one.talk()
    await one.until(lambda: len(one.speech()) > 40)
    assert likeness(b"".join(sent), one.pcm()) > 0.99
    line = line_of(app)
    await one.until(lambda: line.counts()["frames"] > 20)
    line.hang_up()
    await one.wait(Ended)
    await over(app)
    return line


def answer_of(one: Phone) -> Response:
    return next(m for m in one.messages if isinstance(m, Response) and m.status == 200)


@pytest.mark.parametrize("scheme", ["sip", "sips"])
async def test_a_call_by_tls_with_encrypted_audio(
    phone: Open, sent: list[bytes], certificate: dict[str, str], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    pytest.importorskip("pylibsrtp")
    monkeypatch.setattr(Phone, "secure", "required")
    monkeypatch.setattr(Phone, "scheme", scheme)
    tls = {f"sip__{key}": value for key, value in certificate.items()}
    async with server(sip__srtp="required", sip__transports=["tls"], sip__tls_port=0, **tls) as app:
        assert app.sip
        assert list(app.sip.ports) == ["TLS"]
        one = await phone(app, "TLS", authority=certificate["tls_cert"])
        line = await converse(app, one, sent)
        assert line.media is not None
        assert line.media.srtp is not None
        assert line.media.srtp.forged == 0
        contact = parse_name_addr(answer_of(one).headers.get("Contact")).uri
        assert (contact.scheme, contact.port) == (scheme, app.sip.ports["TLS"])
        assert contact.params.get("transport") == ("tls" if scheme == "sip" else None)
        bye = next(m for m in one.messages if isinstance(m, Request) and m.method == "BYE")
        assert parse_via(bye.headers.get("Via")).transport == "TLS"


async def test_plain_audio_by_tls_is_refused_where_encryption_is_required(
    phone: Open, certificate: dict[str, str]
) -> None:
    pytest.importorskip("pylibsrtp")
    tls = {f"sip__{key}": value for key, value in certificate.items()}
    async with server(sip__srtp="required", sip__transports=["tls"], sip__tls_port=0, **tls) as app:
        one = await phone(app, "TLS", authority=certificate["tls_cert"])
        one.dial()
        assert (await one.wait(Ended)).status == 488


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_call_over_ipv6(phone: Open, sent: list[bytes], certificate: dict[str, str], transport: str) -> None:
    tls = {f"sip__{key}": value for key, value in certificate.items()}
    async with server(sip__host="::1", sip__transports=["udp", "tcp", "tls"], sip__tls_port=0, **tls) as app:
        one = await phone(app, transport, host="::1", authority=certificate["tls_cert"])
        await converse(app, one, sent)
        answer = answer_of(one)
        assert parse_name_addr(answer.headers.get("Contact")).uri.host == "::1"
        assert parse_via(answer.headers.get("Via")).params["received"] == "::1"
        assert sdp.parse(answer.body).address(sdp.parse(answer.body).media[0]) == "::1"


async def test_an_ipv4_offer_over_ipv6_is_refused(phone: Open) -> None:
    async with server(sip__host="::1") as app:
        one = await phone(app, host="::1")
        one.dial(body=one.negotiation.offer().replace(b"IP6 ::1", b"IP4 127.0.0.1"))
        assert (await one.wait(Ended)).status == 488


@pytest.mark.parametrize("rport", [True, False])
async def test_a_phone_behind_a_nat(
    phone: Open, sent: list[bytes], monkeypatch: pytest.MonkeyPatch, rport: bool
) -> None:
    """It gives its private address in Via, Contact and SDP; answers, requests and audio go to where it really is."""
    async with server(sip__nat=True) as app:
        one = await phone(app, says=PRIVATE)
        if not rport:
            send = one.send
            monkeypatch.setattr(one, "send", lambda data: send(data.replace(b";rport", b"")))
        line = await converse(app, one, sent)
        assert line.media is not None
        assert line.media.remote is not None
        assert line.media.remote[0] == one.host
        invite = parse_via(answer_of(one).headers.get("Via"))
        assert (invite.host, invite.params["received"]) == (PRIVATE, one.host)


async def test_without_nat_audio_from_elsewhere_is_not_heard(phone: Open) -> None:
    async with server() as app:
        one = await phone(app)
        one.dial(body=one.negotiation.offer().replace(b"IP4 127.0.0.1", f"IP4 {PRIVATE}".encode()))
        await one.wait(Answered)
        line = line_of(app)
        assert line.media is not None
        await one.until(lambda: line.media is not None and line.media.counters.foreign > 10)
        assert line.counts()["frames"] == 0
        assert not one.heard
        one.hang_up()
        await over(app)


async def test_the_advertised_address_is_told_everywhere(phone: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server behind a NAT: Contact and SDP of its answer, Via of its requests."""
    told = Phone._told

    def reached_after_all(self: Phone, event: Any) -> None:
        """The NAT leads packets for the advertised address to where the server is."""
        if isinstance(event, Answered):
            assert PRIVATE.encode() in event.body
            event = Answered(event.call, event.body.replace(PRIVATE.encode(), self.host.encode()))
        told(self, event)

    monkeypatch.setattr(Phone, "_told", reached_after_all)
    async with server(sip__advertised=PRIVATE) as app:
        assert app.sip
        one = await (await phone(app)).talk()
        port = app.sip.ports["UDP"]
        contact = parse_name_addr(answer_of(one).headers.get("Contact")).uri
        assert (contact.host, contact.port) == (PRIVATE, port)
        line_of(app).hang_up()
        await one.wait(Ended)
        await over(app)
        bye = next(m for m in one.messages if isinstance(m, Request) and m.method == "BYE")
        assert (parse_via(bye.headers.get("Via")).host, parse_via(bye.headers.get("Via")).port) == (PRIVATE, port)


@pytest.mark.looptime(False)
async def test_the_server_process_speaks_tls_too(
    serve: Callable[..., Any], certificate: dict[str, str], in_thread: Callable[..., Awaitable[Any]]
) -> None:
    """It runs on uvloop, whose sockets are its own."""
    tls = {f"sip.{key}": value for key, value in certificate.items()}
    settings = QUICK | tls | {"sip.transports": ["udp", "tcp", "tls"], "sip.tls_port": 0, "sip.host": "::1"}
    process = await in_thread(serve, settings)
    ports = process.wait_for("listening", logger="voxline.sip")["ports"]
    for transport in ("TLS", "TCP", "UDP"):
        one = Phone(transport, host="::1", authority=certificate["tls_cert"])
        await one.open_at(ports[transport])
        await one.talk()
        one.hang_up()
        await one.wait(Ended)
        await one.close()
