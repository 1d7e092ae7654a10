"""The peer's audio line: what we support, and the reason if we do not."""

import pytest

from telephony.lines.rtp import srtp
from telephony.lines.rtp.codec import OPUS, PCMA, PCMU
from telephony.lines.sip.media.audio_line import AudioLine, Capabilities, NotAcceptable, choose
from telephony.lines.sip.syntax.sdp import parse
from tests.telephony.lines.sip.descriptions import (
    ALL,
    ASTERISK,
    BARESIP,
    FREEPBX_SRTP,
    IPV6,
    LINPHONE,
    RTPENGINE,
    TELNYX,
    TWILIO_SECURE,
    WEBRTC,
)

OURS = Capabilities(address="192.0.2.1", port=30_000)


WIDE = Capabilities(address="192.0.2.1", port=30_000, codecs=(OPUS, PCMU, PCMA))


def line(body: bytes, capabilities: Capabilities = OURS) -> AudioLine:
    return choose(parse(body), capabilities)


@pytest.mark.parametrize(
    ("body", "codecs", "event", "remote"),
    [
        (ASTERISK, {0: PCMU, 8: PCMA}, 101, ("192.0.2.10", 14582)),
        (TELNYX, {0: PCMU, 8: PCMA}, 101, ("203.0.113.44", 28064)),
        (BARESIP, {8: PCMA, 0: PCMU}, 101, ("127.0.0.1", 11112)),
        (LINPHONE, {0: PCMU, 8: PCMA}, 100, ("192.168.1.20", 7078)),
    ],
)
def test_codecs_come_in_the_peers_order_and_keys_at_8_khz(
    body: bytes, codecs: dict[int, object], event: int, remote: tuple[str, int]
) -> None:
    found = line(body)
    assert list(found.codecs.items()) == list(codecs.items())
    assert (found.events, found.remote) == ({event: 8000}, remote)


def test_opus_is_taken_where_it_is_switched_on_in_the_peers_order_with_what_it_wants() -> None:
    found = line(LINPHONE, WIDE)
    assert list(found.codecs.items()) == [(96, OPUS), (0, PCMU), (8, PCMA)]
    assert found.wishes == {96: "useinbandfec=1"}
    assert found.events == {101: 48_000, 100: 8000}  # not that of 16 kHz
    last = LINPHONE.replace(b"96 97 98 0 8 18", b"8 0 18 96")
    assert list(line(last, WIDE).codecs) == [8, 0, 96]
    assert line(last).codecs == {8: PCMA, 0: PCMU}


def test_of_two_kinds_of_opus_the_first_is_taken() -> None:
    body = LINPHONE.replace(b"speex/16000", b"OPUS/48000/2")
    assert list(line(body, WIDE).codecs) == [96, 0, 8]
    assert line(LINPHONE.replace(b"opus/48000/2", b"opus/16000"), WIDE).codecs == {0: PCMU, 8: PCMA}


def test_a_static_type_that_was_given_another_meaning_is_that() -> None:
    with pytest.raises(NotAcceptable, match="no common codec"):
        line(b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4 RTP/AVP 0\r\na=rtpmap:0 L16/8000\r\n")
    body = b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4 RTP/AVP 97\r\na=rtpmap:97 pcma/8000/1\r\n"
    assert line(body).codecs == {97: PCMA}


@pytest.mark.parametrize("body", [FREEPBX_SRTP, TWILIO_SECURE, RTPENGINE])
def test_the_first_key_that_we_can_do_is_taken(body: bytes) -> None:
    pytest.importorskip("pylibsrtp")
    found = line(body)
    assert found.crypto[0].suite == "AES_CM_128_HMAC_SHA1_80"
    assert found.crypto[0].tag == (3 if body is RTPENGINE else 1)
    assert line(TWILIO_SECURE, Capabilities("192.0.2.1", 4, suites=srtp.SUITES[1:])).crypto[0].tag == 2


def test_an_encrypted_line_is_taken_before_a_plain_one() -> None:
    pytest.importorskip("pylibsrtp")
    both = ASTERISK + b"".join(FREEPBX_SRTP.partition(b"m=audio")[1:])
    assert line(both).index == 1
    assert line(both, Capabilities("192.0.2.1", 4, secure="off")).index == 0


# RFC 3261, 20.43, by the beginning of the reason.
WARNS = {"no audio": 304, "no common": 305, "only encr": 302, "switched ": 302, "UDP/TLS/R": 302, "without a": 306,
         "AES_CM_99": 306, "no addres": 301, "cannot be": 301, "many rece": 330, "only IPv4": 300}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "secure", "why"),
    [
        (b"v=0\r\n", "allowed", "no audio"),
        (ASTERISK.replace(b"14582", b"0"), "allowed", "no audio"),
        (ASTERISK.replace(b"m=audio", b"m=image"), "allowed", "no audio"),
        (ASTERISK.replace(b"0 8 101", b"9 18 101"), "allowed", "no common codec; PCMU, PCMA"),
        (ASTERISK.replace(b"0 8 101", b"101"), "allowed", "no common codec"),
        (ASTERISK, "required", "only encrypted"),
        (FREEPBX_SRTP, "off", "switched off"),
        (WEBRTC, "allowed", "UDP/TLS/RTP/SAVPF is not spoken"),
        (ASTERISK.replace(b"RTP/AVP", b"RTP/SAVP"), "allowed", "without a=crypto"),
        (FREEPBX_SRTP.replace(b"CM_128", b"CM_999"), "allowed", "AES_CM_999"),
        (ASTERISK.replace(b"c=IN IP4 192.0.2.10\r\n", b""), "allowed", "no address"),
        (ASTERISK.replace(b"c=IN IP4 192.0.2.10", b"c=IN IP4 media.example.com"), "allowed", "cannot be found"),
        (ASTERISK.replace(b"c=IN IP4 192.0.2.10", b"c=IN IP4 224.2.1.1/127"), "allowed", "many receivers"),
        (ASTERISK.replace(b"c=IN IP4 192.0.2.10", b"c=IN IP4 255.255.255.255"), "allowed", "many receivers"),
        (IPV6, "allowed", "only IPv4"),
    ],
)
def test_what_cannot_be_is_refused_with_488_and_the_reason(body: bytes, secure: str, why: str) -> None:
    if why in ("without a=crypto", "AES_CM_999"):
        pytest.importorskip("pylibsrtp")
    with pytest.raises(NotAcceptable, match=why) as refused:
        line(body, Capabilities("192.0.2.1", 4, secure=secure))  # type: ignore[arg-type]
    assert (refused.value.refusal.status, refused.value.refusal.why) == (488, str(refused.value))
    assert refused.value.refusal.warn == WARNS[why[:9]]


def test_without_pylibsrtp_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "pylibsrtp", None)
    with pytest.raises(NotAcceptable, match="pip install"):
        line(FREEPBX_SRTP)


@pytest.mark.parametrize(
    ("change", "sends", "receives", "remote"),
    [
        ((b"a=sendrecv", b"a=sendonly"), True, False, True),
        ((b"a=sendrecv", b"a=recvonly"), False, True, True),
        ((b"a=sendrecv", b"a=inactive"), False, False, True),
        ((b"a=sendrecv\r\n", b""), True, True, True),
        ((b"c=IN IP4 192.0.2.10", b"c=IN IP4 0.0.0.0"), True, False, False),
    ],
)
def test_hold_in_all_its_ways(change: tuple[bytes, bytes], sends: bool, receives: bool, remote: bool) -> None:
    found = line(ASTERISK.replace(*change))
    assert (found.sends, found.receives, found.remote is not None) == (sends, receives, remote)


def test_reports_go_to_the_host_of_the_audio_whatever_a_rtcp_says() -> None:
    """Otherwise anybody could aim our reports at a third host."""
    assert line(TELNYX.replace(b"a=rtcp:28065 IN IP4 203.0.113.44", b"a=rtcp:53 IN IP4 192.0.2.99")).control == (
        "203.0.113.44",
        53,
    )


def test_every_sample_of_the_field_can_be_answered() -> None:
    pytest.importorskip("pylibsrtp")
    for body in ALL.values():
        ours = "2001:db8::1" if body is IPV6 else "192.0.2.1"
        assert line(body, Capabilities(ours, 30_000)).codecs
