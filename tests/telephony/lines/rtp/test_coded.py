"""The jitter buffer with Opus: decoded once, in order, at its place; losses, which the codec makes up for; pauses."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audio.rate import WIDE
from telephony.lines.rtp.codec import PCMU, Coder
from telephony.lines.rtp.jitter import MAX_HELD_MS, MAX_PACKETS, JitterBuffer
from telephony.lines.rtp.opus import Opus
from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.wideband_g711 import WidebandG711
from tests.debian import needs
from tests.telephony.lines.rtp.speech import likest, packets, samples, voice

pytestmark = needs("libopus0")


class Watched(Opus):
    """Notes what is decoded and how losses are made up for."""

    def __init__(self) -> None:
        super().__init__(WIDE)
        self.decoded: list[bytes] = []
        self.concealed = self.recovered = 0

    def decode(self, payload: bytes) -> bytes:
        self.decoded.append(payload)
        return super().decode(payload)

    def conceal(self, count: int) -> bytes:
        self.concealed += 1
        return super().conceal(count)

    def recover(self, payload: bytes, count: int) -> bytes:
        made = super().recover(payload, count)
        self.recovered += bool(made)
        return made


def packet(number: int, payload: bytes, ms: int = 20, *, first: int = 0, clock: int = 48, ssrc: int = 1) -> Packet:
    return Packet(111, number & 0xFFFF, first + number * ms * clock & 0xFFFF_FFFF, ssrc, payload)


def run(
    arrivals: list[tuple[float, Packet]], until_ms: float, coder: Coder, buffer: JitterBuffer, phase: float = 7
) -> bytes:
    """Push each packet when it comes and pop every 20 ms."""
    out, now, coming = b"", phase, sorted(arrivals, key=lambda arrival: arrival[0])
    while now < until_ms:
        while coming and coming[0][0] <= now:
            at, arrived = coming.pop(0)
            buffer.push(arrived, bytes(2 * coder.count(arrived.payload)), at, coder)
        frame = buffer.pop(now)
        assert len(frame) == 2 * WIDE.frame
        out += frame
        now += 20
    return out


@pytest.mark.parametrize("ms", [10, 20, 40, 60])
@pytest.mark.parametrize("first", [0, 0xFFFF_FFFF - 40_000])
def test_what_comes_in_time_is_what_the_codec_makes_of_it(ms: int, first: int) -> None:
    """Also when timestamps wrap."""
    payloads = packets(voice(3), ms)
    alone = Opus(WIDE)
    whole = b"".join(map(alone.decode, payloads))
    arrivals = [(float(ms * n), packet(n, payload, ms, first=first)) for n, payload in enumerate(payloads)]
    buffer = JitterBuffer(WIDE)
    out = run(arrivals, 3200, Opus(WIDE), buffer)
    assert whole in out
    assert 30 <= out.index(whole) / 32 - 7 <= 70
    assert (buffer.counters.late, buffer.counters.concealed_ms) == (0, pytest.approx(100, abs=60))  # behind the end


def test_packets_out_of_order_are_decoded_in_order() -> None:
    payloads = packets(voice(3), 20)
    whole = b"".join(map(Opus(WIDE).decode, payloads))
    arrivals = [(20.0 * n + (25 if n % 5 == 2 else 0), packet(n, payload)) for n, payload in enumerate(payloads)]
    arrivals += [(20.0 * n + 3, packet(n, payloads[n])) for n in range(0, 150, 3)]
    coder = Watched()
    assert whole in run(arrivals, 3200, coder, JitterBuffer(WIDE))
    assert coder.decoded == payloads


@pytest.mark.parametrize("ms", [10, 20, 40, 60])
def test_what_is_lost_is_recovered_from_the_next_packet_or_concealed(ms: int) -> None:
    """Time is neither lost nor doubled: the last second is as late as the first."""
    pcm = voice(6)
    payloads, chance = packets(pcm, ms), random.Random(ms)
    kept = [n for n in range(len(payloads)) if n < 3 or chance.random() > 0.1]
    arrivals = [(float(ms * n) + chance.uniform(0, 8), packet(n, payloads[n], ms)) for n in kept]
    coder, buffer = Watched(), JitterBuffer(WIDE)
    out = run(arrivals, 6000, coder, buffer)
    missing = len(payloads) - len(kept)
    assert missing * ms * 0.8 <= buffer.counters.concealed_ms <= missing * ms + 100
    assert coder.decoded == [payloads[n] for n in kept[: len(coder.decoded)]]
    assert coder.recovered >= missing * 0.5
    assert likest(pcm[: 32 * 5800], out)[0] > 0.75
    late = [likest(pcm[at : at + 32_000], out[at:])[1] for at in (0, 32 * 4500)]
    assert abs(late[0] - late[1]) <= 16 + 16 * (buffer.counters.spliced_in_ms + buffer.counters.spliced_out_ms)


def test_a_long_loss_fades_into_silence_and_what_follows_is_at_its_place() -> None:
    payloads = packets(voice(3), 20)
    arrivals = [(20.0 * n, packet(n, payloads[n])) for n in range(150) if not 50 <= n < 75]
    buffer = JitterBuffer(WIDE)
    out = run(arrivals, 3000, Opus(WIDE), buffer)
    frames = [np.abs(samples(out[at : at + 640])).max() for at in range(0, len(out) - 640, 640)]
    silent = [n for n, loudest in enumerate(frames) if not loudest and 50 < n < 80]
    assert 18 <= len(silent) <= 21  # of 25: 100 ms are concealed
    edge = samples(out[640 * silent[0] - 64 : 640 * silent[0]])
    assert np.abs(edge).max() < 1000  # it fades, and does not break off
    assert 80 <= buffer.counters.concealed_ms <= 100 + 100
    assert likest(voice(3)[32 * 1600 : 32 * 2800], out[32 * 1600 :])[0] > 0.7


@pytest.mark.parametrize("sent", [True, False], ids=["all", "the first of each"])
def test_pauses_of_the_sender_are_no_losses(sent: bool) -> None:
    """DTX: packets of a byte or two, or a gap in time but not in the numbers behind the first of them."""
    pcm = voice(1) + bytes(32 * 1000) + voice(1)
    payloads, numbers = packets(pcm, 20, pauses=True), itertools.count()
    pauses = [n for n, payload in enumerate(payloads) if len(payload) <= 2]
    assert len(pauses) > 20
    arrivals = [
        (20.0 * n, Packet(111, next(numbers), 960 * n, 1, payload))
        for n, payload in enumerate(payloads)
        if sent or n not in pauses or n - 1 not in pauses
    ]
    buffer = JitterBuffer(WIDE)
    out = run(arrivals, 2900, Opus(WIDE), buffer)
    assert (buffer.counters.late, buffer.counters.concealed_ms) == (0, 0)
    assert buffer.counters.silence_ms >= (300 if not sent else 0)
    assert np.abs(samples(out[32 * 1400 : 32 * 2000])).max() < 300
    assert likest(voice(1)[: 32 * 800], out[32 * 2000 :])[0] > 0.75


def test_a_damaged_packet_is_counted_and_made_up_for() -> None:
    payloads = packets(voice(2), 20)
    payloads[50] = b"\x4b\xff\xff\xff"  # three frames, it says, of which there is nothing
    payloads[51] = b"\x4b\x01" + bytes(40)
    coder, buffer = Watched(), JitterBuffer(WIDE)
    out = run([(20.0 * n, packet(n, p)) for n, p in enumerate(payloads) if n != 50], 1900, coder, buffer)
    assert len(out) == 640 * 95
    assert likest(voice(2)[32 * 1200 : 32 * 1700], out[32 * 1200 :])[0] > 0.7


@st.composite
def _networks(draw: st.DrawFn) -> list[tuple[float, int]]:
    """Times of arrival of numbered packets: any loss, order and duplication."""
    arrivals = []
    for number in range(draw(st.integers(1, 40))):
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2]))):
            arrivals.append((20.0 * number + draw(st.floats(0, 300)), number))
    return sorted(arrivals)


@given(_networks(), st.sampled_from([10, 20, 40, 60]), st.floats(0, 40), st.sampled_from([0, 1, 1]))
@settings(deadline=None, max_examples=150)
@example([(0.0, 0), (50.0, 2), (51.0, 1), (51.0, 1)], 20, 0, 1)
@example([(0.0, 0), (80.0, 4), (180.0, 9), (181.0, 6)], 60, 0, 0)
def test_each_packet_is_decoded_at_most_once_and_in_order(
    arrivals: list[tuple[float, int]], ms: int, phase: float, pace: int
) -> None:
    """With a pace of 0 the packets come faster than they can be heard."""
    payloads = packets(voice(2.4), ms)
    coder, buffer = Watched(), JitterBuffer(WIDE)
    coming = [(at + pace * n * (ms - 20), packet(n, payloads[n % len(payloads)], ms)) for at, n in arrivals]
    numbers = {payloads[n % len(payloads)]: n for _, n in arrivals}
    run(coming, 40 * ms + 600, coder, buffer, phase)
    order = [numbers[payload] for payload in coder.decoded]
    assert order == sorted(set(order))
    assert len(buffer._pieces) <= MAX_PACKETS
    assert len(buffer._concealment._ready) <= 2 * 60 * WIDE.per_ms


@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2),
            st.booleans(),
            st.binary(min_size=1, max_size=60),
            st.floats(0, 100),
            st.sampled_from("owc"),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=150)
def test_any_packets_of_any_codec_give_a_frame_each_and_stay_bounded(
    arrivals: list[tuple[int, int, int, bool, bytes, float, str]],
) -> None:
    buffer, now = JitterBuffer(WIDE), 0.0
    coders: dict[str, Coder] = {"o": Opus(WIDE), "w": WidebandG711(PCMU)}
    for sequence, timestamp, ssrc, marker, payload, wait, kind in arrivals:
        arrived, coder = Packet(0, sequence, timestamp, ssrc, payload, marker), coders.get(kind)
        try:
            pcm = bytes(2 * coder.count(payload)) if coder is not None else b""
        except ValueError:
            continue
        buffer.push(arrived, pcm, now, coder)
        assert len(buffer.pop(now)) == 2 * WIDE.frame
        now += wait
    assert len(buffer._pieces) <= MAX_PACKETS
    assert buffer._end - buffer._cursor <= 16 * (MAX_HELD_MS + 60)


def test_another_codec_goes_on_where_the_first_one_ended() -> None:
    """Opus, then G.711 at its own clock, then Opus again, by the same sender."""
    pcm = voice(3)
    coder, other, buffer = Opus(WIDE), WidebandG711(PCMU), JitterBuffer(WIDE)
    payloads, narrow = packets(pcm, 20), WidebandG711(PCMU)
    plain = [narrow.encode(pcm[at : at + 640]) for at in range(0, len(pcm), 640)]
    out, timestamp = b"", 1000
    for n in range(150):
        is_opus = not 50 <= n < 100
        payload, used = (payloads[n], coder) if is_opus else (plain[n], other)
        arrived = Packet(111 if is_opus else 0, n, timestamp, 5, payload)
        buffer.push(arrived, bytes(2 * used.count(payload)), 20.0 * n, used)
        out += buffer.pop(20.0 * n + 5)
        timestamp += 20 * used.clock
    assert buffer.counters.anchored == 3
    assert (buffer.counters.late, buffer.counters.concealed_ms) == (0, 0)
    assert buffer.reception.jitter / buffer.reception.clock < 1
    for at in (300, 1300, 2300):
        assert likest(pcm[32 * at : 32 * (at + 500)], out[32 * at :])[0] > 0.7
    # What is late of a codec that was given up is not put into the other's time.
    buffer.push(Packet(0, 120, 1000 + 20 * 8 * 120, 5, plain[120]), bytes(640), 3001, other)
    assert buffer.counters.late == 1 or buffer.reception.duplicates == 1


def test_a_flood_is_bounded() -> None:
    buffer, coder, payloads = JitterBuffer(WIDE), Opus(WIDE), packets(voice(1), 20)
    for n in range(3000):
        buffer.push(packet(n, payloads[n % 50]), bytes(640), 0.0, coder)
    assert len(buffer._pieces) <= MAX_PACKETS
    assert buffer._end - buffer._cursor <= 16 * MAX_HELD_MS
    assert buffer.counters.overflowed > 10
