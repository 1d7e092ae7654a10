"""What RTCP says of a stream: the numbers of RFC 3550, appendix A."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.reception import Reception


def packet(sequence: int, timestamp: int = 0, ssrc: int = 7) -> Packet:
    return Packet(0, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, b"")


def test_losses_and_their_fraction_since_the_last_report() -> None:
    reception = Reception()
    for n in range(100):
        if n % 10 != 3:
            reception.accept(packet(n))
    assert (reception.expected, reception.received, reception.lost) == (100, 90, 10)
    assert reception.fraction_lost() == 256 * 10 // 100
    for n in range(100, 200):
        reception.accept(packet(n))
    assert reception.fraction_lost() == 0  # none since
    assert reception.lost == 10
    for n in range(201, 300, 2):
        reception.accept(packet(n))
    assert reception.fraction_lost() == 128
    assert reception.fraction_lost() == 0  # nothing came at all


def test_the_highest_number_counts_cycles() -> None:
    reception = Reception()
    for n in range(65000, 65536 + 65536 + 10):
        assert reception.accept(packet(n)) is not None
    assert reception.extended == 2 * 65536 + 9
    assert reception.lost == 0


def test_duplicates_and_late_ones() -> None:
    reception = Reception()
    given_numbers = [10, 12, 11, 12, 10, 9, 9, 13]
    taken = [reception.accept(packet(n)) for n in given_numbers]
    assert [number is not None for number in taken] == [True, True, True, False, False, True, False, True]
    assert reception.duplicates == 3
    first = taken[0]
    assert first is not None
    assert [number - first for number in taken if number is not None] == [0, 2, 1, -1, 3]


def test_one_packet_astray_is_dropped_and_two_in_a_row_begin_anew() -> None:
    reception = Reception()
    for n in range(10):
        reception.accept(packet(n))
    assert reception.accept(packet(30_000)) is None
    assert reception.accept(packet(10)) is not None
    assert reception.accept(packet(30_000)) is None
    assert reception.accept(packet(30_001)) is not None
    assert (reception.streams, reception.received, reception.astray) == (2, 1, 2)


def test_jitter_is_that_of_the_standard() -> None:
    """Every other packet 10 ms late: |D| is 80 samples each time, and J goes there by sixteenths."""
    reception = Reception()
    expected = 0.0
    for n in range(200):
        reception.accept(packet(n))
        reception.time(n * 160, 20.0 * n + (10 if n % 2 else 0))
        if n:
            expected += (80 - expected) / 16
        assert reception.jitter == pytest.approx(expected, abs=0.01)
    assert reception.jitter == pytest.approx(80, abs=0.1)


def test_a_clock_that_wraps_or_is_set_adds_no_jitter() -> None:
    reception = Reception()
    for n in range(100):
        reception.accept(packet(n))
        reception.time(0xFFFFFFFF - 8000 + n * 160 & 0xFFFFFFFF, 20.0 * n)
    reception.time(5_000_000, 2000)
    assert reception.jitter < 0.01


def test_another_clock_keeps_the_jitter_in_ms_and_compares_no_times_across_it() -> None:
    reception = Reception()
    for n in range(100):
        reception.accept(packet(n))
        reception.time(n * 160, 20.0 * n + (10 if n % 2 else 0))
    before_ms = reception.jitter / 8
    reception.retime(48)
    assert reception.jitter / 48 == pytest.approx(before_ms)
    for n in range(100, 400):
        reception.accept(packet(n))
        reception.time(777 + n * 960, 20.0 * n)
    assert reception.jitter / 48 < 0.01


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 2)), max_size=200))
def test_whatever_comes_the_numbers_stay_in_range(numbers: list[tuple[int, int]]) -> None:
    reception = Reception()
    for sequence, ssrc in numbers:
        reception.accept(packet(sequence, ssrc=ssrc))
        assert reception.received <= reception.expected + 100
    assert 0 <= reception.fraction_lost() <= 255
    assert 0 <= reception.extended <= 0xFFFFFFFF
