"""The right to call, by network and by password; the rest is in test_guard.py and test_digest.py."""

import pytest

from config.sip import SipSettings, TrunkSettings
from telephony.lines.sip.access import digest
from telephony.lines.sip.access.authentication import Authentication
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import encode
from tests.telephony.lines.sip.peer import invite, message

TRUNK, STRANGER = Address("UDP", "192.0.2.7", 5060), Address("UDP", "198.51.100.9", 5060)
HERE = Address("UDP", "127.0.0.1", 5060)
STREAM = Address("TCP", "198.51.100.9", 40_000, 1)


def authentication(**settings: object) -> Authentication:
    return Authentication(SipSettings(**settings))  # type: ignore[arg-type]


def credentials(challenge: str, user: str, password: str) -> str:
    header = digest.answer(challenge, "INVITE", invite().uri, user, password, cnonce="c")
    return f"Authorization: {header}\n"


def challenged(one: Authentication, now_ms: float, source: Address = STRANGER) -> str:
    """The challenge that an INVITE without credentials meets."""
    asked = one.authorized(invite(), source, now_ms)
    assert asked is not None
    return asked.headers[0][1]


def test_nobody_but_this_machine_by_default() -> None:
    closed = authentication()
    assert [closed.admit(Address("UDP", ip), 0) for ip in ("127.0.0.1", "::1", STRANGER.host)] == [True, True, False]


def test_with_networks_only_those() -> None:
    trunks = authentication(trusted=("192.0.2.0/24",))
    assert [trunks.admit(one, 0) for one in (TRUNK, STRANGER, HERE)] == [True, False, False]
    assert trunks.authorized(invite(), TRUNK, 0) is None


def test_with_both_a_trunk_needs_no_password_and_others_do() -> None:
    both = authentication(trusted=("192.0.2.0/24",), users={"ann": "s3cret"})
    assert both.admit(STRANGER, 0)
    assert both.authorized(invite(), TRUNK, 0) is None
    asked = both.authorized(invite(), STRANGER, 0)
    assert asked is not None
    assert (asked.status, asked.why, len(asked.headers)) == (401, "no credentials", 1)
    challenge = asked.headers[0][1]
    good = invite(add=credentials(challenge, "ann", "s3cret"))
    assert both.authorized(good, STRANGER, 10) is None
    again = both.authorized(good, STRANGER, 20)  # the same once more is a replay
    assert again is not None
    assert again.why == "a stale nonce"
    assert "stale=true" in again.headers[0][1]
    wrong = both.authorized(invite(add=credentials(challenge, "ann", "guess")), STRANGER, 30)
    assert wrong is not None
    assert (wrong.status, wrong.why) == (401, "wrong password")


def test_guesses_are_counted_and_stale_nonces_are_not() -> None:
    strict = authentication(users={"ann": "s3cret"}, ban_failures=3)
    old = credentials(challenged(strict, 0), "ann", "s3cret")
    for _ in range(10):
        assert strict.authorized(invite(add=old), STRANGER, 100_000) is not None
    assert strict.admit(STRANGER, 100_000)
    guess = credentials(challenged(strict, 100_000), "ann", "guess")
    for _ in range(3):
        assert strict.authorized(invite(add=guess), STRANGER, 100_000) is not None
    assert not strict.admit(STRANGER, 100_001)
    assert not strict.admit(STREAM, 100_001)
    assert strict.admit(STRANGER, 100_001 + 600_000)


def test_what_anybody_can_send_in_anothers_name_bans_nobody() -> None:
    """By UDP, that is anything but an answer to a nonce that was sent to this address."""
    strict = authentication(users={"ann": "s3cret"}, ban_failures=2)
    elsewhere = credentials(challenged(strict, 0, Address("UDP", "203.0.113.5", 5060)), "ann", "guess")
    thought_up = credentials('Digest realm="voxline", nonce="x", qop="auth"', "ann", "guess")
    spoilt = "Authorization: Digest username\n"
    for _ in range(10):
        strict.failed(STRANGER, 0)
        for forged in ("", elsewhere, thought_up, spoilt):
            assert strict.authorized(invite(add=forged), STRANGER, 0) is not None
    assert strict.admit(STRANGER, 1)
    assert strict.guard.counters.bans == 0


def test_a_flood_in_a_phones_name_does_not_keep_it_from_answering_its_challenge() -> None:
    one = authentication(users={"ann": "s3cret"})
    good = invite(add=credentials(challenged(one, 0), "ann", "s3cret"))
    while one.admit(STRANGER, 0, b"forged"):
        pass
    assert not one.admit(STRANGER, 0, encode(invite()))
    assert one.admit(STRANGER, 0, encode(good))
    assert one.authorized(good, STRANGER, 0) is None
    assert one.admit(STRANGER, 0, b"what follows")  # it is known now


@pytest.mark.parametrize("add", ["", "Authorization: Digest username\n"])
def test_by_a_stream_everything_counts(add: str) -> None:
    strict = authentication(users={"ann": "s3cret"}, ban_failures=2)
    for _ in range(2):
        assert strict.admit(STREAM, 0)
        strict.authorized(invite(add=add), STREAM, 0)
    assert not strict.admit(STREAM, 1)


def test_who_asks_by_options_without_a_password_is_challenged_and_not_counted() -> None:
    """Exchanges do it all the time, and take any answer as a sign of life."""
    strict = authentication(users={"ann": "s3cret"}, ban_failures=2)
    asks = message("OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\nFrom: <sip:a>;tag=1\n"
                   "To: <sip:b>\nCall-ID: 1\nCSeq: 1 OPTIONS\n")  # fmt: skip
    for _ in range(10):
        refusal = strict.authorized(asks, STREAM, 0)
        assert refusal is not None
        assert refusal.status == 401
    assert strict.admit(STREAM, 1)


def test_sha_256_is_offered_where_it_is_asked_for_only() -> None:
    """Telephones with libre 1 (baresip 1) give up if it is offered, even beside MD5; sipp reads only the first."""
    for algorithms in (("MD5",), ("SHA-256", "MD5")):
        one = authentication(users={"ann": "s3cret"}, digest=algorithms)
        asked = one.authorized(invite(), STRANGER, 0)
        assert asked is not None
        assert [name for _, value in asked.headers for name in ("SHA-256", "MD5") if name in value] == list(algorithms)


def test_networks_of_trunks_count_like_the_others() -> None:
    trunks = authentication(trunks={"acme": TrunkSettings(server="sip:192.0.2.1", trusted=("192.0.2.0/28",))})
    assert [trunks.admit(one, 0) for one in (TRUNK, STRANGER, HERE)] == [True, False, False]
    assert trunks.authorized(invite(), TRUNK, 0) is None


def test_whom_we_have_called_may_answer_but_not_call() -> None:
    for users in ({}, {"ann": "s3cret"}):
        some = authentication(trusted=("192.0.2.0/24",), users=users)
        some.guard.expect(STRANGER, 1000)
        assert some.admit(STRANGER, 0)
        refusal = some.authorized(invite(), STRANGER, 0)
        assert refusal is not None
        assert refusal.status == (401 if users else 403)
