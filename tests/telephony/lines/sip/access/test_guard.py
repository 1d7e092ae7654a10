"""Access to the SIP port: the allow-list, buckets and bans, none of which grows without bound."""

import time
import tracemalloc
from random import Random

import pytest

from telephony.lines.sip.access.guard import Guard, GuardCounters, GuardSettings, RateLimit
from telephony.lines.sip.syntax.address import Address

TRUNK, STRANGER = "54.172.60.1", "203.0.113.9"


def udp(ip: str, port: int = 5060) -> Address:
    return Address("UDP", ip, port)


def tcp(ip: str, port: int = 40_000) -> Address:
    return Address("TCP", ip, port, 1)


def guard(**changes: object) -> Guard:
    return Guard(["54.172.60.0/30", "2001:db8:5::/48"], strangers=True, settings=GuardSettings(**changes))  # type: ignore[arg-type]


def test_closed_by_default() -> None:
    nobody = Guard()
    assert not nobody.admit(udp("127.0.0.1"), 0)
    trunks = Guard(["54.172.60.0/30", "198.51.100.7"])
    for ip, admitted in ((TRUNK, True), ("54.172.60.4", False), ("198.51.100.7", True), ("::1", False),
                         ("::ffff:54.172.60.1", True), ("::ffff:54.172.60.4", False)):  # fmt: skip
        assert trunks.admit(udp(ip), 0) == trunks.is_trunk(ip) == admitted
    assert trunks.counters == GuardCounters(admitted=3, not_allowed=3)
    assert guard().admit(udp(STRANGER), 0)


def test_a_setting_that_is_no_network() -> None:
    for trunk in ("example.com", "10.0.0.1/8", ""):
        with pytest.raises(ValueError, match=r"network|host bits"):
            Guard([trunk])


def test_each_address_has_its_rate() -> None:
    gate = guard(stranger=RateLimit(10, 5))
    assert [gate.admit(udp(STRANGER), 0) for _ in range(7)] == 5 * [True] + 2 * [False]
    assert gate.admit(udp("203.0.113.10"), 0)
    assert not gate.admit(udp(STRANGER), 99)
    assert gate.admit(udp(STRANGER), 100)
    assert [gate.admit(udp(STRANGER), 10_000) for _ in range(7)] == 5 * [True] + 2 * [False]
    assert gate.counters.limited == 5
    assert not gate.admit(udp(STRANGER), 5_000)  # a clock that goes back gives nothing


def test_trunks_have_a_rate_of_their_own() -> None:
    gate = guard(trunk=RateLimit(100, 50), stranger=RateLimit(1, 1), strangers=RateLimit(1, 1))
    assert sum(gate.admit(udp(TRUNK), 0) for _ in range(60)) == 50
    assert gate.admit(udp(STRANGER), 0)
    assert not gate.admit(udp("203.0.113.10"), 0)
    assert gate.admit(udp("54.172.60.2"), 0)  # strangers take nothing from a trunk
    assert gate.counters == GuardCounters(admitted=52, limited=10, crowded=1)


def test_all_strangers_share_a_rate() -> None:
    gate = guard(stranger=RateLimit(10, 10), strangers=RateLimit(100, 20))
    assert sum(gate.admit(udp(f"203.0.113.{n}"), 0) for n in range(100)) == 20
    assert sum(gate.admit(udp(f"203.0.113.{n}"), 100) for n in range(100)) == 10
    # One that is over its own rate does not use up the others'.
    loud = guard(stranger=RateLimit(1, 1), strangers=RateLimit(100, 20))
    assert sum(loud.admit(udp(STRANGER), 0) for _ in range(1000)) == 1
    assert sum(loud.admit(udp(f"198.51.100.{n}"), 0) for n in range(100)) == 19


def test_streams_and_datagrams_take_nothing_from_each_other() -> None:
    """Anybody can send datagrams in the name of an address that has a stream to us."""
    gate = guard(stranger=RateLimit(1, 5), strangers=RateLimit(1, 8))
    assert sum(gate.admit(udp(STRANGER), 0) for _ in range(50)) == 5
    assert sum(gate.admit(tcp(STRANGER), 0) for _ in range(50)) == 5
    assert sum(gate.admit(udp(f"198.51.100.{n}"), 0) for n in range(50)) == 3
    assert sum(gate.admit(tcp(f"198.51.100.{n}"), 0) for n in range(50)) == 3


def test_who_has_shown_a_password_has_room_of_their_own() -> None:
    gate = guard(known=RateLimit(0, 5), stranger=RateLimit(0, 2), strangers=RateLimit(0, 2), known_ms=1000)
    gate.succeeded(udp(STRANGER), 0)
    assert gate.is_known(udp(STRANGER), 999)
    assert sum(gate.admit(udp(f"198.51.100.{n}"), 0) for n in range(50)) == 2  # nobody has room any more
    assert not gate.admit(udp(STRANGER, 5061), 0)  # in its name, from elsewhere
    assert sum(gate.admit(udp(STRANGER), 0) for _ in range(50)) == 5
    assert not gate.admit(udp(STRANGER), 1000)
    assert not gate.is_known(udp(STRANGER), 1000)


def test_who_is_called_has_room_of_their_own() -> None:
    gate = guard(known=RateLimit(1, 5), strangers=RateLimit(1, 2))
    gate.expect(udp(STRANGER), 1000)
    assert sum(gate.admit(udp(f"198.51.100.{n}"), 0) for n in range(50)) == 2
    assert sum(gate.admit(udp(STRANGER), 0) for _ in range(50)) == 5


@pytest.mark.parametrize("known", [False, True])
def test_what_was_turned_away_is_let_in_when_it_comes_again(known: bool) -> None:
    """As a telephone retransmits it: the same after half a second, one, two, four."""
    gate = guard(stranger=RateLimit(0, 0), known=RateLimit(0, 0))
    if known:
        gate.succeeded(udp(STRANGER), 0)
    for n in range(1000):  # in its name, from its port
        gate.admit(udp(STRANGER), n, b"forged %d" % n)
    assert [gate.admit(udp(STRANGER), ms, b"INVITE") for ms in (1000.5, 1100, 1500, 2500)] == [False, False, True, True]
    assert not gate.admit(udp(STRANGER), 1501, b"INVITE sip:another")
    assert not gate.admit(udp("203.0.113.10"), 2501, b"INVITE")  # another's
    assert gate.counters.reserved == 2


def test_the_same_datagram_again_and_again_is_not_let_in() -> None:
    gate = guard(stranger=RateLimit(0, 0))
    assert not any(gate.admit(udp(STRANGER), n, b"INVITE") for n in range(0, 100_000, 399))


def test_repetitions_too_have_a_rate() -> None:
    gate = guard(stranger=RateLimit(0, 0), reserve=RateLimit(0, 3))
    assert not any(gate.admit(udp(STRANGER), 0, b"%d" % n) for n in range(10))
    assert sum(gate.admit(udp(STRANGER), 500, b"%d" % n) for n in range(10)) == 3


def test_answers_to_a_challenge_have_room_and_a_rate_each() -> None:
    settings = GuardSettings(stranger=RateLimit(0, 3), strangers=RateLimit(0, 0), reserve=RateLimit(0, 5))
    gate = Guard(strangers=True, answers=lambda data, ip: data == ip.encode(), settings=settings)
    assert sum(gate.admit(udp(STRANGER), 0, STRANGER.encode()) for _ in range(10)) == 3
    assert not any(gate.admit(udp("203.0.113.10"), 0, STRANGER.encode()) for _ in range(10))  # sent to another
    assert sum(gate.admit(udp("203.0.113.10"), 0, b"203.0.113.10") for _ in range(10)) == 2  # all together five
    assert gate.counters.reserved == 5


def test_telephones_are_served_under_a_flood_from_everywhere() -> None:
    """5,000/s from random addresses: a telephone that is new is heard at its first repetition, one that is known at
    once."""
    gate, random = guard(), Random(1)
    gate.succeeded(udp("192.0.2.200"), 0)
    new = [f"192.0.2.{n}" for n in range(4)]
    waiting = {ip: [0, 500, 1500, 3500, 7500] for ip in new}
    heard: dict[str, float] = {}
    for packet in range(5000 * 4):
        ms = packet / 5
        gate.admit(udp(random.randbytes(4).hex(":") + "::"), ms, random.randbytes(400))
        for ip, times in waiting.items():
            if ip not in heard and times and ms >= 2000 + times[0]:
                del times[0]
                if gate.admit(udp(ip), ms, b"INVITE from " + ip.encode()):
                    heard[ip] = ms - 2000
        if packet % 100 == 0:
            assert gate.admit(udp("192.0.2.200"), ms, b"%d" % packet)
    assert len(heard) == 4
    assert max(heard.values()) <= 501
    assert gate.counters.crowded > 10_000


def test_a_ban() -> None:
    gate = guard(failures=3, ban_ms=10_000)
    assert [gate.failed(STRANGER, n) for n in range(6)] == [False, False, True, False, False, False]
    assert not gate.admit(udp(STRANGER), 3)
    assert gate.admit(udp("203.0.113.10"), 3)
    assert not gate.admit(udp(STRANGER), 10_001)
    assert gate.admit(udp(STRANGER), 10_002)
    assert [gate.failed(STRANGER, 10_002 + n) for n in range(3)] == [False, False, True]  # it begins anew
    assert gate.counters.bans == 2
    assert gate.counters.banned == 2


def test_failures_are_counted_in_a_window() -> None:
    gate = guard(failures=3, window_ms=1000)
    assert not any(gate.failed(STRANGER, 600 * n) for n in range(20))
    assert [gate.failed(STRANGER, 20_000 + 300 * n) for n in range(3)] == [False, False, True]


def test_a_password_wipes_the_slate() -> None:
    """Every call by digest begins with an INVITE without credentials."""
    gate = guard(failures=3)
    for n in range(20):
        assert not gate.failed(STRANGER, n)
        assert not gate.failed(STRANGER, n)
        gate.succeeded(udp(STRANGER), n)
    assert gate.admit(udp(STRANGER), 20)


def test_trunks_are_never_banned() -> None:
    gate = guard(failures=1)
    assert not any(gate.failed(ip, n) for n in range(100) for ip in (TRUNK, "::ffff:" + TRUNK, "2001:db8:5::1"))
    assert gate.admit(udp(TRUNK), 100)
    assert gate.counters.bans == 0


def test_ipv6_is_counted_by_64() -> None:
    gate = guard(failures=2, stranger=RateLimit(1, 2))
    assert [gate.admit(udp(f"2001:db8:1:2::{n}"), 0) for n in range(4)] == [True, True, False, False]
    assert gate.admit(udp("2001:db8:1:3::1"), 0)
    assert [gate.failed(f"2001:db8:1:2::{n}", 0) for n in range(2)] == [False, True]
    assert not gate.admit(udp("2001:db8:1:2:ffff::"), 5000)
    assert gate.admit(udp("2001:db8:1:3::1"), 5000)
    assert gate.admit(udp("fe80::1%eth0"), 0)
    assert gate.admit(udp("fe80::2"), 0)
    assert not gate.admit(udp("fe80::3%eth1"), 0)


def test_an_ipv4_address_in_ipv6_is_the_same_address() -> None:
    gate = guard(failures=1)
    gate.failed("::ffff:" + STRANGER, 0)
    assert not gate.admit(udp(STRANGER), 1)


@pytest.mark.parametrize("first", ["2001:db8:9::1", "2001:db8:9::2"])
def test_a_neighbour_of_a_trunk_is_no_trunk(first: str) -> None:
    gate = Guard(["2001:db8:9::1"])
    gate.admit(udp(first), 0)
    assert gate.admit(udp("2001:db8:9::1"), 1)
    assert not gate.admit(udp("2001:db8:9::2"), 1)


def test_the_line_for_the_log() -> None:
    line = guard(failures=3, ban_ms=90_000).ban_line(STRANGER)
    assert line == f"SIP ban begins: host={STRANGER} failures=3 seconds=90"


def test_the_table_is_bounded_and_keeps_addresses_that_are_heard() -> None:
    gate = guard(failures=1, max_addresses=100, strangers=RateLimit(1e9, 1e9))
    gate.failed(STRANGER, 0)
    tracemalloc.start()
    for n in range(5000):
        assert gate.admit(udp(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"), n)
        if n % 50 == 0:
            assert not gate.admit(udp(STRANGER), n)
    assert tracemalloc.get_traced_memory()[0] < 200_000
    tracemalloc.stop()
    assert gate.admit(udp(TRUNK), 5000)


def test_a_banned_packet_costs_next_to_nothing() -> None:
    """Measured: 0.3 µs for IPv4 and 1.0 µs for IPv6. The bound has room for a slow or busy machine."""
    gate = guard(failures=1)
    for ip in (STRANGER, "2001:db8:1:2::3"):
        gate.failed(ip, 0)
        best = min(_timed(gate, ip) for _ in range(5))
        assert best < 10e-6


def _timed(gate: Guard, ip: str) -> float:
    started = time.process_time()
    for _ in range(2000):
        gate.admit(udp(ip), 1.0)
    return (time.process_time() - started) / 2000


def test_registrars_are_trunks_while_they_know_us() -> None:
    guard = Guard(["192.0.2.0/24"])
    for ip in ("198.51.100.9", "2001:db8::9"):
        assert not guard.admit(udp(ip), 0)
    guard.trust(frozenset({"198.51.100.9", "2001:db8::9"}))
    assert guard.admit(udp("198.51.100.9"), 1)
    assert guard.admit(udp("2001:db8::9"), 1)
    assert not guard.admit(udp("2001:db8::8"), 1)  # its neighbour
    assert guard.is_trunk("198.51.100.9")
    guard.trust(frozenset())
    assert not guard.admit(udp("198.51.100.9"), 2)
    assert not guard.admit(udp("2001:db8::9"), 2)
    assert guard.admit(udp("192.0.2.7"), 2)


def test_who_is_expected_may_answer_for_a_time_and_at_a_rate() -> None:
    guard = Guard(["192.0.2.0/24"], settings=GuardSettings(known=RateLimit(0, 3), max_addresses=2))
    guard.expect(udp("198.51.100.9"), 1000)
    assert [guard.admit(udp("198.51.100.9"), ms) for ms in (0, 999, 1000)] == [True, True, False]
    assert not guard.is_trunk("198.51.100.9")
    guard.expect(udp("198.51.100.9"), 2000)
    assert [guard.admit(udp("198.51.100.9"), 1500) for _ in range(3)] == [True, False, False]
    for ip in ("203.0.113.1", "203.0.113.2"):
        guard.expect(udp(ip), 5000)
    assert not guard.admit(udp("198.51.100.9"), 1600)  # forgotten: two are remembered
    assert guard.admit(udp("203.0.113.2"), 1600)
