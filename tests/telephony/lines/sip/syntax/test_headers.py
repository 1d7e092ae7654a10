"""The headers of a message: an ordered multi-map."""

import pytest

from telephony.lines.sip.syntax.headers import Headers


def test_names() -> None:
    headers = Headers([("v", "SIP/2.0/UDP a"), ("VIA", "SIP/2.0/TCP b"), ("subject", "hello")])
    assert headers.all("Via") == headers.all("V") == ["SIP/2.0/UDP a", "SIP/2.0/TCP b"]
    assert "vIa" in headers
    assert "S" in headers
    assert "To" not in headers
    assert list(headers) == [("Via", "SIP/2.0/UDP a"), ("VIA", "SIP/2.0/TCP b"), ("subject", "hello")]
    assert headers.get("To") == ""
    assert headers.get("To", "none") == "none"


def test_lists_are_split_where_commas_separate() -> None:
    headers = Headers(
        [
            ("Contact", '"a, b" <sip:c,d@e>;x="1,2" , <sip:f@g>,,'),
            ("Supported", "timer,100rel"),
            ("k", "replaces"),
            ("Allow", ""),
            ("WWW-Authenticate", 'Digest realm="a", nonce="b"'),
            ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
        ]
    )
    assert headers.all("m") == ['"a, b" <sip:c,d@e>;x="1,2"', "<sip:f@g>"]
    assert headers.get("m") == '"a, b" <sip:c,d@e>;x="1,2"'
    assert headers.all("Supported") == ["timer", "100rel", "replaces"]
    assert headers.all("Allow") == []
    assert headers.get("Allow", "none") == "none"
    headers.add("Allow", ", BYE, ACK")
    assert headers.get("Allow") == "BYE"
    assert "Allow" in headers
    assert headers.all("WWW-Authenticate") == ['Digest realm="a", nonce="b"']
    assert headers.get("Date") == "Sat, 13 Nov 2010 23:29:00 GMT"


def test_set_and_remove() -> None:
    headers = Headers([("Via", "a"), ("To", "b"), ("v", "c"), ("From", "d")])
    headers.set("v", "e")
    assert list(headers) == [("Via", "e"), ("To", "b"), ("From", "d")]
    headers.set("X-A", "f")
    headers.remove("t")
    headers.remove("Nothing")
    assert list(headers) == [("Via", "e"), ("From", "d"), ("X-A", "f")]
    assert len(headers) == 3


def test_equality() -> None:
    assert Headers([("v", " a ")]) == Headers([("VIA", "a")])
    assert Headers([("A", "1"), ("B", "2")]) != Headers([("B", "2"), ("A", "1")])
    assert Headers() != []


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\rb", "a\nb", "\r\n", "a\\\nb", "a\0", "\x1b[2J", "a\x7f"])
def test_values_that_would_be_more_than_a_value(value: str) -> None:
    headers = Headers([("X-A", "before")])
    with pytest.raises(ValueError, match="a line end or a control character in X-A"):
        headers.add("X-A", value)
    with pytest.raises(ValueError, match="a line end"):
        headers.set("X-A", value)
    with pytest.raises(ValueError, match="a line end"):
        Headers([("X-A", value)])
    assert list(headers) == [("X-A", "before")]


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "ü", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="no token"):
        Headers().add(name, "value")
