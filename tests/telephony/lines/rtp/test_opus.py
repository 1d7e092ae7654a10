"""Opus by libopus: there and back, losses, the peer's wishes, and whatever a network may bring."""

import gc
import os

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.rate import NARROW, WIDE, Rate
from config.exceptions import SettingsError
from telephony.lines.rtp import opus
from telephony.lines.rtp.opus import Opus
from tests.debian import needs
from tests.telephony.lines.rtp.speech import hiss, likest, packets, samples, share, voice

pytestmark = needs("libopus0")
RATES = pytest.mark.parametrize("rate", [NARROW, WIDE], ids=["8 kHz", "16 kHz"])
NARROW_BAND, WIDE_BAND = range(4), range(8, 12)  # the configurations of a packet's first byte (RFC 6716, 3.1)


def encoded(pcm: bytes, parameters: str = "", rate: Rate = WIDE) -> list[bytes]:
    coder = Opus(rate, parameters)
    return [coder.encode(pcm[at : at + 2 * rate.frame]) for at in range(0, len(pcm), 2 * rate.frame)]


def decoded(payloads: list[bytes], rate: Rate = WIDE) -> bytes:
    coder = Opus(rate)
    return b"".join(coder.decode(payload) for payload in payloads)


@RATES
def test_a_voice_there_and_back(rate: Rate) -> None:
    pcm = voice(2, rate.hz)
    back = decoded(encoded(pcm, rate=rate), rate)
    assert len(back) == len(pcm)
    likeness, late = likest(pcm, back)
    assert likeness > 0.8
    assert late <= 8 * rate.per_ms


def test_what_lies_above_4_khz_arrives() -> None:
    for parameters in ("", "useinbandfec=1"):
        assert share(decoded(encoded(hiss(1), parameters)), 4800, 7200) > 0.9


@RATES
@pytest.mark.parametrize("ms", [10, 20, 40, 60])
def test_packets_of_any_length(ms: int, rate: Rate) -> None:
    pcm = voice(1.2, rate.hz)
    coder = Opus(rate)
    made = packets(pcm, ms, rate)
    assert {coder.count(payload) for payload in made} == {ms * rate.per_ms}
    back = b"".join(coder.decode(payload) for payload in made)
    assert len(back) == len(pcm)
    assert likest(pcm, back)[0] > 0.8


def test_each_rate_hears_what_the_other_has_sent() -> None:
    wide, narrow = voice(1), voice(1, 8000)
    assert likest(narrow, decoded(encoded(wide), NARROW))[0] > 0.8
    assert likest(wide, decoded(encoded(narrow, rate=NARROW)))[0] > 0.8


def test_a_short_frame_is_filled_up() -> None:
    coder = Opus(WIDE)
    assert coder.count(coder.encode(b"\1\1")) == WIDE.frame


@pytest.mark.parametrize("payload", [b"", b"\x03\x00", b"\x03\x3f", b"\xff\xff"])
def test_what_is_no_packet_is_told(payload: bytes) -> None:
    with pytest.raises(ValueError, match="no Opus packet"):
        Opus(WIDE).count(payload)


@RATES
@given(st.lists(st.one_of(st.binary(max_size=200), st.integers(0, 49), st.none()), max_size=30))
@settings(deadline=None, max_examples=150)
def test_anything_is_decoded_or_found_damaged(rate: Rate, payloads: list[bytes | int | None]) -> None:
    """Good packets, damaged ones, losses, in any order."""
    coder, good = Opus(rate), packets(voice(1), 20)
    for item in payloads:
        payload = good[item] if isinstance(item, int) else item
        if payload is None:
            assert len(coder.conceal(rate.frame)) == 2 * rate.frame
            continue
        try:
            count = coder.count(payload)
        except ValueError:
            continue
        assert 0 < count <= 120 * rate.per_ms
        assert len(coder.recover(payload, rate.frame)) in (0, 2 * rate.frame)
        assert len(coder.decode(payload)) in (0, 2 * count)


def test_a_damaged_packet_gives_nothing_and_the_next_ones_are_good() -> None:
    coder, good = Opus(WIDE), packets(voice(2), 20)
    assert coder.decode(b"\x4b\xff\xff\xff") == b""
    back = b"".join(map(coder.decode, good))
    assert likest(voice(2), back)[0] > 0.8


@RATES
@pytest.mark.parametrize("count", [1, 40, 159, 320])
def test_concealing_gives_at_least_what_is_asked_for(rate: Rate, count: int) -> None:
    coder = Opus(rate)
    for payload in packets(voice(1), 20):
        coder.decode(payload)
    made = coder.conceal(count)
    assert count <= len(made) // 2 < count + rate.per_ms * 5 // 2
    assert np.abs(samples(made)).max() > 100
    assert len(coder.conceal(100_000)) == 2 * 120 * rate.per_ms


def test_a_lost_frame_is_recovered_from_the_next_packet() -> None:
    good = packets(voice(3), 20)
    whole = decoded(good)

    def error(lost: int, *, told: bool) -> float:
        coder = Opus(WIDE)
        for payload in good[:lost]:
            coder.decode(payload)
        made = coder.recover(good[lost + 1], WIDE.frame) if told else coder.conceal(WIDE.frame)
        was = samples(whole[640 * lost : 640 * (lost + 1)])
        return float(((samples(made) - was) ** 2).sum() / (was**2).sum())

    lost = range(20, 140, 7)
    assert sum(error(n, told=True) for n in lost) < 0.8 * sum(error(n, told=False) for n in lost)
    coder = Opus(WIDE)
    assert coder.recover(good[5], WIDE.frame + 1) == b""  # it tells of the frame before it, and no more
    assert coder.recover(good[5], 0) == b""
    assert len(coder.recover(good[5], 7)) == 14


def test_the_peers_wishes_are_heeded() -> None:
    pcm = voice(2)
    size = sum(map(len, encoded(pcm)))
    assert sum(map(len, encoded(pcm, "maxaveragebitrate=12000"))) < 0.6 * size
    assert sum(map(len, encoded(pcm, "maxaveragebitrate=500000"))) < 1.1 * size
    assert {payload[0] >> 3 for payload in encoded(pcm, "useinbandfec=1; stereo=1")} <= set(WIDE_BAND)
    assert {payload[0] >> 3 for payload in encoded(pcm, "maxplaybackrate=8000; x")} <= set(NARROW_BAND)
    assert len({len(payload) for payload in encoded(pcm, "cbr=1")}) == 1
    assert len({len(payload) for payload in encoded(pcm)}) > 5


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=50)
def test_wishes_that_make_no_sense_are_left_alone(parameters: str) -> None:
    assert Opus(WIDE, parameters).encode(bytes(640))


def test_a_pause_of_the_sender_is_told_from_audio() -> None:
    coder = Opus(WIDE)
    assert coder.is_pause(b"\x48")
    assert not coder.is_pause(coder.encode(bytes(640)))
    assert len(coder.decode(b"\x48")) == 640


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_library", lambda: None)
    assert not opus.available()
    with pytest.raises(SettingsError, match="libopus0"):
        Opus(WIDE)


def test_a_thousand_calls_leave_no_memory_behind() -> None:
    process, good = psutil.Process(os.getpid()), packets(voice(1), 20)[:3]

    def call() -> None:
        coder = Opus(WIDE)
        for payload in good:
            coder.decode(payload)
        coder.encode(bytes(640))

    for _ in range(50):
        call()
    gc.collect()
    before = process.memory_info().rss
    for _ in range(1000):  # of 50 KB each
        call()
    gc.collect()
    assert process.memory_info().rss - before < 10e6
