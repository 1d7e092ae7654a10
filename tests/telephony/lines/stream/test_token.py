"""The stream token: one call, one use, a short time."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.exceptions import ProtocolError
from telephony.lines.stream.token import Tokens


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


KEY = b"k" * 32


def refused(tokens: Tokens, token: str, call_sid: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        tokens.redeem(token, call_sid)
    return f"{caught.value.code} {caught.value.reason}"


def test_a_token_is_good_once_and_for_its_call() -> None:
    tokens = Tokens(KEY, 60, Clock())
    token = tokens.issue("CA1")
    assert refused(tokens, token, "CA2") == "1008 stream token is not for this call"
    tokens.redeem(token, "CA1")
    assert refused(tokens, token, "CA1") == "1008 stream token was used already"


def test_a_repeated_webhook_gets_a_token_of_its_own() -> None:
    tokens = Tokens(KEY, 60, Clock())
    first, second = tokens.issue("CA1"), tokens.issue("CA1")
    assert first != second
    tokens.redeem(second, "CA1")
    tokens.redeem(first, "CA1")


def test_a_token_expires() -> None:
    clock = Clock()
    tokens = Tokens(KEY, 60, clock)
    first, second = tokens.issue("CA1"), tokens.issue("CA1")
    clock.now += 59
    tokens.redeem(first, "CA1")
    clock.now += 1
    assert refused(tokens, second, "CA1") == "1008 stream token has expired"
    assert refused(tokens, first, "CA1") == "1008 stream token has expired"


def test_another_key_makes_other_tokens() -> None:
    clock = Clock()
    token = Tokens(b"l" * 32, 60, clock).issue("CA1")
    assert refused(Tokens(KEY, 60, clock), token, "CA1") == "1008 stream token is not for this call"


def test_a_token_is_safe_in_urls() -> None:
    token = Tokens(KEY, 60, Clock()).issue("CA1")
    assert len(token) == 64
    assert token.replace("-", "a").replace("_", "a").isalnum()


def test_a_token_with_more_to_it_is_none() -> None:
    tokens = Tokens(KEY, 60, Clock())
    assert refused(tokens, tokens.issue("CA1") + "AAAA", "CA1") == "1008 stream token is malformed"


def test_used_tokens_are_kept_until_they_expire_and_no_more_than_the_limit() -> None:
    clock = Clock()
    tokens = Tokens(KEY, 60, clock, limit=3)
    issued = [tokens.issue(f"CA{n}") for n in range(5)]
    for n in (2, 0, 1):
        tokens.redeem(issued[n], f"CA{n}")
    assert refused(tokens, issued[3], "CA3").startswith("1013 ")
    assert refused(tokens, issued[0], "CA0") == "1008 stream token was used already"
    clock.now += 60
    tokens.redeem(tokens.issue("CA5"), "CA5")
    assert len(tokens._used) == len(tokens._expiries) == 1


@given(st.text(max_size=90) | st.binary(min_size=48, max_size=48).map(lambda raw: base64.b64encode(raw).decode()))
def test_no_text_is_a_token(text: str) -> None:
    tokens = Tokens(KEY, 60, Clock())
    assert refused(tokens, text, "CA1").startswith("1008 stream token is ")


@given(st.integers(0, 48 * 8 - 1))
def test_no_bit_may_be_changed(bit: int) -> None:
    tokens = Tokens(KEY, 60, Clock())
    raw = int.from_bytes(base64.urlsafe_b64decode(tokens.issue("CA1")), "big") ^ (1 << bit)
    forged = base64.urlsafe_b64encode(raw.to_bytes(48, "big")).decode()
    assert refused(tokens, forged, "CA1") == "1008 stream token is not for this call"


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_call_sid(mine: str, other: str) -> None:
    tokens = Tokens(KEY, 60, Clock())
    token = tokens.issue(mine)
    if other != mine:
        assert "not for this call" in refused(tokens, token, other)
    tokens.redeem(token, mine)
