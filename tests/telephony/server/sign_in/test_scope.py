"""Scopes by name."""

import pytest

from telephony.server.sign_in.scope import OPENS, Scope, parse


def test_each_scope_says_what_it_opens() -> None:
    assert list(OPENS) == list(Scope)
    assert all(OPENS.values())


def test_a_list_has_each_once_in_the_tables_order() -> None:
    assert parse("calls:act, calls:read,calls:act") == (Scope.CALLS_READ, Scope.CALLS_ACT)


@pytest.mark.parametrize("text", ["", ",", "calls", "calls:read,", "calls:read,calls:*", "CALLS:READ", "é"])
def test_what_is_no_scope_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="there is no scope"):
        parse(text)
