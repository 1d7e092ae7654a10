"""Nobody can use us to send others more than they send us: a sender whose address is unproven gets short answers
only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.sip import SipSettings
from telephony.lines.sip.access import digest
from telephony.lines.sip.access.authentication import Authentication
from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import Invited, Send
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import MessageError, Request, Response, encode, parse
from telephony.lines.sip.transactions.answers import Refusal
from tests.telephony.lines.sip import torture
from tests.telephony.lines.sip.descriptions import ASTERISK, BARESIP, LINPHONE
from tests.telephony.lines.sip.peer import INVITE, SDP, invite

HERE = ("192.0.2.1", 5060)
SENDER = Address("UDP", "198.51.100.9", 5060)


class Server:
    """The user agent and its authentication, with a password; `closed` as when there is no room."""

    def __init__(self, *, closed: bool = False, trusted: tuple[str, ...] = ()) -> None:
        settings = SipSettings(users={"ann": "s3cret"}, trusted=trusted)  # type: ignore[arg-type]
        self.authentication = Authentication(settings)
        self.ua = UserAgent(
            UserAgentConfig({"UDP": HERE}),
            admit=self.authentication.authorized,
            closed=lambda: Refusal(503, "not ready", (("Retry-After", "10"),)) if closed else None,
        )

    def give(self, data: bytes, *, most: int | None = None) -> list[bytes]:
        """What is sent for a datagram, whose size is `most` unless that is said."""
        most = len(data) if most is None else most
        try:
            self.ua.receive(parse(data), SENDER, 1_000_000.0, most=most)
        except MessageError as error:
            self.ua.malformed(error, SENDER, most=most)
        return [item.data for item in self.ua.take() if isinstance(item, Send)]


def minimal(method: str, body: bytes = b"", *, via: str = "192.0.2.99", to: str = "sip:1") -> bytes:
    head = f"{method} sip:1 SIP/2.0\r\nv:SIP/2.0/UDP {via};branch=z9hG4bK1\r\nf:<sip:a>;tag=1\r\nt:{to}\r\ni:1\r\n"
    return f"{head}CSeq:1 {method}\r\n".encode() + b"\r\n" + body


METHODS = ["INVITE", "OPTIONS", "BYE", "CANCEL", "INFO", "UPDATE", "NOTIFY", "REFER", "REGISTER", "MESSAGE", "JUMP"]


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("to", ["sip:1", "<sip:1>;tag=2"])
def test_a_minimal_request_is_answered_with_no_more(method: str, to: str, closed: bool) -> None:
    server = Server(closed=closed)
    for via in ("192.0.2.99", "a;rport"):
        data = minimal(method, via=via, to=to)
        assert sum(map(len, server.give(data))) <= len(data)


@pytest.mark.parametrize("data", [*torture.VALID.values(), *(found[0] for found in torture.INVALID.values())])
def test_torture(data: bytes) -> None:
    assert sum(map(len, Server().give(data))) <= len(data)


@given(st.sampled_from(METHODS), st.binary(max_size=300), st.text('ab;:<>="@,', max_size=40))
def test_any_request(method: str, body: bytes, text: str) -> None:
    for data in (minimal(method, body), minimal(method, to=f"<sip:{text}>"), minimal(method, via=text)):
        assert sum(map(len, Server().give(data))) <= len(data)


def test_what_is_withheld_is_counted_and_what_is_cut_down_is_still_an_answer() -> None:
    server = Server()
    assert server.give(minimal("INVITE")) == []
    assert server.ua.withheld == 1
    options = encode(invite()).replace(b"INVITE", b"OPTIONS")
    assert server.give(options, most=0) == []
    (whole,) = server.give(options, most=10_000)
    (brief,) = server.give(options, most=len(whole) - 1)
    for data in (whole, brief):
        answer = parse(data)
        assert isinstance(answer, Response)
        assert (answer.status, answer.reason) == (401, "Unauthorized")
        assert answer.headers.get("WWW-Authenticate").startswith("Digest")
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            assert answer.headers.get(name), name
    assert len(brief) < len(whole)


# As they send them (captured or from their documentation), with names of the same length.
BARESIP_1 = (
    "INVITE sip:1000@192.0.2.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK0c5ab20a40a4f8b2;rport\r\n"
    "Contact: <sip:ann-0x55d6c7a3b2d0@198.51.100.9:5060>\r\nMax-Forwards: 70\r\n"
    "To: <sip:1000@192.0.2.1>\r\nFrom: <sip:ann@192.0.2.1>;tag=f1b7c0d2a9e3c4b5\r\n"
    "Call-ID: 8b2f5a1c0d3e4f60\r\nCSeq: 4711 INVITE\r\nUser-Agent: baresip v1.0.0 (x86_64/linux)\r\n"
    "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,NOTIFY,SUBSCRIBE,INFO,MESSAGE,UPDATE,REFER\r\n"
    "Supported: gruu\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n"
)
LATE_OFFER = (  # Cisco's exchanges and Asterisk's with late media: without a description
    "INVITE sip:1000@192.0.2.1:5060 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 198.51.100.9:5060;rport;branch=z9hG4bKPj4e1c2a7d\r\n"
    "From: <sip:6001@198.51.100.9>;tag=a2c8f1\r\nTo: <sip:1000@192.0.2.1>\r\n"
    "Contact: <sip:asterisk@198.51.100.9:5060>\r\nCall-ID: 5b1f0a3e-77aa\r\nCSeq: 27014 INVITE\r\n"
    "Allow: OPTIONS, INVITE, ACK, BYE, CANCEL, UPDATE, REFER, MESSAGE\r\nSupported: timer, replaces, norefersub\r\n"
    "Max-Forwards: 70\r\nUser-Agent: Asterisk PBX 20.5\r\nContent-Length: {length}\r\n\r\n"
)
SIPP = INVITE.format(branch="z9hG4bK-331-1-0").replace("\n", "\r\n") + "Content-Length: {length}\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "body"), [(BARESIP_1, BARESIP), (BARESIP_1, LINPHONE), (LATE_OFFER, b""), (SIPP, SDP), (SIPP, ASTERISK)]
)
def test_a_phones_invite_has_room_for_its_challenge(head: str, body: bytes) -> None:
    """And the call goes on by it."""
    server = Server()
    data = head.replace("{length}", str(len(body))).encode() + body
    (challenged,) = server.give(data)
    assert len(challenged) <= len(data)
    answer, request = parse(challenged), parse(data)
    assert isinstance(answer, Response)
    assert isinstance(request, Request)
    assert answer.status == 401
    header = digest.answer(answer.headers.get("WWW-Authenticate"), "INVITE", request.uri, "ann", "s3cret", cnonce="c")
    request.headers.add("Authorization", header)
    request.headers.set("CSeq", "4712 INVITE")
    request.headers.set("Via", request.headers.get("Via") + "a")
    server.ua.receive(request, SENDER, 1_000_001.0, most=None)
    assert any(isinstance(item, Invited) for item in server.ua.take())
    assert server.authentication.guard.is_known(SENDER, 1_000_002.0)
