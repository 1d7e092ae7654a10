"""The source of the peer's RTP: as agreed, learned, and with stray packets first."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.parameters import SocketAddress
from telephony.lines.rtp.source import IN_SEQUENCE, PROVEN, SILENT_MS, RtpSource

AGREED: SocketAddress = ("198.51.100.7", 20_000)
ELSEWHERE: SocketAddress = ("198.51.100.7", 54_321)
THIRD: SocketAddress = ("198.51.100.7", 7)
STRANGER: SocketAddress = ("203.0.113.66", 20_000)


def source(*, nat: bool = False) -> RtpSource:
    one = RtpSource(nat=nat)
    one.agree(AGREED)
    return one


def takes(one: RtpSource, sender: SocketAddress, number: int, ms: float = 0, ssrc: int = 9) -> bool:
    return one.may_be(sender) and one.take(sender, Packet(0, number & 0xFFFF, 160 * number, ssrc, b""), ms)


def test_what_comes_as_agreed_is_the_peers_for_good() -> None:
    one = source()
    assert takes(one, AGREED, 0)
    assert one.known == (AGREED,)
    assert not any(takes(one, ELSEWHERE, n, 10_000 + 20 * n) for n in range(100))
    assert one.locked == AGREED


def test_what_comes_from_elsewhere_is_heard_at_once_and_proven_by_going_on() -> None:
    one = source()
    for n in range(PROVEN):
        assert one.known == ()
        assert takes(one, ELSEWHERE, n, 20 * n)
    assert one.known == (ELSEWHERE, AGREED)
    assert not takes(one, THIRD, 0)
    assert takes(one, AGREED, 0)  # which always wins
    assert (one.locked, one.known) == (AGREED, (AGREED,))
    assert not takes(one, ELSEWHERE, PROVEN)


def test_one_on_probation_gives_way_when_it_is_silent_and_another_goes_on() -> None:
    one = source()
    assert all(takes(one, THIRD, n) for n in range(3))
    taken = [takes(one, ELSEWHERE, n, 20 * n) for n in range(8)]
    assert taken == 5 * [False] + 3 * [True]
    assert one.locked == ELSEWHERE


def test_one_on_probation_that_goes_on_stays() -> None:
    one = source()
    for n in range(PROVEN):
        assert takes(one, THIRD, n, 20 * n)
        assert not takes(one, ELSEWHERE, n, 20 * n)
    assert one.known == (THIRD, AGREED)


def test_only_packets_in_sequence_take_a_place() -> None:
    one = source()
    assert takes(one, THIRD, 0)
    late = 2 * SILENT_MS
    assert not any(takes(one, ELSEWHERE, 3 * n, late) for n in range(20))
    assert not any(takes(one, ELSEWHERE, n, late, ssrc=n) for n in range(20))
    assert not any(takes(one, sender, n, late) for n in range(20) for sender in (ELSEWHERE, ("198.51.100.7", 8)))
    assert [takes(one, ELSEWHERE, n, late) for n in range(0xFFFE, 0xFFFE + IN_SEQUENCE)][-1]


def test_strangers_are_not_even_read_unless_the_peer_is_behind_a_nat() -> None:
    assert not takes(source(), STRANGER, 0)
    behind = source(nat=True)
    assert takes(behind, STRANGER, 0)
    assert takes(behind, AGREED, 0)
    assert not takes(behind, STRANGER, 1)


def test_who_takes_nothing_is_still_heard_where_it_was_locked() -> None:
    one = source()
    assert not takes(RtpSource(nat=True), AGREED, 0)  # nothing was agreed on
    assert takes(one, AGREED, 0)
    one.agree(None)
    assert takes(one, AGREED, 1)
    one.unlock()
    assert not takes(one, AGREED, 2)
    one.agree(ELSEWHERE)
    assert takes(one, ELSEWHERE, 0)


@given(
    st.lists(st.tuples(st.sampled_from([ELSEWHERE, THIRD, STRANGER]), st.integers(0, 5)), max_size=80), st.booleans()
)
def test_whatever_came_before_the_agreed_one_wins(before: list[tuple[SocketAddress, int]], nat: bool) -> None:
    one = source(nat=nat)
    for n, (sender, number) in enumerate(before):
        takes(one, sender, number, 40 * n)
    assert takes(one, AGREED, 0, 40 * len(before))
    assert one.known == (AGREED,)
