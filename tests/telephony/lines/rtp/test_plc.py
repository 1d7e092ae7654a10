"""Packet loss concealment: by the codec or from earlier audio, never too long, and fading."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.rate import NARROW, WIDE, Rate
from telephony.lines.rtp.opus import Opus
from telephony.lines.rtp.plc import Ahead, PacketLossConcealment
from tests.debian import needs
from tests.telephony.lines.rtp.speech import packets, samples, voice

needs_opus = needs("libopus0")


def hearing(payloads: list[bytes]) -> Opus:
    """A decoder that has heard these."""
    coder = Opus(WIDE)
    for payload in payloads:
        coder.decode(payload)
    return coder


@pytest.mark.parametrize("rate", [NARROW, WIDE], ids=["8 kHz", "16 kHz"])
def test_without_a_memory_it_goes_on_from_what_was_heard_for_60_ms(rate: Rate) -> None:
    filler, heard = PacketLossConcealment(rate), voice(0.2, rate.hz)
    for _ in range(2):  # each loss anew
        filler.begin()
        given = [filler.give(rate.frame, heard, None) for _ in range(4)]
        assert [len(part) for part in given] == 3 * [2 * rate.frame] + [0]
        loudness = [np.abs(samples(part)).max() for part in given[:3]]
        assert loudness == sorted(loudness, reverse=True)
        assert filler.spent


@needs_opus
def test_a_codec_goes_on_for_100_ms_and_fades_at_the_end() -> None:
    filler, payloads = PacketLossConcealment(WIDE), packets(voice(1), 20)
    filler.take_up(hearing(payloads))
    filler.begin()
    given = [filler.give(WIDE.frame, b"", None) for _ in range(6)]
    assert [len(part) for part in given] == 5 * [640] + [0]
    assert filler.spent
    assert np.abs(samples(given[4]))[-32:].max() < 0.2 * np.abs(samples(given[3])).max()


@needs_opus
def test_the_last_frame_of_a_hole_is_told_by_what_follows_it() -> None:
    payloads = packets(voice(2), 20)
    whole = samples(b"".join(map(Opus(WIDE).decode, payloads)))
    errors = []
    for knows in (True, False):
        coder, filler = hearing(payloads[:40]), PacketLossConcealment(WIDE)
        filler.take_up(coder)
        filler.begin()
        for lost in (40, 41):
            ahead = Ahead(coder, payloads[42], (42 - lost) * WIDE.frame) if knows else None
            made = samples(filler.give(WIDE.frame, b"", ahead))
        errors.append(float(((made - whole[320 * 41 : 320 * 42]) ** 2).mean()))
    assert errors[0] < 0.8 * errors[1]


@needs_opus
@given(st.lists(st.tuples(st.integers(1, 320), st.one_of(st.none(), st.integers(0, 1200))), max_size=20))
@settings(deadline=None, max_examples=100)
def test_any_counts_are_given_without_a_gap_and_bounded(steps: list[tuple[int, int | None]]) -> None:
    payloads = packets(voice(1), 20)
    coder, filler = hearing(payloads[:20]), PacketLossConcealment(WIDE)
    filler.take_up(coder)
    filler.begin()
    total = 0
    for count, beyond in steps:
        ahead = None if beyond is None else Ahead(coder, payloads[21], count + beyond)
        part = filler.give(count, b"", ahead)
        assert len(part) == 2 * count or filler.spent
        assert len(filler._ready) <= 2 * 60 * WIDE.per_ms
        total += len(part) // 2
        if filler.spent:
            assert total >= 100 * WIDE.per_ms
            break
