"""Names in session descriptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.sip.media.hosts import MOST, named, with_addresses
from telephony.lines.sip.syntax import sdp

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 pbx.example\r\ns=c=IN IP4 nobody.example\r\nc=IN IP4 {}\r\nt=0 0\r\n"
    b"m=audio 20000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\nc=IN IP4 {}/127\r\n"
)


def offer(session: str, media: str = "10.0.0.3") -> bytes:
    return OFFER.replace(b"{}", session.encode(), 1).replace(b"{}", media.encode(), 1)


def test_only_what_takes_audio_is_looked_up() -> None:
    assert named(offer("media.example", "Video.Example.")) == ["media.example", "video.example"]
    assert named(offer("media.example", "MEDIA.example")) == ["media.example"]


@pytest.mark.parametrize("host", ["10.0.0.2", "0.0.0.0", "2001:db8::1", "", "gone.invalid", "Invalid.INVALID."])
def test_addresses_are_not_looked_up(host: str) -> None:
    assert named(offer(host)) == []
    assert with_addresses(offer(host), {host: "10.9.9.9"} if host.isalpha() else {}) == offer(host)


def test_no_more_than_are_worth_it() -> None:
    assert len(named(b"".join(b"c=IN IP4 host%d.example\r\n" % n for n in range(100)))) == MOST


@pytest.mark.parametrize(("ip", "kind"), [("10.1.2.3", b"IP4"), ("2001:db8::7", b"IP6")])
def test_names_are_replaced(ip: str, kind: bytes) -> None:
    body = with_addresses(offer("media.example", "other.example"), {"media.example": ip})
    assert b"\r\nc=IN " + kind + b" " + ip.encode() + b"\r\n" in body
    found = sdp.parse(body)
    assert found.address(found.media[0]) == ip
    assert found.media[1].connection == "other.example"  # which nobody knows
    assert named(with_addresses(body, {"other.example": ip})) == []


@given(st.binary(max_size=200) | st.text("c=IN IP46.example\r\n/-", max_size=200).map(str.encode))
def test_anything_may_come(body: bytes) -> None:
    names = named(body)
    assert len(names) <= MOST
    assert with_addresses(body, {}) == body
    assert not set(named(with_addresses(body, dict.fromkeys(names, "10.0.0.9")))) & set(names)
