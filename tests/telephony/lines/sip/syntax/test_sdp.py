"""Session descriptions: the field's own, both ways; bounded; nothing bad gets further than a ValueError."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.sip.syntax.sdp import (
    MAX_BYTES,
    MAX_FORMATS,
    MAX_MEDIA,
    Description,
    MediaDescription,
    Origin,
    encode,
    parse,
)
from tests.telephony.lines.sip.descriptions import ALL, ASTERISK, BARESIP, LINPHONE, RTPENGINE, TELNYX


@pytest.mark.parametrize("body", ALL.values(), ids=ALL)
def test_what_is_read_is_written_again_to_the_line(body: bytes) -> None:
    """The order of lines is the standard's, so where it was not theirs, only that differs."""
    assert sorted(encode(parse(body)).split(b"\r\n")) == sorted(body.split(b"\r\n"))
    assert parse(encode(parse(body))) == parse(body)


def test_the_fields_of_one() -> None:
    description = parse(ASTERISK)
    assert description.origin == Origin("192.0.2.10", 1893421, 1893421, "-")
    (media,) = description.media
    assert (media.kind, media.port, media.protocol, media.formats) == ("audio", 14582, "RTP/AVP", ["0", "8", "101"])
    assert description.address(media) == "192.0.2.10"
    assert media.payloads() == [(0, "PCMU", 8000), (8, "PCMA", 8000), (101, "TELEPHONE-EVENT", 8000)]
    assert media.parameters(101) == "0-16"
    assert media.attribute("ptime") == "20"
    assert description.direction_of(media) == "sendrecv"
    assert description.control(media) == ("192.0.2.10", 14583)


def test_formats_without_a_map_and_with_channels() -> None:
    audio, video = parse(LINPHONE).media
    assert audio.payloads()[:5] == [
        (96, "OPUS", 48000),
        (97, "SPEEX", 16000),
        (98, "SPEEX", 8000),
        (0, "", 0),
        (8, "", 0),
    ]
    assert video.port == 9078
    assert audio.attribute("rtcp-xr") is None


def test_reports_have_a_port_of_their_own_where_it_is_said() -> None:
    telnyx, rtpengine = parse(TELNYX), parse(RTPENGINE)
    assert telnyx.control(telnyx.media[0]) == ("203.0.113.44", 28065)
    assert rtpengine.control(rtpengine.media[0]) == ("198.51.100.30", 30022)
    assert parse(BARESIP).media[0].attribute("rtcp-mux") == ""


def test_what_a_medium_says_comes_before_what_the_session_says() -> None:
    body = (
        b"v=0\nc=IN IP4 192.0.2.1\na=sendonly\n"
        b"m=audio 4 RTP/AVP 0\nc=IN IP4 192.0.2.2/127\nm=audio 6/2 RTP/AVP 0\na=inactive\n"
    )
    description = parse(body)
    first, second = description.media
    assert [description.address(media) for media in (first, second)] == ["192.0.2.2", "192.0.2.1"]
    assert [description.direction_of(media) for media in (first, second)] == ["sendonly", "inactive"]
    assert second.ports == 2


def test_unknown_lines_are_kept_in_their_place() -> None:
    body = (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=x\r\ni=about\r\nx=odd\r\nb=AS:64\r\nt=5 6\r\na=Tool:y\r\n"
        b"m=audio 4 RTP/AVP 0\r\ni=title\r\nb=TIAS:64000\r\n"
    )
    lines = encode(parse(body)).decode().split("\r\n")
    assert lines == [
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=x",
        "i=about",
        "b=AS:64",
        "t=5 6",
        "x=odd",
        "a=tool:y",
        "m=audio 4 RTP/AVP 0",
        "i=title",
        "b=TIAS:64000",
        "",
    ]


@pytest.mark.parametrize(
    "body",
    [
        ASTERISK.replace(b"\r\n", b"\n"),
        ASTERISK.replace(b"\r\n", b"\r"),
        ASTERISK.replace(b"\r\n", b" \r\n\r\n"),
        ASTERISK + b"\0\0",
        ASTERISK.replace(b"s=Asterisk\r\n", b"s= \r\n"),
        ASTERISK.replace(b"s=Asterisk\r\nc=", b"c=").replace(b"t=0 0\r\n", b""),
        ASTERISK.replace(b"a=sendrecv", b"a=SENDRECV"),
        ASTERISK.replace(b"m=audio", b"m=AUDIO").replace(b"IN IP4", b"in ip4"),
        ASTERISK + b"stray text of a gateway\r\n",
    ],
    ids=["LF", "CR", "blank lines", "NULs", "no name", "no s or t", "upper case", "mixed case", "stray text"],
)
def test_small_faults_are_forgiven(body: bytes) -> None:
    description = parse(body)
    assert description.media[0].payloads() == parse(ASTERISK).media[0].payloads()
    assert description.address(description.media[0]) == "192.0.2.10"
    assert description.direction_of(description.media[0]) == "sendrecv"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "v=0"),
        (b"hello", "v=0"),
        (b"v=1\r\n", "v=0"),
        (b"v=0\r\nm=audio\r\n", "too short"),
        (b"v=0\r\nm=audio x RTP/AVP 0\r\n", "port"),
        (b"v=0\r\nm=audio 70000 RTP/AVP 0\r\n", "port"),
        (b"v=0\r\nm=audio -1 RTP/AVP 0\r\n", "port"),
        (b"v=0\r\nm=audio 1 RTP/AVP" + b" 0" * (MAX_FORMATS + 1), "formats"),
        (b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * (MAX_MEDIA + 1), "m-lines"),
        (b"v=0\r\n" + b"a=x\r\n" * 600, "lines"),
        (b"v=0\r\na=" + b"x" * MAX_BYTES, "bytes"),
        (b"v=0\r\no=-\r\n", "o-line"),
    ],
)
def test_what_is_no_description_or_too_much_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(body)


@given(
    st.lists(
        st.tuples(st.sampled_from("vosiuepcbtrzkamxM="), st.binary(max_size=40)).map(
            lambda line: line[0].encode() + b"=" + line[1]
        )
        | st.sampled_from(ASTERISK.split(b"\r\n") + RTPENGINE.split(b"\r\n"))
        | st.binary(max_size=30),
        max_size=25,
    )
)
def test_any_lines_parse_or_raise_value_error_and_what_parses_is_written_again(lines: list[bytes]) -> None:
    with contextlib.suppress(ValueError):
        description = parse(b"v=0\r\n" + b"\r\n".join(lines))
        for media in description.media:
            media.payloads()
            media.parameters(101)
            description.control(media)
        again = parse(encode(description))
        assert [m.formats for m in again.media] == [m.formats for m in description.media]
        assert again.attributes == description.attributes


@given(st.integers(0, len(RTPENGINE)), st.integers(0, 40), st.binary(max_size=8))
def test_damage_anywhere_is_borne(at: int, cut: int, put: bytes) -> None:
    with contextlib.suppress(ValueError):
        encode(parse(RTPENGINE[:at] + put + RTPENGINE[at + cut :]))


@pytest.mark.parametrize("value", ["x\r\na=evil", "x\ny"])
def test_a_value_cannot_break_out_of_its_line(value: str) -> None:
    media = MediaDescription(kind="audio", port=1, protocol="RTP/AVP", formats=["0"], attributes=[("label", value)])
    with pytest.raises(ValueError, match="line break"):
        encode(Description(origin=Origin("192.0.2.1"), media=[media]))


def test_a_description_of_ours_has_all_that_is_demanded() -> None:
    media = MediaDescription(kind="audio", port=4000, protocol="RTP/AVP", formats=["0"], attributes=[("sendrecv", "")])
    description = Description(origin=Origin("2001:db8::1", 5, 6), connection="2001:db8::1", media=[media])
    assert encode(description) == (
        b"v=0\r\no=- 5 6 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n"
        b"m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n"
    )
