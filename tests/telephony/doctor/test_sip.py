"""What the doctor says of SIP: ports, reach, callers, encryption."""

import socket
from collections.abc import Iterator

import pytest

from telephony.doctor import sip
from telephony.doctor.ports import is_local, leaves_from
from telephony.lines.rtp import opus, srtp
from telephony.lines.sip.network import locator
from tests.telephony.doctor.findings import of, settings, text

HOST = "127.0.0.1"
ELSEWHERE = "203.0.113.5"  # for documentation: nobody's


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is taken on UDP and TCP."""
    with socket.create_server((HOST, 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((HOST, tcp.getsockname()[1]))
        yield tcp.getsockname()[1]


def test_sip_that_is_off_is_all_there_is_to_say() -> None:
    assert text(sip.check(settings(sip__enabled=False))) == "ok: off: sip.enabled is false "


def test_the_default_is_closed_and_in_order() -> None:
    found = list(sip.check(settings()))
    assert of("problem", found) == of("warning", found) == []
    assert "reached at 127.0.0.1 by programs on this machine only" in text(found)
    assert "closed: without sip.trusted and sip.users only this machine may call" in text(found)


def test_a_taken_port_is_a_problem_unless_it_is_voxlines_own(taken: int) -> None:
    found = of("problem", sip.check(settings(sip__port=taken)))
    assert found == [f"{kind} {HOST}:{taken}: Address already in use" for kind in ("UDP", "TCP")]
    assert of("problem", sip.check(settings(sip__port=taken), running=True)) == []


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    found = list(sip.check(settings(sip__host=ELSEWHERE, sip__trusted=[f"{ELSEWHERE}/32"], sip__port=5060)))
    assert f"UDP {ELSEWHERE}:5060: Cannot assign requested address" in of("problem", found)
    assert "`ip address` shows" in text(found)


def test_one_port_for_tcp_and_tls_is_a_problem(certificate: dict[str, str]) -> None:
    tls = {f"sip__{key}": value for key, value in certificate.items()}
    one = settings(sip__transports=["tcp", "tls"], sip__port=45_061, sip__tls_port=45_061, **tls)
    assert "sip.port and sip.tls_port are both 45061" in of("problem", sip.check(one))


def test_authorities_are_looked_at_also_where_nobody_calls_by_tls(certificate: dict[str, str]) -> None:
    assert "vouches for servers that we call" in text(sip.check(settings(sip__tls_ca=certificate["tls_cert"])))
    assert of("problem", sip.check(settings(sip__tls_ca="/nowhere"))) == [
        "sip.tls_ca: cannot read '/nowhere': No such file or directory"
    ]


def test_behind_a_nat_it_says_what_is_to_be_forwarded(certificate: dict[str, str]) -> None:
    tls = {f"sip__{key}": value for key, value in certificate.items()}
    nat = settings(
        sip__host="0.0.0.0", sip__advertised=ELSEWHERE, sip__trusted=["54.172.60.0/30"], sip__port=5060,
        sip__transports=["udp", "tcp", "tls"], sip__tls_port=5061, **tls,
    )  # fmt: skip
    found = list(sip.check(nat))
    assert f"reached at {ELSEWHERE}, which is not this machine's: there is a NAT in between" in of("warning", found)
    assert "UDP 5060, TCP 5060, TCP 5061 (TLS), UDP 20000-29999 (audio)" in text(found)
    assert "may call without a password: 54.172.60.0/30" in text(found)
    assert "everybody else hears nothing at all" in text(found)


def test_what_nobody_can_reach_is_a_problem() -> None:
    hidden = settings(sip__advertised=ELSEWHERE)
    assert "but sip.host is loopback" in text(sip.check(hidden))
    assert len(of("problem", sip.check(hidden))) == 1
    nowhere = settings(sip__host="0.0.0.0", sip__advertised=HOST, sip__trusted=["10.0.0.0/8"])
    assert "leads to themselves or nowhere" in of("problem", sip.check(nowhere))[0]


@pytest.mark.skipif(not leaves_from(4) or not is_local(leaves_from(4)), reason="this machine has no network")
def test_an_address_of_this_machine_needs_no_router() -> None:
    here = leaves_from(4)
    found = list(sip.check(settings(sip__host=here, sip__trusted=["10.0.0.0/8"])))
    assert f"reached at {here}" in text(found)
    assert "there is a NAT in between" not in text(found)
    assert "port 0 is a different port at each start, unknown to anybody elsewhere" in of("warning", found)


def test_it_says_who_may_call_and_what_is_too_open() -> None:
    users = settings(
        sip__users={"ann": "short", "bob": "long-enough-to-hold"}, sip__trusted=["0.0.0.0/0", "54.0.0.0/8"]
    )
    found = list(sip.check(users))
    assert of("problem", found) == ["sip.trusted has 0.0.0.0/0: anybody may call, unchecked and without limit"]
    assert "sip.trusted has 54.0.0.0/8, 16,777,216 public addresses" in of("warning", found)
    assert "passwords shorter than 8 characters: ann" in of("warning", found)
    assert "may call from anywhere, with a password: ann, bob" in text(found)
    assert "short " not in text(found)
    assert "long-enough-to-hold" not in text(found)


def test_trunks_are_named_and_what_they_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    trunks = {
        "telco": {"server": "sip:198.51.100.7"},
        "pbx": {"server": "sip:192.0.2.9", "user": "v", "register": True},
    }
    found = list(sip.check(settings(sip__trunks=trunks)))
    assert of("warning", found) == ["trunk telco: its calls cannot be told from a stranger's"]
    assert "trunk pbx: sip:192.0.2.9, registers there" in text(found)
    monkeypatch.setattr(locator, "available", lambda: False)
    named = {"telco": {"server": "sip:sip.example.com", "trusted": ["198.51.100.0/24"]}}
    found = list(sip.check(settings(sip__trunks=named)))
    assert of("problem", found) == [f"sip.trunks.telco.server: {locator.MISSING}"]


def test_encryption(certificate: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "available", lambda: True)
    half = settings(
        sip__host="0.0.0.0", sip__advertised=ELSEWHERE, sip__users={"ann": "s3cret-enough"}, sip__srtp="required"
    )
    assert "the keys of encrypted audio go over udp and tcp as plain text" in of("warning", sip.check(half))
    tls = {f"sip__{key}": value for key, value in certificate.items()}
    clear = settings(sip__transports=["tls"], sip__srtp="off", **tls)
    assert "signalling is encrypted by TLS, but the audio is not" in of("warning", sip.check(clear))
    monkeypatch.setattr(srtp, "available", lambda: False)
    for wanted, level in (("allowed", "warning"), ("required", "problem")):
        assert of(level, sip.check(settings(sip__srtp=wanted))) == ["sip.srtp: encrypted audio is refused"]


def test_opus_without_its_library_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "available", lambda: False)
    assert of("problem", sip.check(settings())) == []
    found = list(sip.check(settings(sip__codecs=["opus", "PCMU"])))
    assert of("problem", found) == ["sip.codecs: there is no opus"]
    assert "apt-get install libopus0" in text(found)
