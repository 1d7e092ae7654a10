"""Sessions: how long they last, and how many there are."""

import pytest

from telephony.server.sign_in.person import Role
from telephony.server.sign_in.sessions import MAX_SESSIONS, Sessions


def sessions() -> Sessions:
    return Sessions(idle_s=100, longest_s=1000)


def test_a_session_lasts_while_it_is_used_up_to_its_limit() -> None:
    kept = sessions()
    key = kept.begin("ann", Role.OPERATOR, 0)
    for now_s in range(0, 1001, 90):
        person = kept.person(key, now_s)
        assert person is not None
        assert (person.name, person.role) == ("ann", Role.OPERATOR)
    assert kept.person(key, 1001) is None
    assert len(kept) == 0


def test_a_session_that_is_not_used_ends() -> None:
    kept = sessions()
    key = kept.begin("ann", Role.VIEWER, 0)
    assert kept.is_on(key, 100)  # to ask is no use
    assert not kept.is_on(key, 101)
    assert kept.person(key, 101) is None


def test_signing_out_ends_it_at_once_and_no_other() -> None:
    kept = sessions()
    keys = [kept.begin("ann", Role.VIEWER, 0) for _ in range(2)]
    kept.end(keys[0])
    kept.end("unknown")
    assert kept.person(keys[0], 1) is None
    assert kept.person(keys[1], 1) is not None


def test_each_has_a_key_and_a_token_of_its_own() -> None:
    kept = sessions()
    keys = [kept.begin("ann", Role.VIEWER, 0) for _ in range(20)]
    tokens = {person.csrf for key in keys if (person := kept.person(key, 0))}
    assert len(set(keys)) == len(tokens) == 20
    assert min(map(len, [*keys, *tokens])) > 40


def test_there_are_only_so_many_and_the_least_used_goes() -> None:
    kept = sessions()
    first, second = (kept.begin("ann", Role.VIEWER, 0) for _ in range(2))
    assert kept.person(first, 1)
    for _ in range(MAX_SESSIONS - 1):
        kept.begin("bob", Role.VIEWER, 2)
    assert len(kept) == MAX_SESSIONS
    assert kept.person(second, 2) is None
    assert kept.person(first, 2) is not None


@pytest.mark.parametrize("key", ["", "x", "\ud800", "é" * 999])
def test_no_made_up_key_is_one(key: str) -> None:
    assert sessions().person(key, 0) is None
