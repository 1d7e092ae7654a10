"""Tokens for calls from pages: once, for a short time."""

import pytest

from telephony.lines.browser.grants import Grant, Grants, TooMany
from telephony.lines.exceptions import ProtocolError

DESK = Grant("front_desk", "1#")


def test_a_token_is_good_once() -> None:
    grants = Grants(60)
    token = grants.issue(DESK, 0)
    assert "front_desk" not in token
    assert grants.redeem(token, 59.9) == DESK
    with pytest.raises(ProtocolError, match="used or expired"):
        grants.redeem(token, 59.9)


@pytest.mark.parametrize("token", ["", "x", "\ud800", "t" * 43])
def test_an_unknown_one_is_not(token: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        Grants(60).redeem(token, 0)
    assert refused.value.code == 1008


def test_it_expires() -> None:
    grants = Grants(60)
    token = grants.issue(DESK, 0)
    with pytest.raises(ProtocolError):
        grants.redeem(token, 60)


def test_so_many_wait_and_no_more() -> None:
    grants = Grants(60, limit=2)
    grants.issue(DESK, 0)
    grants.issue(DESK, 1)
    with pytest.raises(TooMany):
        grants.issue(DESK, 2)
    grants.issue(DESK, 60)
