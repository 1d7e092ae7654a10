"""Who may call, by network and by password; the rest is in test_guard.py and test_digest.py."""

from config.sip import SipSettings, TrunkSettings
from telephony.sip import digest
from telephony.sip.door import Door
from telephony.sip.syntax.address import Address
from tests.telephony.sip.peer import invite

TRUNK, STRANGER = Address("UDP", "192.0.2.7", 5060), Address("UDP", "198.51.100.9", 5060)


def door(**settings: object) -> Door:
    return Door(SipSettings(**settings))  # type: ignore[arg-type]


def credentials(challenge: str, user: str, password: str) -> str:
    header = digest.answer(challenge, "INVITE", invite().uri, user, password, cnonce="c")
    return f"Authorization: {header}\n"


def test_nobody_but_this_machine_by_default() -> None:
    closed = door()
    assert [closed.admit(ip, 0) for ip in ("127.0.0.1", "::1", STRANGER.host)] == [True, True, False]


def test_with_networks_only_those() -> None:
    trunks = door(trusted=("192.0.2.0/24",))
    assert [trunks.admit(ip, 0) for ip in (TRUNK.host, STRANGER.host, "127.0.0.1")] == [True, False, False]
    assert trunks.authorized(invite(), TRUNK, 0) is None


def test_with_both_a_trunk_needs_no_password_and_others_do() -> None:
    both = door(trusted=("192.0.2.0/24",), users={"ann": "s3cret"})
    assert both.admit(STRANGER.host, 0)
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
    strict = door(users={"ann": "s3cret"}, ban_failures=3)
    asked = strict.authorized(invite(), STRANGER, 0)
    assert asked is not None
    old = invite(add=credentials(asked.headers[0][1], "ann", "s3cret"))
    for _ in range(10):
        assert strict.authorized(old, STRANGER, 100_000) is not None
    assert strict.admit(STRANGER.host, 100_000)
    for _ in range(3):
        strict.authorized(invite(), STRANGER, 100_000)
    assert not strict.admit(STRANGER.host, 100_001)
    assert strict.admit(STRANGER.host, 100_001 + 600_000)


def test_sha_256_is_offered_where_it_is_asked_for_only() -> None:
    """Telephones with libre 1 (baresip 1) give up where it is offered, beside MD5 too; sipp looks at the first."""
    for algorithms in (("MD5",), ("SHA-256", "MD5")):
        one = door(users={"ann": "s3cret"}, digest=algorithms)
        asked = one.authorized(invite(), STRANGER, 0)
        assert asked is not None
        assert [name for _, value in asked.headers for name in ("SHA-256", "MD5") if name in value] == list(algorithms)


def test_networks_of_trunks_count_like_the_others() -> None:
    trunks = door(trunks={"acme": TrunkSettings(server="sip:192.0.2.1", trusted=("192.0.2.0/28",))})
    assert [trunks.admit(ip, 0) for ip in (TRUNK.host, STRANGER.host, "127.0.0.1")] == [True, False, False]
    assert trunks.authorized(invite(), TRUNK, 0) is None


def test_whom_we_have_called_may_answer_but_not_call() -> None:
    for users in ({}, {"ann": "s3cret"}):
        some = door(trusted=("192.0.2.0/24",), users=users)
        some.guard.expect(STRANGER.host, 1000)
        assert some.admit(STRANGER.host, 0)
        refusal = some.authorized(invite(), STRANGER, 0)
        assert refusal is not None
        assert refusal.status == (401 if users else 403)
