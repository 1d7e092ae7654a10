"""The jitter buffer: one frame every 20 ms whatever arrives, nothing twice, nothing changed that arrived in time."""

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from telephony.lines.rtp.jitter import MAX_HELD_MS, MAX_PACKET_MS, MAX_PACKETS, JitterBuffer
from telephony.lines.rtp.packet import Packet

FRAME_BYTES = 320


def tagged(number: int, samples: int = 160) -> bytes:
    """Audio that is told apart from all other: its sample values are its own."""
    return np.full(samples, number + 1, "<i2").tobytes()


def packet(number: int, *, samples: int = 160, ssrc: int = 1, first: int = 0, marker: bool = False) -> Packet:
    return Packet(0, number & 0xFFFF, first + number * samples & 0xFFFFFFFF, ssrc, b"", marker)


def speech(seconds: float, seed: int = 1) -> np.ndarray:
    """Voice-like: a gliding pitch with harmonics, in syllables."""
    t = np.arange(int(seconds * 8000)) / 8000
    phase = 2 * np.pi * np.cumsum(130 + 25 * np.sin(2 * np.pi * 0.7 * t + seed)) / 8000
    voice = sum(np.sin(k * phase + k) / k for k in range(1, 8))
    return (4000 * voice * (0.2 + np.abs(np.sin(2 * np.pi * 2 * t)))).astype("<i2")


def run(arrivals: list[tuple[float, Packet, bytes]], until_ms: float, buffer: JitterBuffer, phase: float = 7) -> bytes:
    """Push each packet when it comes and pop every 20 ms."""
    out, arrivals, now = b"", sorted(arrivals, key=lambda arrival: arrival[0]), phase
    while now < until_ms:
        while arrivals and arrivals[0][0] <= now:
            at, arrived, pcm = arrivals.pop(0)
            buffer.push(arrived, pcm, at)
        frame = buffer.pop(now)
        assert len(frame) == FRAME_BYTES
        out += frame
        now += 20
    return out


def sent(samples: np.ndarray, *, ptime: int = 20, first: int = 0) -> list[tuple[float, Packet, bytes]]:
    size = 8 * ptime
    return [
        (ptime * n, packet(n, samples=size, first=first), samples[n * size : (n + 1) * size].tobytes())
        for n in range(len(samples) // size)
    ]


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("first", [0, 0xFFFFFFFF - 4000])
def test_audio_that_arrives_in_time_comes_out_as_it_went_in(ptime: int, first: int) -> None:
    samples = speech(2.4)
    buffer = JitterBuffer()
    out = run(sent(samples, ptime=ptime, first=first), 2400 + 200, buffer)
    heard = np.trim_zeros(np.frombuffer(out, "<i2"), "f")
    whole = np.trim_zeros(samples, "f")
    assert heard[: len(whole)].tolist() == whole.tolist()
    assert (buffer.counters.late, buffer.counters.damaged) == (0, 0)
    before = len(out) // 2 - len(heard) - (len(samples) - len(whole))
    assert 30 <= before / 8 - 7 <= 60 + 10  # it waited about the target, whatever the ptime


def test_the_sequence_wraps() -> None:
    arrivals = [(20 * n, packet(65500 + n), tagged(n)) for n in range(100)]
    out = np.frombuffer(run(arrivals, 2060, JitterBuffer()), "<i2")
    heard = [value for value in out[::160].tolist() if value]
    assert heard[:100] == list(range(1, 101))


def test_reordered_packets_are_put_right_and_duplicates_dropped() -> None:
    arrivals = [(20 * n + (25 if n % 5 == 2 else 0), packet(n), tagged(n)) for n in range(100)]
    arrivals += [(20 * n + 3, packet(n), tagged(n)) for n in range(0, 100, 3)]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 2060, buffer), "<i2")
    assert [value for value in out[::160].tolist() if value][:100] == list(range(1, 101))
    assert buffer.reception.duplicates == 34
    assert buffer.counters.reordered == 14  # of 20: six duplicates came before their originals


def test_the_first_two_packets_may_change_places() -> None:
    arrivals = [(5, packet(0), tagged(0)), *((20 * n, packet(n), tagged(n)) for n in range(2, 30))]
    arrivals.append((0, packet(1), tagged(1)))
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 600, buffer), "<i2")[::160].tolist()
    assert [value for value in out if value][:5] == [1, 2, 3, 4, 5]


@st.composite
def _networks(draw: st.DrawFn) -> list[tuple[float, int]]:
    """Times of arrival of numbered packets: any loss, order and duplication."""
    count = draw(st.integers(1, 40))
    arrivals = []
    for number in range(count):
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2]))):
            arrivals.append((20.0 * number + draw(st.floats(0, 300)), number))
    return sorted(arrivals)


@given(_networks(), st.sampled_from([80, 160, 240, 480, 800, 1600]), st.floats(0, 40), st.sampled_from([0, 1, 1]))
@settings(deadline=None, max_examples=150)
@example([(0.0, 0), (50.0, 2), (51.0, 1), (51.0, 1)], 160, 0, 1)
@example([(0.0, 0), (80.0, 4), (180.0, 9), (181.0, 6)], 480, 0, 0)
def test_nothing_is_ever_heard_twice_or_in_the_wrong_order(
    arrivals: list[tuple[float, int]], samples: int, phase: float, pace: int
) -> None:
    """Each sample's value is its place in what was sent; what is concealed does not count.

    With a pace of 0 the packets come faster than they can be heard.
    """
    buffer = JitterBuffer()
    heard: list[int] = []
    pending = sorted((at + pace * number * (samples / 8 - 20), number) for at, number in arrivals)
    now = phase
    while now < 20 * 40 * samples / 160 + 500:
        while pending and pending[0][0] <= now:
            at, number = pending.pop(0)
            first = number * samples + 1
            pcm = np.arange(first, first + samples).astype("<i2").tobytes()
            buffer.push(packet(number, samples=samples), pcm, at)
        before = (buffer.counters.concealed_ms, buffer.counters.spliced_in_ms, buffer.counters.spliced_out_ms)
        frame = buffer.pop(now)
        assert len(frame) == FRAME_BYTES
        if before == (buffer.counters.concealed_ms, buffer.counters.spliced_in_ms, buffer.counters.spliced_out_ms):
            heard += [value for value in np.frombuffer(frame, "<u2").tolist() if value]
        now += 20
    assert heard == sorted(set(heard))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2),
            st.booleans(),
            st.integers(0, 600),
            st.floats(0, 100),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=150)
def test_any_packets_at_all_give_a_frame_each_and_stay_bounded(
    packets: list[tuple[int, int, int, bool, int, float]],
) -> None:
    buffer, now = JitterBuffer(), 0.0
    for sequence, timestamp, ssrc, marker, samples, wait in packets:
        buffer.push(Packet(0, sequence, timestamp, ssrc, b"", marker), bytes(2 * samples), now)
        assert len(buffer.pop(now)) == FRAME_BYTES
        now += wait
    assert len(buffer._pieces) <= MAX_PACKETS
    assert buffer._end - buffer._cursor <= 8 * (MAX_HELD_MS + MAX_PACKET_MS)


def test_what_is_cut_or_thrown_away_counts_as_damaged() -> None:
    buffer = JitterBuffer()
    buffer.push(packet(0, samples=8 * 240), bytes(2 * 8 * 240), 0)
    assert buffer.counters.damaged == 1
    assert buffer._end - buffer._cursor <= 8 * (MAX_PACKET_MS + 60)
    buffer = JitterBuffer()
    for number in range(52):
        buffer.push(packet(number), tagged(number), 0)
    assert (buffer.counters.overflowed, buffer.counters.damaged) == (1, buffer.counters.packets - len(buffer._pieces))


@pytest.mark.parametrize("ptime", [80, 100, 200])
def test_long_packets_that_are_lost_now_and_then_are_made_up_for_and_the_rest_is_whole(ptime: int) -> None:
    samples = speech(12)
    arrivals = [arrival for n, arrival in enumerate(sent(samples, ptime=ptime)) if n % 7 != 3]
    buffer = JitterBuffer()
    out = run(arrivals, 12_000, buffer)
    assert (buffer.counters.damaged, buffer.counters.late) == (0, 0)
    assert all(pcm in out for _, _, pcm in arrivals[:-1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_percent_loss_is_hardly_heard(seed: int) -> None:
    samples = speech(8, seed)
    chance = random.Random(seed)
    arrivals = [arrival for arrival in sent(samples) if chance.random() > 0.05]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 8000, buffer), "<i2").astype(float)
    assert buffer.counters.concealed_ms >= 200
    correlations = [
        np.corrcoef(out[lag : lag + 60000], samples[:60000].astype(float))[0, 1] for lag in range(0, 1600, 160)
    ]
    assert max(correlations) > 0.9


@pytest.mark.parametrize("minutes", [20, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ppm", [-100, 100])
def test_a_sender_whose_clock_differs_neither_fills_the_buffer_nor_starves_it(ppm: int, minutes: int) -> None:
    buffer = JitterBuffer()
    pcm = tagged(5000)
    step, pushed_ms, margins = 20 * (1 - ppm / 1e6), 0.0, []
    for n in range(3000 * minutes):
        now = 20.0 * n
        while pushed_ms <= now:
            buffer.push(packet(buffer.reception.received), pcm, pushed_ms)
            pushed_ms += step
        buffer.pop(now)
        margins.append(buffer._end - buffer._cursor)
    assert buffer.counters.concealed_ms == 0
    assert buffer.counters.overflowed == 0
    assert buffer.counters.late == 0
    assert max(margins) <= 8 * 80
    spliced = buffer.counters.spliced_out_ms - buffer.counters.spliced_in_ms
    assert spliced == pytest.approx(60 * minutes * ppm / 1000, abs=40)


def test_heavy_jitter_raises_the_target_and_little_is_lost() -> None:
    chance = random.Random(4)
    samples = speech(20)
    arrivals = [(at + chance.uniform(0, 60), one, pcm) for at, one, pcm in sent(samples)]
    buffer = JitterBuffer()
    run(arrivals, 20_000, buffer)
    assert 12 < buffer.reception.jitter / 8 < 28
    assert 45 < buffer.target_ms <= 60
    assert buffer.counters.late < 20


def test_a_stall_of_the_network_loses_nothing_and_is_made_up_for() -> None:
    """Packets of 400 ms come all at once."""
    samples = speech(12)
    arrivals = [(max(at, 2400) if 2000 <= at <= 2400 else at, one, pcm) for at, one, pcm in sent(samples)]
    buffer = JitterBuffer()
    run(arrivals, 12_000, buffer)
    assert buffer.counters.late == 0
    assert buffer.counters.overflowed == 0
    assert 300 < buffer.counters.spliced_out_ms < 420
    assert buffer.counters.spliced_in_ms == 0  # it was not overdone
    assert buffer._end - buffer._cursor <= 8 * 90


def test_an_outage_leaves_the_delay_as_it_was() -> None:
    arrivals = [(20 * n, packet(n), tagged(n)) for n in range(100) if not 30 <= n < 60]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 2060, buffer), "<i2")[::160].tolist()
    assert out.index(61) - out.index(30) == 31  # as if nothing were missing
    assert out.index(30) - 29 == out.index(61) - 60


@pytest.mark.parametrize("moves", [True, False], ids=["clock goes on", "clock stands still"])
def test_silence_suppression_is_silence_and_the_next_talkspurt_is_buffered_anew(moves: bool) -> None:
    """2 s without packets; some senders' timestamps go on meanwhile, others' do not."""
    arrivals = [(20 * n, packet(n), tagged(n)) for n in range(20)]
    first = 100 * 160 if moves else 0
    arrivals += [(2000 + 20 * n, packet(n, first=first, marker=n == 20), tagged(n)) for n in range(20, 60)]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 3300, buffer), "<i2")[::160].tolist()
    assert [value for value in out if value and value > 20][:40] == list(range(21, 61))
    spurt_ms = 20 * out.index(21) + 7
    assert 2400 + 30 <= spurt_ms <= 2400 + 70
    assert buffer.counters.concealed_ms <= 120  # two fades


def test_a_hole_in_the_timestamps_without_one_in_the_numbers_is_silence() -> None:
    arrivals = [(20 * n, packet(n), tagged(n)) for n in range(20)]
    arrivals += [(20 * n + 40, packet(n, first=320), tagged(n)) for n in range(20, 40)]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 860, buffer), "<i2")[::160].tolist()
    assert out[out.index(20) :][:4] == [20, 0, 0, 21]
    assert buffer.counters.concealed_ms == 0


def test_comfort_noise_is_silence_at_once() -> None:
    arrivals = [(20 * n, packet(n), tagged(n)) for n in range(20)]
    arrivals.append((400, packet(20), b""))
    buffer = JitterBuffer()
    run(arrivals, 1000, buffer)
    assert buffer.counters.concealed_ms == 0
    assert buffer.counters.silence_ms > 400


def test_a_clock_that_jumps_ahead_does_not_silence_the_stream() -> None:
    arrivals = [(20 * n, packet(n, first=80_000_000 if n >= 50 else 0), tagged(n)) for n in range(100)]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 2200, buffer), "<i2")[::160].tolist()
    assert {value for value in out if value} >= set(range(1, 101))
    assert buffer.counters.anchored == 2


def test_a_clock_that_jumps_back_does_not_either() -> None:
    arrivals = [(20 * n, packet(n, first=0 if n >= 50 else 80_000_000), tagged(n)) for n in range(100)]
    out = np.frombuffer(run(arrivals, 2200, JitterBuffer()), "<i2")[::160].tolist()
    assert {value for value in out if value} >= set(range(1, 101))


def test_a_new_ssrc_is_a_new_stream_and_what_is_held_of_the_old_one_is_heard() -> None:
    arrivals = [(20 * n, packet(n), tagged(n)) for n in range(30)]
    arrivals += [(600 + 20 * n, packet(40_000 + n, ssrc=2, first=777), tagged(100 + n)) for n in range(30)]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 1400, buffer), "<i2")[::160].tolist()
    heard = [value for value in out if value]
    assert heard[:60] == [*range(1, 31), *range(101, 131)]
    assert buffer.reception.streams == 2


def test_a_sender_that_starts_anew_far_off_is_followed_from_its_second_packet_on() -> None:
    arrivals = [(20 * n, packet(n), tagged(n)) for n in range(30)]
    arrivals += [(600 + 20 * n, packet(30_000 + n), tagged(100 + n)) for n in range(30)]
    buffer = JitterBuffer()
    out = np.frombuffer(run(arrivals, 1400, buffer), "<i2")[::160].tolist()
    assert [value for value in out if 100 < value < 200][:29] == list(range(102, 131))
    assert buffer.reception.astray == 1


def test_a_flood_is_bounded() -> None:
    buffer = JitterBuffer()
    for n in range(5000):
        buffer.push(packet(n), tagged(n % 1000), 0.0)
    assert len(buffer._pieces) <= MAX_PACKETS
    assert buffer._end - buffer._cursor <= 8 * MAX_HELD_MS
    assert buffer.counters.overflowed > 10
