"""URIs, addresses, Via, CSeq, parameters and lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.sip.syntax.header import (
    CSeq,
    NameAddr,
    Uri,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_number,
    parse_params,
    parse_uri,
    parse_via,
    quote,
    split_list,
    unescape,
    unquote,
)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:example.com", Uri("sip", "", "example.com")),
        ("sip:1000@192.0.2.1", Uri("sip", "1000", "192.0.2.1")),
        ("sips:ann@example.com:5061", Uri("sips", "ann", "example.com", 5061)),
        ("sip:ann:secret@example.com", Uri("sip", "ann", "example.com", password="secret")),
        ("sip:[2001:db8::9:1]", Uri("sip", "", "2001:db8::9:1")),
        (
            "sip:1000@[::1]:5060;transport=tcp;lr",
            Uri("sip", "1000", "::1", 5060, {"transport": "tcp", "lr": ""}),
        ),
        (
            "sip:+15550100;phone-context=x@gw.example;user=phone?Replaces=a%3Bb",
            Uri("sip", "+15550100;phone-context=x", "gw.example", None, {"user": "phone"}, "Replaces=a%3Bb"),
        ),
        ("sip:%61%40b@my_host", Uri("sip", "%61%40b", "my_host")),
        ("tel:+1-555-0100", Uri("tel", "+1-555-0100", "")),
        ("tel:555;phone-context=+1", Uri("tel", "555", "", params={"phone-context": "+1"})),
        ("urn:service:sos;x=y", Uri("urn", "service:sos;x=y", "")),
        ("http://example.com/?a@b", Uri("http", "//example.com/?a@b", "")),
    ],
)
def test_uris(text: str, uri: Uri) -> None:
    assert parse_uri(text) == uri
    assert str(uri) == text


def test_names_in_uris_are_compared_in_lower_case() -> None:
    uri = parse_uri("SIP:Ann@Example.com;Transport=TCP;transport=udp")
    assert uri == Uri("sip", "Ann", "Example.com", None, {"transport": "TCP"})  # the first counts


@pytest.mark.parametrize(
    "text",
    ["", "sip", "sip:", ":a", "a@b", "1sip:a@b", "sip:@b", "sip:a@", "sip:a@b@c", "sip:a b@c", "sip:a@b c", "sip:<a@b>",
     'sip:"a"@b', "sip:a@b\r\n", "sip:a@b\0", "sip:a@b:", "sip:a@b:65536", "sip:a@b:x", "sip:a@b:-1", "sip:a@b:٣",
     "sip:a@[b]", "sip:a@[::1", "sip:a@::1", "sip:a@[1:2]", "sip:a@b;", "sip:a@b;;lr", "sip:a@b;=c", "tel:", "urn:",
     "sip:a@b" + 65 * ";p" + "".join(f";p{n}" for n in range(65))],
)  # fmt: skip
def test_no_uris(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_uri(text)
    assert len(text) < 3 or text not in str(caught.value)


ANN = Uri("sip", "ann", "example.com")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("<sip:ann@example.com>", NameAddr("", ANN)),
        ("sip:ann@example.com", NameAddr("", ANN)),
        ("sip:ann@example.com ; tag = 1", NameAddr("", ANN, {"tag": "1"})),
        ("Ann Lee <sip:ann@example.com>;TAG=A/b=", NameAddr("Ann Lee", ANN, {"tag": "A/b="})),
        ('"Ann \\"<Lee>\\", \\\\" <sip:ann@example.com>', NameAddr('Ann "<Lee>", \\', ANN)),
        ('""<sip:ann@example.com>', NameAddr("", ANN)),
        ('"Ann"\t<sip:ann@example.com>\t;\ta\t', NameAddr("Ann", ANN, {"a": ""})),
        ("<sip:ann@example.com;lr>;lr=2;x", NameAddr("", Uri(*("sip", "ann", "example.com"), params={"lr": ""}),
                                                     {"lr": "2", "x": ""})),
        ('<sip:ann@example.com>;+sip.instance="<urn:uuid:1;2>"',
         NameAddr("", ANN, {"+sip.instance": '"<urn:uuid:1;2>"'})),
        ("<sip:ann@example.com>;received=[::1];maddr=192.0.2.1",
         NameAddr("", ANN, {"received": "[::1]", "maddr": "192.0.2.1"})),
    ],
)  # fmt: skip
def test_addresses(text: str, address: NameAddr) -> None:
    assert parse_name_addr(text) == address
    assert parse_name_addr(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "*", "<>", "ann", "<sip:ann@example.com", "sip:ann@example.com>", '"Ann <sip:a@b>', 'Ann" <sip:a@b>',
     '"Ann" Lee <sip:a@b>', '"Ann" sip:a@b', '"Ann"', "<sip:a@b> x", "<sip:a@b>;", "<sip:a@b>;;", "<sip:a@b>;a b",
     "<sip:a@b>;=1", '<sip:a@b>;a="1', "<sip:a@b>, <sip:c@d>", "<sip:a@b>;tag=<1>", "sip:a@b?c=d", "<<sip:a@b>>"],
)  # fmt: skip
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_name_addr(text)


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP 192.0.2.1", Via("UDP", "192.0.2.1")),
        (
            "SIP/2.0/tcp host.example.com:5070;branch=z9hG4bK1;rport",
            Via("TCP", "host.example.com", 5070, {"branch": "z9hG4bK1", "rport": ""}),
        ),
        ("sip / 2.0 / WSS  [2001:db8::1] : 443 ; received = 2001:db8::2", Via(
            "WSS", "2001:db8::1", 443, {"received": "2001:db8::2"})),
    ],
)  # fmt: skip
def test_via(text: str, via: Via) -> None:
    assert parse_via(text) == via
    assert parse_via(str(via)) == via


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 host", "HTTP/1.1/TCP a", "SIP/2.0/UDP a b", "SIP/2.0/UDP a;;",
             "SIP/2.0/UDP a:99999", "SIP/2.0/UDP [a]", "SIP/2.0/UDPa", "SIP/2.0/UDP a, SIP/2.0/UDP b"]
)  # fmt: skip
def test_no_via(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_via(text)


def test_cseq() -> None:
    assert parse_cseq("0009  INVITE") == CSeq(9, "INVITE")
    assert str(CSeq(2**31 - 1, "BYE")) == "2147483647 BYE"
    assert parse_cseq("2147483647 BYE").number == 2**31 - 1
    for text in ("", "1", "INVITE", "1INVITE", "-1 INVITE", "1 IN VITE", "2147483648 BYE", "١ BYE", "9" * 8000 + " A"):
        with pytest.raises(ValueError, match=r"."):
            parse_cseq(text)


def test_numbers() -> None:
    assert parse_number(" 0068\t", 255) == 68
    assert parse_number("0" * 8000, 255) == 0
    for text in ("", "256", "-1", "+1", "1.0", "1_0", "٣", "9" * 8000):
        with pytest.raises(ValueError, match=r"number"):
            parse_number(text, 255)


def test_params() -> None:
    assert parse_params("") == {}
    assert parse_params(' ; Refresher = uas;x="a;\\"b" ') == {"refresher": "uas", "x": '"a;\\"b"'}
    assert parse_params(";a=1;A=2;b;b=3") == {"a": "1", "b": ""}  # the first counts
    assert unquote(parse_params(';x="a;\\"b"')["x"]) == 'a;"b'
    with pytest.raises(ValueError, match="too many"):
        parse_params("".join(f";p{n}" for n in range(65)))


def test_lists() -> None:
    assert split_list(' a ,b,, "c,\\",d" <e,f>;g="h,i" ,') == ["a", "b", '"c,\\",d" <e,f>;g="h,i"']
    assert split_list("") == split_list(" , ") == []
    assert split_list('a, "b, c') == ["a", '"b, c']  # what is left open is one item, for its reader to refuse
    assert split_list("a, <b, c") == ["a", "<b, c"]


def test_escapes() -> None:
    assert unescape("a%20%C3%BC%zz%4") == "a ü%zz%4"
    assert unescape("%ff") == "\N{REPLACEMENT CHARACTER}"
    assert unquote("plain") == "plain"
    assert unquote('"a\\\\\\"b"') == 'a\\"b'
    assert quote('a\\"b\x07') == '"a\\\\\\"b\\\x07"'


WORD = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=10)
PARAMS = st.dictionaries(WORD.map(str.lower), WORD | st.just(""), max_size=4)
HOST = st.from_regex(r"[A-Za-z0-9._-]+", fullmatch=True) | st.ip_addresses().map(str)
PORT = st.none() | st.integers(0, 65535)
USER = st.text("abcXYZ019;?/&=+$,%", min_size=1, max_size=10)
URI = st.builds(Uri, st.sampled_from(["sip", "sips"]), USER | st.just(""), HOST, PORT, PARAMS, WORD | st.just(""))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)


@given(URI)
def test_uris_come_back(uri: Uri) -> None:
    assert parse_uri(str(uri)) == uri


@given(TEXT, URI, PARAMS)
def test_addresses_come_back(display: str, uri: Uri, params: dict[str, str]) -> None:
    address = NameAddr(display, uri, params)
    assert parse_name_addr(str(address)) == address
    assert split_list(f"{address},{address} , {address}") == 3 * [str(address)]


@given(WORD.map(str.upper), HOST, PORT, PARAMS)
def test_vias_come_back(transport: str, host: str, port: int | None, params: dict[str, str]) -> None:
    via = Via(transport, host, port, params)
    assert parse_via(str(via)) == via


@given(TEXT)
def test_quotes_come_back(text: str) -> None:
    assert unquote(quote(text)) == text


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    for parse in (parse_uri, parse_name_addr, parse_via, parse_cseq, parse_params):
        for given_text in (text, f"<sip:{text}", f"sip:{text}", f'"{text}', f"SIP/2.0/UDP {text}"):
            try:
                result = parse(given_text)
            except ValueError:
                continue
            assert isinstance(result, dict) or parse(str(result)) == result
    split_list(text)
    unescape(text)
    unquote(text)
