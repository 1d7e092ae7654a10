"""Digest: the RFCs' examples, our client against our server, and everything that must not get in."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.sip.access import digest
from telephony.lines.sip.access.digest import (
    NONCE_MS,
    Accepted,
    BadCredentials,
    Digest,
    Stale,
    Verdict,
    answer,
    choose,
    parse_auth,
)

URI = "sip:1000@example.com"
IP = "192.0.2.1"
PASSWORDS = {"ann": "s3cret", 'Zoë "Z"': "pässword"}


class Server:
    """A Digest at a time and an address."""

    def __init__(self, **settings: Any) -> None:
        self.digest = Digest("voxline", PASSWORDS, secret=b"seal", **settings)
        self.now, self.ip = 1_000_000.0, IP

    def challenge(self, place: int = 0) -> str:
        return self.digest.challenge(self.now, self.ip)[place]

    def check(self, header: str, method: str = "INVITE", uri: str = URI) -> Verdict:
        return self.digest.check(method, uri, header, self.now, self.ip)


def credentials(challenge: str, user: str = "ann", password: str = "s3cret", nc: int = 1, uri: str = URI) -> str:
    return answer(challenge, "INVITE", uri, user, password, cnonce="0a4f113b", nc=nc)


# ---- the RFCs' examples ----


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616(algorithm: str, response: str) -> None:
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    header = answer(challenge, "GET", "/dir/index.html", "Mufasa", "Circle of Life", cnonce=cnonce)
    assert header == (
        'Digest username="Mufasa", realm="http-auth@example.org", '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", '
        f'algorithm={algorithm}, qop=auth, cnonce="{cnonce}", nc=00000001, response="{response}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )


def test_rfc_2617() -> None:
    challenge = 'digest REALM="testrealm@host.com",qop=auth,nonce=dcd98b7102dd2f0e8b11d0f600bfb0c093'
    header = answer(challenge, "GET", "/dir/index.html", "Mufasa", "Circle Of Life", cnonce="0a4f113b")
    assert parse_auth(header)["response"] == "6629fae49393a05397450978507c4ef1"
    assert parse_auth(header)["algorithm"] == "MD5"


def test_rfc_2069() -> None:
    """Without qop: no nc, no cnonce."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    header = answer('Digest realm="r", nonce="n"', "REGISTER", "sip:a", "ann", "s3cret", cnonce="c", nc=7)
    expected = md5(f"{md5('ann:r:s3cret')}:n:{md5('REGISTER:sip:a')}")
    assert parse_auth(header) == {
        "username": "ann", "realm": "r", "nonce": "n", "uri": "sip:a", "algorithm": "MD5", "response": expected
    }  # fmt: skip


# ---- the server ----


def test_a_challenge() -> None:
    strong, weak = Server().digest.challenge(5, IP)
    assert parse_auth(strong) | {"nonce": ""} == {
        "realm": "voxline", "nonce": "", "algorithm": "SHA-256", "qop": "auth"
    }  # fmt: skip
    assert parse_auth(weak) == parse_auth(strong) | {"algorithm": "MD5"}
    assert not digest.is_stale(strong)
    (stale,) = Server(algorithms=["MD5"]).digest.challenge(5, IP, stale=True)
    assert digest.is_stale(stale)
    with pytest.raises(ValueError, match="SHA-256, MD5"):
        Server(algorithms=["MD5-sess"])


@pytest.mark.parametrize("user", PASSWORDS)
@pytest.mark.parametrize("place", [0, 1])
def test_the_right_password(user: str, place: int) -> None:
    server = Server()
    assert server.check(credentials(server.challenge(place), user, PASSWORDS[user])) == Accepted(user)


def test_wrong_and_unknown_look_alike() -> None:
    server = Server()
    challenge = server.challenge()
    wrong = server.check(credentials(challenge, "ann", "guess"))
    unknown = server.check(credentials(challenge, "bob", "guess"))
    assert (wrong, unknown) == (
        BadCredentials("wrong password", proven=True),
        BadCredentials("unknown user", proven=True),
    )
    for decoy in ("", "None", "s3cret"):
        assert server.check(credentials(challenge, "bob", decoy)) == BadCredentials("unknown user", proven=True)
    assert server.check(credentials(challenge)) == Accepted("ann")  # a guess does not spend the nonce


def test_an_unknown_user_costs_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    def counting(data: bytes, **options: Any) -> Any:
        hashed.append(len(data))
        return hashlib.sha256(data, **options)

    monkeypatch.setitem(digest._HASHES, "SHA-256", counting)
    server, work = Server(), []
    for user in ("ann", "bob"):
        header = credentials(server.challenge(), user, "guess")
        hashed.clear()
        server.check(header)
        work.append(len(hashed))
    assert work == [3, 3]


def test_a_nonce_lasts_a_minute() -> None:
    server = Server()
    challenge = server.challenge()
    server.now += NONCE_MS - 1
    assert server.check(credentials(challenge)) == Accepted("ann")
    server.now += 1
    assert server.check(credentials(challenge, nc=2)) == Stale()
    assert server.check(credentials(challenge, password="guess", nc=2)) == Stale()  # nothing is told of the password
    assert server.check(credentials(server.challenge())) == Accepted("ann")


def test_a_nonce_is_for_one_address_and_one_server() -> None:
    server = Server()
    header = credentials(server.challenge())
    server.ip = "192.0.2.2"
    assert server.check(header) == Stale()
    server.ip = IP
    assert Digest("voxline", PASSWORDS).check("INVITE", URI, header, server.now, IP) == Stale()
    nonce = parse_auth(header)["nonce"]
    for forged in (nonce[:-1] + ("h" if nonce[-1] == "g" else "g"), "0" + nonce, nonce.upper(), "", "x", "ü" * 28):
        challenge = f'Digest realm="voxline", nonce="{forged or "-"}", qop="auth", algorithm=SHA-256'
        assert server.check(credentials(challenge)) == Stale()
    assert server.check(header) == Accepted("ann")


def test_who_thinks_up_a_nonce_learns_nothing_of_the_password() -> None:
    """Otherwise passwords could be guessed from anywhere, without a nonce of ours and without being counted."""
    server = Server()
    thought_up = 'Digest realm="voxline", nonce="x", qop="auth", algorithm=SHA-256'
    assert server.check(credentials(thought_up)) == server.check(credentials(thought_up, password="guess")) == Stale()
    header = credentials(server.challenge(), password="guess")
    assert server.check(header) == BadCredentials("wrong password", proven=True)
    server.ip = "192.0.2.2"
    assert server.check(header) == Stale()


def test_a_nonce_is_short() -> None:
    """The answer that holds it goes to an unknown sender, and must not be longer than the request."""
    assert len(parse_auth(Server().challenge())["nonce"]) == 28


def test_a_nonce_is_found_in_what_is_not_parsed_yet() -> None:
    server = Server()
    header = f"INVITE sip:a SIP/2.0\r\nAuthorization: {credentials(server.challenge())}\r\n\r\n".encode()
    assert server.digest.is_answered(header, IP)
    assert not server.digest.is_answered(header, "192.0.2.2")
    assert not Digest("voxline", PASSWORDS).is_answered(header, IP)
    for data in (b"", b'nonce="', b'nonce="x"', header.replace(b'nonce="', b'nonce="x'), b'nonce="' + 28 * b"-" + b'"'):
        assert not server.digest.is_answered(data, IP)


def test_nonces_differ_in_the_same_millisecond() -> None:
    server = Server()
    first, second = server.challenge(), server.challenge()
    assert server.check(credentials(second)) == Accepted("ann")
    assert server.check(credentials(first)) == Accepted("ann")


def test_the_count_must_rise() -> None:
    server = Server()
    challenge = server.challenge()
    for nc, verdict in ((1, Accepted("ann")), (1, Stale()), (2, Accepted("ann")), (9, Accepted("ann")), (3, Stale()),
                        (9, Stale()), (10, Accepted("ann")), (0, Stale())):  # fmt: skip
        assert server.check(credentials(challenge, nc=nc)) == verdict


def test_what_is_remembered_is_bounded() -> None:
    server = Server(max_nonces=3)
    headers = [credentials(server.challenge()) for _ in range(6)]
    assert [server.check(header) for header in headers[1:]] == 5 * [Accepted("ann")]
    assert len(server.digest._counts) == 3
    # What had to be forgotten is spent, never good again.
    assert [server.check(header) for header in headers] == 6 * [Stale()]
    server.now += NONCE_MS
    assert server.check(credentials(server.challenge())) == Accepted("ann")
    assert len(server.digest._counts) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"realm": "other"}, "incomplete credentials, or for another realm"),
        ({"username": ""}, "incomplete credentials, or for another realm"),
        ({"response": None}, "incomplete credentials, or for another realm"),
        ({"cnonce": None}, "incomplete credentials, or for another realm"),
        ({"qop": None}, "credentials without qop=auth and nc"),
        ({"qop": "auth-int"}, "credentials without qop=auth and nc"),
        ({"nc": None}, "credentials without qop=auth and nc"),
        ({"nc": "1"}, "credentials without qop=auth and nc"),
        ({"nc": "0000000g"}, "credentials without qop=auth and nc"),
        ({"algorithm": "MD5-sess"}, "an algorithm that was not offered"),
        ({"algorithm": "MD5"}, "wrong password"),
        ({"algorithm": None}, "wrong password"),
        ({"uri": "sip:0900@example.com"}, "credentials for another URI"),
        ({"uri": "*"}, "credentials for another URI"),
        ({"uri": "sip:example.com"}, "wrong password"),  # sipp's way: the host alone, of which the response is made
        ({"response": "ü"}, "wrong password"),
        ({"nc": "00000002"}, "wrong password"),
        ({"cnonce": "other"}, "wrong password"),
        ({"username": "ann "}, "unknown user"),
    ],
)
def test_refused(change: dict[str, str | None], reason: str) -> None:
    server = Server()
    params = {
        name: value
        for name, value in (parse_auth(credentials(server.challenge())) | change).items()
        if value is not None
    }
    header = "Digest " + ",".join(f'{name}="{value}"' for name, value in params.items())
    proven = reason in {"wrong password", "unknown user"}
    assert server.check(header) == BadCredentials(reason, proven=proven)


@pytest.mark.parametrize("header", ["", "Digest", "Basic YTpi", "Digest username", 'Digest username="ann', "Digest ,,"])
def test_no_credentials(header: str) -> None:
    verdict = Server().check(header)
    assert isinstance(verdict, BadCredentials)


def test_a_parameter_that_stands_twice_is_refused() -> None:
    server = Server()
    header = credentials(server.challenge())
    assert server.check(header + ', username="bob"') == BadCredentials("bad Authorization header")
    assert server.check(header + ', USERNAME="ann"') == BadCredentials("bad Authorization header")


def test_the_method_is_signed_and_the_host_may_change() -> None:
    server = Server()
    header = credentials(server.challenge())
    assert server.check(header, method="BYE") == BadCredentials("wrong password", proven=True)
    assert server.check(header, uri="sip:1000@10.0.0.5:5080;transport=tcp") == Accepted("ann")


def test_md5_only_is_not_let_down_by_what_was_not_offered() -> None:
    server, strict = Server(), Server(algorithms=["SHA-256"])
    assert strict.check(credentials(server.challenge(1))) == BadCredentials("an algorithm that was not offered")


@given(st.text(max_size=200))
def test_any_header(text: str) -> None:
    for header in (text, f"Digest {text}", f'Digest username="{text}", realm={text}', f'Digest username="ann",{text}'):
        assert not isinstance(Server().check(header), Accepted)


# ---- the client ----


def test_the_best_challenge_is_chosen() -> None:
    sha, md5 = 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"', 'Digest realm="r", nonce="n"'
    aka, session = 'Digest realm="r", nonce="n", algorithm=AKAv1-MD5', 'Digest realm="r", nonce="n", algorithm=MD5-sess'
    integrity = 'Digest realm="r", nonce="n", qop="auth-int"'
    assert choose([md5, aka, sha]) == sha
    assert choose(["Basic realm=x", session, md5]) == md5
    with pytest.raises(ValueError, match="no digest challenge"):
        choose([aka, session, integrity, "Digest", 'Digest nonce="n"', "NoOneKnowsThisScheme opaque-data=here"])
    with pytest.raises(ValueError, match="cannot be answered"):
        answer(integrity, "REGISTER", "sip:a", "ann", "s3cret", cnonce="c")


def test_stale() -> None:
    assert digest.is_stale('Digest realm="r", nonce="n", stale=TRUE')
    assert not digest.is_stale('Digest realm="r", nonce="n", stale=false')
