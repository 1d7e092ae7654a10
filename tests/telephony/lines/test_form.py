"""Forms, against the standard library's parser."""

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telephony.lines.form import parse_form

MOST = 500


@given(st.lists(st.tuples(st.text(), st.text()), max_size=40))
def test_whatever_is_encoded_is_read(pairs: list[tuple[str, str]]) -> None:
    body = urlencode(pairs, errors="replace").encode()
    assert parse_form(body, MOST) == parse_qs(body.decode(), keep_blank_values=True)


@given(st.text("ab%&=+;/?:@!'\"<>[]{}|\\^`~4fF"))
@example("a=1&a=2&b&c=&=d&&e=f=g")
@example("a=%zz&b=%&c=%4")
@example("a=%ff%fe")
@example("")
def test_what_others_may_send_is_read_as_by_the_standard_library(text: str) -> None:
    assert parse_form(text.encode(), MOST) == parse_qs(text, keep_blank_values=True)


@pytest.mark.parametrize("body", [b"a=b c", b"a=b#c", b"a=b\tc", b"a=\xc3\xa9", b"a=\xff", b"a\n=b", b"\0", b"\x7f"])
def test_what_is_not_encoded_is_no_form(body: bytes) -> None:
    with pytest.raises(ValueError, match="no form"):
        parse_form(body, MOST)


def test_fields_are_bounded() -> None:
    assert len(parse_form(b"&".join(b"a%d=" % number for number in range(10)), 10)) == 10
    with pytest.raises(ValueError, match="at most 10 fields"):
        parse_form(b"&" * 10, 10)
