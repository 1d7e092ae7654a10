"""Offers and answers: the first, later ones, late ones, hold, keys; what fails changes nothing."""

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.lines.rtp.codec import OPUS, PCMA, PCMU
from telephony.lines.rtp.parameters import Parameters
from telephony.lines.sip.media.audio_line import Capabilities, NotAcceptable
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.syntax.sdp import Description, parse
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
)


def negotiation(address: str = "192.0.2.1", port: int = 30_000, **options: object) -> Negotiation:
    """One whose keys are told apart by a counter."""
    counter = itertools.count(1)
    capabilities = Capabilities(address=address, port=port, **options)  # type: ignore[arg-type]
    return Negotiation(capabilities, token=lambda n: bytes([next(counter)]) * n)


def version(body: bytes) -> int:
    return parse(body).origin.version


def attributes(description: Description, name: str, index: int = 0) -> list[str]:
    return description.media[index].all(name)


def test_an_answer_to_the_letter() -> None:
    body, agreed = negotiation().answer(ASTERISK)
    assert body == (
        b"v=0\r\no=voxline 8421504 1 IN IP4 192.0.2.1\r\ns=voxline\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 30000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=maxptime:200\r\na=sendrecv\r\n"
    )
    assert agreed == Parameters(
        remote=("192.0.2.10", 14582),
        control=("192.0.2.10", 14583),
        codecs={0: PCMU, 8: PCMA},
        event_type=101,
        events={101: 8000},
    )


@pytest.mark.parametrize("body", ALL.values(), ids=ALL)
def test_every_offer_of_the_field_is_answered_line_by_line_in_its_own_order(body: bytes) -> None:
    pytest.importorskip("pylibsrtp")
    answer, agreed = negotiation("2001:db8::1" if body is IPV6 else "192.0.2.1").answer(body)
    offered, answered = parse(body), parse(answer)
    assert [(m.kind, m.protocol) for m in answered.media] == [(m.kind, m.protocol) for m in offered.media]
    audio = answered.media[0]
    assert audio.port == 30_000
    assert [m.port for m in answered.media[1:]] == [0] * (len(answered.media) - 1)
    assert audio.formats == [f for f in offered.media[0].formats if f in audio.formats]
    assert set(map(int, audio.formats)) == set(agreed.codecs) | set(agreed.events)
    assert (agreed.local_key is None) is ("SAVP" not in audio.protocol)


def test_the_type_of_keys_is_mirrored_and_shared_reports_are_agreed_to() -> None:
    pytest.importorskip("pylibsrtp")
    answer, agreed = negotiation().answer(RTPENGINE)
    assert (agreed.event_type, agreed.mux) == (126, True)
    media = parse(answer).media[0]
    assert media.protocol == "RTP/SAVPF"
    assert media.attribute("rtcp-mux") == ""
    assert media.formats == ["0", "8", "126"]
    assert [crypto.split()[0] for crypto in media.all("crypto")] == ["3"]
    assert agreed.remote_key is not None
    assert agreed.remote_key.tag == 3


def test_lines_are_answered_with_the_type_and_the_transport_as_they_were_offered() -> None:
    """RFC 3264, 6: also those that are refused; a fax machine looks for its own `udptl`."""
    offer = (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
        b"m=audio 4000 rtp/avp 0\r\nm=image 9 udptl t38\r\nm=Application 9 tcp/MSRP *\r\n"
    )
    answer, _ = negotiation().answer(offer)
    lines = [line for line in answer.decode().split("\r\n") if line.startswith("m=")]
    assert lines == ["m=audio 30000 rtp/avp 0", "m=image 0 udptl t38", "m=Application 0 tcp/MSRP *"]


def test_a_peer_without_keys_gets_none() -> None:
    answer, agreed = negotiation().answer(IPV6.replace(b"IP6 2001:db8::10", b"IP4 192.0.2.7"))
    assert (agreed.event_type, agreed.events) == (None, {})
    assert b"telephone-event" not in answer


ALL_CODECS = (OPUS, PCMU, PCMA)
OURS = "maxplaybackrate=16000;sprop-maxcapturerate=16000;stereo=0;useinbandfec=1"


def test_opus_is_off_unless_it_is_switched_on() -> None:
    assert b"opus" not in negotiation().offer()
    assert b"opus" not in negotiation().answer(LINPHONE)[0]


def test_an_answer_with_opus_to_the_letter() -> None:
    """The payload types are mirrored, and the keys of both clocks taken."""
    body, agreed = negotiation(codecs=ALL_CODECS).answer(LINPHONE)
    assert (
        b"m=audio 30000 RTP/AVP 96 0 8 101 100\r\n"
        b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 " + OURS.encode() + b"\r\n"
        b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        b"a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-15\r\n"
        b"a=rtpmap:100 telephone-event/8000\r\na=fmtp:100 0-15\r\n"
        b"a=ptime:20\r\na=maxptime:200\r\na=sendrecv\r\n"
    ) in body
    assert list(agreed.codecs.items()) == [(96, OPUS), (0, PCMU), (8, PCMA)]
    assert (agreed.event_type, agreed.events) == (101, {101: 48_000, 100: 8000})
    assert agreed.wishes == {96: "useinbandfec=1"}


def test_keys_are_sent_in_the_clock_of_the_audio_where_the_peer_takes_that() -> None:
    g711_first = LINPHONE.replace(b"96 97 98 0 8 18", b"0 8 18 96")
    assert negotiation(codecs=ALL_CODECS).answer(g711_first)[1].event_type == 100
    narrow_only = LINPHONE.replace(b"a=rtpmap:101 telephone-event/48000\r\n", b"")
    answer, agreed = negotiation(codecs=ALL_CODECS).answer(narrow_only)
    assert (agreed.event_type, agreed.events) == (100, {100: 8000})
    assert b"telephone-event/48000" not in answer


def test_our_offer_follows_our_own_order_and_the_peer_picks() -> None:
    one = negotiation(codecs=(PCMA, OPUS))
    offer = parse(one.offer()).media[0]
    assert offer.formats == ["8", "111", "101", "110"]
    assert offer.parameters(111) == OURS
    wide, peer = negotiation(codecs=ALL_CODECS), negotiation("192.0.2.10", 5000, codecs=ALL_CODECS)
    answer, theirs = peer.answer(wide.offer())
    ours = wide.read_answer(answer)
    for agreed in (ours, theirs):
        assert list(agreed.codecs.values()) == [OPUS, PCMU, PCMA]
        assert (agreed.event_type, agreed.events) == (110, {101: 8000, 110: 48_000})
        assert agreed.wishes == {111: OURS}
    again, theirs = peer.answer(wide.offer())
    assert version(again) == version(answer)
    assert wide.read_answer(again) == ours
    plain = negotiation("192.0.2.10", 5000)
    assert list(wide.read_answer(plain.answer(wide.offer())[0]).codecs.values()) == [PCMU, PCMA]


def test_an_answer_with_another_type_for_opus() -> None:
    one = negotiation(codecs=ALL_CODECS)
    one.offer()
    agreed = one.read_answer(LINPHONE.replace(b"m=video", b"m=image"))
    assert [agreed.codecs[kind] for kind in (96, 111)] == [OPUS, OPUS]  # it takes 96, and may send 111
    assert next(iter(agreed.codecs)) == 96


def test_from_opus_to_g711_and_back_the_types_keep_their_meaning() -> None:
    """A PBX takes a call over: its re-INVITE has G.711 only; later both are offered again."""
    one = negotiation(codecs=ALL_CODECS)
    one.answer(LINPHONE)
    only = LINPHONE.replace(b"96 97 98 0 8 18", b"8")
    assert list(one.answer(only)[1].codecs) == [8]
    assert parse(one.offer()).media[0].formats[:3] == ["8", "111", "0"]
    assert list(one.answer(LINPHONE)[1].codecs) == [96, 0, 8]
    taken = negotiation(codecs=ALL_CODECS)
    taken.answer(ASTERISK.replace(b"101", b"111"))  # keys have the type that Opus has with us
    assert parse(taken.offer()).media[0].formats == ["0", "8", "111"]


def test_the_version_rises_with_each_change_and_only_then() -> None:
    one = negotiation()
    first = one.answer(ASTERISK)[0]
    assert one.answer(ASTERISK)[0] == first
    held = one.answer(ASTERISK.replace(b"sendrecv", b"sendonly"))[0]
    resumed = one.answer(ASTERISK)[0]
    assert [version(body) for body in (first, held, resumed)] == [1, 2, 3]
    assert {parse(body).origin.session_id for body in (first, held, resumed)} == {parse(first).origin.session_id}


@pytest.mark.parametrize(
    ("change", "answered", "sends", "receives"),
    [
        ((b"a=sendrecv", b"a=sendonly"), "recvonly", False, True),
        ((b"a=sendrecv", b"a=recvonly"), "sendonly", True, False),
        ((b"a=sendrecv", b"a=inactive"), "inactive", False, False),
        ((b"c=IN IP4 192.0.2.10", b"c=IN IP4 0.0.0.0"), "recvonly", False, True),
    ],
)
def test_the_peer_holds_us(change: tuple[bytes, bytes], answered: str, sends: bool, receives: bool) -> None:
    one = negotiation()
    one.answer(ASTERISK)
    body, agreed = one.answer(ASTERISK.replace(*change))
    assert parse(body).media[0].direction == answered
    assert (agreed.sends, agreed.receives) == (sends, receives)


def test_we_hold_the_peer_and_go_on() -> None:
    one, peer = negotiation(), negotiation("192.0.2.10", 5000)
    agreed = one.read_answer(peer.answer(one.offer())[0])
    assert agreed.sends
    one.direction = "sendonly"
    body, theirs = peer.answer(one.offer())
    agreed = one.read_answer(body)
    assert (agreed.sends, agreed.receives, theirs.sends, theirs.receives) == (True, False, False, True)
    one.direction = "sendrecv"
    body, theirs = peer.answer(one.offer())
    agreed = one.read_answer(body)
    assert agreed.sends
    assert agreed.receives
    assert theirs.sends
    # While we hold, the peer's own offer does not end it.
    one.direction = "inactive"
    assert parse(one.answer(ASTERISK)[0]).media[0].direction == "inactive"


def test_our_offer_to_the_letter_and_its_answer() -> None:
    one = negotiation()
    body = one.offer()
    assert b"m=audio 30000 RTP/AVP 0 8 101\r\n" in body
    assert version(body) == 1
    answer = BARESIP.replace(b"8 0 101", b"8 101").replace(b"a=rtpmap:0 PCMU/8000\r\n", b"")
    agreed = one.read_answer(answer)
    assert list(agreed.codecs.items()) == [(8, PCMA)]
    assert (agreed.remote, agreed.control) == (("127.0.0.1", 11112), ("127.0.0.1", 11113))
    assert agreed.mux is False  # we did not offer it


def test_an_answer_may_come_twice_early_and_final() -> None:
    pytest.importorskip("pylibsrtp")
    one, peer = negotiation(secure="required"), negotiation("192.0.2.10", 5000)
    answer = peer.answer(one.offer())[0]
    assert one.read_answer(answer) == one.read_answer(answer)


def test_an_answer_with_other_types_for_the_same_things() -> None:
    one = negotiation()
    one.offer()
    agreed = one.read_answer(ASTERISK.replace(b"101", b"96"))
    assert agreed.event_type == 96
    assert set(agreed.events) == {96, 101}


def test_a_late_offer_and_the_re_offers_of_both_sides() -> None:
    """INVITE without a body: our offer in the 200, the answer in the ACK; then each side re-offers."""
    one, peer = negotiation(), negotiation("192.0.2.10", 5000)
    offer = one.offer()
    answer, theirs = peer.answer(offer)
    ours = one.read_answer(answer)
    assert ours.remote == ("192.0.2.10", 5000)
    assert theirs.remote == ("192.0.2.1", 30_000)
    refresh = peer.offer()
    again, ours_again = one.answer(refresh)
    assert version(refresh) == version(answer)  # it says nothing new
    assert ours_again.remote == ours.remote
    assert peer.read_answer(again).remote == theirs.remote


def test_our_later_offer_keeps_the_lines_types_and_codecs_of_the_agreement() -> None:
    one = negotiation()
    first, _ = one.answer(LINPHONE)
    again = one.offer()
    ours = parse(again)
    assert [(m.kind, m.port) for m in ours.media] == [("audio", 30_000), ("video", 0)]
    assert ours.media[0].formats == ["0", "8", "100"]
    assert version(again) == version(first)
    one.direction = "inactive"
    assert version(one.offer()) == version(first) + 1


def test_codecs_that_were_not_agreed_on_are_asked_for_again() -> None:
    one = negotiation()
    one.answer(TELNYX.replace(b"9 0 8 103", b"9 8 103"))
    assert parse(one.offer()).media[0].formats == ["8", "0", "101"]


def test_keys_both_ways_and_through_later_offers() -> None:
    pytest.importorskip("pylibsrtp")
    one, peer = negotiation(secure="required"), Negotiation(Capabilities("192.0.2.10", 5000))
    offer = one.offer()
    assert parse(offer).media[0].protocol == "RTP/SAVP"
    assert len(attributes(parse(offer), "crypto")) == 2
    answer, theirs = peer.answer(offer)
    ours = one.read_answer(answer)
    assert (ours.local_key, ours.remote_key) == (theirs.remote_key, theirs.local_key)
    assert ours.local_key != ours.remote_key
    again = one.read_answer(peer.answer(one.offer())[0])
    assert (again.local_key, again.remote_key) == (ours.local_key, ours.remote_key)
    turned = peer.read_answer(one.answer(peer.offer())[0])
    assert (turned.local_key, turned.remote_key) == (theirs.local_key, theirs.remote_key)


def test_our_key_stays_when_the_peer_takes_a_new_one_and_not_when_it_takes_another_suite() -> None:
    pytest.importorskip("pylibsrtp")
    one = negotiation()
    first = one.answer(TWILIO_SECURE)[1]
    second = one.answer(TWILIO_SECURE.replace(b"inline:d0Rm", b"inline:AAAA"))[1]
    assert second.local_key == first.local_key
    assert second.remote_key != first.remote_key
    third = one.answer(TWILIO_SECURE.replace(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80", b"a=crypto:1 OTHER"))[1]
    assert third.local_key != first.local_key
    assert third.local_key is not None
    assert third.local_key.suite == "AES_CM_128_HMAC_SHA1_32"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ASTERISK.replace(b"14582", b"0"), "refuses"),
        (b"v=0\r\n", "refuses"),
        (ASTERISK.replace(b"0 8 101", b"9 101"), "no common codec"),
        (ASTERISK, "only encrypted"),
        (FREEPBX_SRTP.replace(b"a=crypto:1", b"a=crypto:7"), "none of our keys"),
        (FREEPBX_SRTP.replace(b"SHA1_80", b"SHA1_32"), "none of our keys"),
    ],
)
def test_answers_that_cannot_be_are_refused(answer: bytes, why: str) -> None:
    pytest.importorskip("pylibsrtp")
    one = negotiation(secure="required")
    one.offer()
    with pytest.raises(NotAcceptable, match=why):
        one.read_answer(answer)


def test_an_answer_does_not_turn_a_plain_offer_into_an_encrypted_one() -> None:
    pytest.importorskip("pylibsrtp")
    one = negotiation()
    one.offer()
    with pytest.raises(NotAcceptable, match="RTP/SAVP, our offer RTP/AVP"):
        one.read_answer(FREEPBX_SRTP)


def test_a_refused_offer_changes_nothing() -> None:
    one = negotiation()
    first = one.answer(LINPHONE)[0]
    for bad in (ASTERISK.replace(b"0 8 101", b"18"), b"v=0\r\n", b"rubbish"):
        with pytest.raises(NotAcceptable):
            one.answer(bad)
    assert one.answer(LINPHONE)[0] == first
    assert [m.kind for m in parse(one.offer()).media] == ["audio", "video"]


def test_what_is_no_description_is_400() -> None:
    with pytest.raises(NotAcceptable, match="v=0") as refused:
        negotiation().answer(b"rubbish")
    assert refused.value.refusal.status == 400


@given(
    st.sampled_from(list(ALL.values())), st.integers(0, 900), st.integers(0, 60), st.binary(max_size=12), st.booleans()
)
@settings(max_examples=200)
def test_damaged_offers_are_answered_or_refused(body: bytes, at: int, cut: int, put: bytes, wide: bool) -> None:
    damaged = body[:at] + put + body[at + cut :]
    codecs = ALL_CODECS if wide else (PCMU, PCMA)
    one = negotiation(codecs=codecs)
    with contextlib.suppress(NotAcceptable):
        answer, agreed = one.answer(damaged)
        assert len(parse(answer).media) == len(parse(damaged).media)
        assert agreed.codecs
    two = negotiation(codecs=codecs)
    two.offer()
    with contextlib.suppress(NotAcceptable):
        assert two.read_answer(damaged).codecs
