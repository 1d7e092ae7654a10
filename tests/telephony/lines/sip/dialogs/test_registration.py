"""Registrars, as sipp, Kamailio and Asterisk play them."""

from typing import Any

import pytest

from telephony.lines.sip.dialogs.events import Registered, RegistrationFailed
from telephony.lines.sip.dialogs.exchange import Credentials
from telephony.lines.sip.dialogs.registration import Account, Registration
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Request
from tests.telephony.lines.sip.peer import Bench, answer_to

# prototypes: uas_registrar.xml
ASKED = 'Digest realm="pbx", nonce="abc1", algorithm=MD5, qop="auth", opaque="xyz"'


def register(bench: Bench, **more: Any) -> tuple[Registration, Request]:
    account = Account("sip:10.0.0.2:5070", "sip:agent@pbx", Credentials("agent", "pw123"), **more)
    registration = bench.ua.register(account, bench.now)
    return registration, only(bench.take())


def only(sent: list[Any]) -> Request:
    (request,) = sent
    assert isinstance(request, Request)
    return request


def next_sent(bench: Bench, ms: float) -> tuple[float, Request]:
    """The next request sent within that time, and after how long; time stops there."""
    start = bench.now
    while bench.ua.next_ms <= start + ms:
        for _, sent in bench.run(max(0.0, bench.ua.next_ms - bench.now)):
            assert isinstance(sent, Request)
            return bench.now - start, sent
    raise AssertionError("nothing was sent")


def registered(bench: Bench, request: Request, **headers: str) -> Registered:
    bench.give(answer_to(request, 200, add=[(k.replace("_", "-"), v) for k, v in headers.items()]))
    event = bench.told(Registered)
    assert isinstance(event, Registered)
    return event


def test_with_credentials() -> None:
    bench = Bench()
    registration, first = register(bench)
    assert (first.uri, first.headers.get("To"), first.headers.get("Expires")) == (
        "sip:10.0.0.2:5070",
        "<sip:agent@pbx>",
        "3600",
    )
    second = only(bench.give(answer_to(first, 401, add=[("WWW-Authenticate", ASKED)])))
    assert first.headers.get("Call-ID") == second.headers.get("Call-ID")
    assert 'opaque="xyz"' in second.headers.get("Authorization")
    assert 'uri="sip:10.0.0.2:5070"' in second.headers.get("Authorization")
    # sipp: [last_Contact:];expires=10
    event = registered(bench, second, Contact=second.headers.get("Contact") + ";expires=10")
    assert (event.registration, event.expires_s) == (registration.id, 10)
    after, third = next_sent(bench, 9000)
    assert after == 5000
    assert int(third.headers.get("CSeq").split()[0]) == int(second.headers.get("CSeq").split()[0]) + 1


@pytest.mark.parametrize(
    ("headers", "granted", "after_s"),
    [
        ({"Expires": "60"}, 60, 30),
        ({"Expires": "120"}, 120, 88),
        ({"Expires": "3600"}, 3600, 3240),
        ({}, 3600, 3240),
        ({"Contact": "<sip:old@10.9.9.9>;expires=50, <sip:voxline@10.0.0.1:5060>;expires=300"}, 300, 268),
        ({"Contact": "<sip:old@10.9.9.9>;expires=50", "Expires": "200"}, 200, 168),
        ({"Contact": "<sip:voxline@10.0.0.1:5060>;expires=nonsense", "Expires": "200"}, 200, 168),
        ({"Contact": "<sip:voxline@10.0.0.1:5060>;expires=4294967295"}, 86_400, 77_760),
        ({"Contact": "<sip:voxline@10.0.0.1:5060>;expires=0"}, 1, 1),
    ],
)
def test_renewed_in_time(headers: dict[str, str], granted: int, after_s: float) -> None:
    bench = Bench()
    _, request = register(bench)
    assert registered(bench, request, **headers).expires_s == granted
    after, _ = next_sent(bench, 90_000_000)
    assert after == 1000 * after_s


def test_stale_nonce() -> None:
    """Asterisk and Kamailio let a nonce expire: the same password once more, with the new nonce."""
    bench = Bench()
    _, first = register(bench)
    second = only(bench.give(answer_to(first, 401, add=[("WWW-Authenticate", ASKED)])))
    fresh = ASKED.replace("abc1", "abc2") + ", stale=true"
    third = only(bench.give(answer_to(second, 401, add=[("WWW-Authenticate", fresh)])))
    assert 'nonce="abc2"' in third.headers.get("Authorization")
    registered(bench, third, Expires="60")


def test_wrong_password_backs_off() -> None:
    bench = Bench()
    _, request = register(bench)
    pauses = []
    for _ in range(12):
        again = only(bench.give(answer_to(request, 401, add=[("WWW-Authenticate", ASKED)])))
        bench.give(answer_to(again, 401, add=[("WWW-Authenticate", ASKED)]))
        failed = bench.told(RegistrationFailed)
        assert failed.status == 401
        after, request = next_sent(bench, 2_000_000)
        assert after == pytest.approx(failed.retry_ms)
        pauses.append(after)
    for n, pause in enumerate(pauses):
        longest = min(5000 * 2**n, 1_800_000)
        assert longest / 2 <= pause <= longest


def test_interval_too_brief() -> None:
    bench = Bench()
    _, first = register(bench, expires_s=60)
    second = only(bench.give(answer_to(first, 423, add=[("Min-Expires", "300")])))
    assert second.headers.get("Expires") == "300"
    bench.give(answer_to(second, 423, add=[("Min-Expires", "600")]))
    assert bench.told(RegistrationFailed).status == 423  # it asks for more and more
    bench = Bench()
    _, first = register(bench)
    bench.give(answer_to(first, 423, add=[("Min-Expires", "999999999")]))
    assert bench.told(RegistrationFailed).status == 423


def test_busy_registrar() -> None:
    bench = Bench()
    _, request = register(bench)
    bench.give(answer_to(request, 503, add=[("Retry-After", "90")]))
    assert bench.told(RegistrationFailed).retry_ms == 90_000
    after, _ = next_sent(bench, 100_000)
    assert after == 90_000


def test_registrar_out_of_reach() -> None:
    bench = Bench()
    register(bench)
    bench.run(32_000)
    assert bench.told(RegistrationFailed).status == 408
    _, request = next_sent(bench, 6000)
    registered(bench, request, Expires="60")
    register(bench, proxy=Address("TCP", "10.0.0.2", 5060))
    bench.ua.unreachable(Address("TCP", "10.0.0.2", 5060), bench.now)
    assert bench.take() == []
    assert bench.told(RegistrationFailed).status == 503


def test_unregister() -> None:
    bench = Bench()
    registration, request = register(bench)
    registered(bench, request, Expires="60")
    registration.stop(bench.now)
    registration.stop(bench.now)
    last = only(bench.take())
    assert last.headers.get("Expires") == "0"
    challenged = only(bench.give(answer_to(last, 401, add=[("WWW-Authenticate", ASKED)])))
    assert registered(bench, challenged).expires_s == 0
    bench.run(40_000)
    assert bench.ua.idle


def test_unregister_while_registering() -> None:
    bench = Bench()
    registration, request = register(bench)
    registration.stop(bench.now)
    assert bench.take() == []
    last = only(bench.give(answer_to(request, 200, add=[("Expires", "60")])))
    assert last.headers.get("Expires") == "0"
    assert bench.events == []
    bench.give(answer_to(last, 500))
    assert bench.told(RegistrationFailed).retry_ms == 0
    bench.run(40_000)
    assert bench.ua.idle


@pytest.mark.parametrize(("registrar", "address"), [("pbx", "sip:a@b"), ("sip:pbx", "a b")])
def test_bad_account(registrar: str, address: str) -> None:
    bench = Bench()
    with pytest.raises(ValueError):
        bench.ua.register(Account(registrar, address), bench.now)
    assert bench.ua.idle


def test_next_server_of_the_registrar() -> None:
    """The first is silent: soon the second is tried, and kept until it fails; then all are tried in turn."""
    first, second = Address("UDP", "10.0.0.3", 5060), Address("UDP", "10.0.0.4", 5060)
    bench = Bench()
    registration, _ = register(bench, proxy=first, spares=(second,))
    assert bench.sent[-1].to == first
    again = [sent for _, sent in bench.run(6000)][-1]
    assert isinstance(again, Request)
    assert bench.sent[-1].to == registration.hop == second
    assert registered(bench, again, Expires="60").expires_s == 60
    _, renewal = next_sent(bench, 31_000)
    assert bench.sent[-1].to == second
    bench.give(answer_to(renewal, 503))
    assert bench.told(RegistrationFailed).status == 503
    moved = Address("UDP", "10.0.0.5", 5060)
    registration.move([moved, second])
    registration.move([])  # DNS knows nothing at the moment
    next_sent(bench, 6000)
    assert bench.sent[-1].to == registration.hop == moved
