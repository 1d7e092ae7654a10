"""Talkspurts of the agent as played."""

from collections.abc import Callable

from audio import g711
from telephony.simulator.ear import Ear, Talkspurt

Tone = Callable[[int], bytes]


def test_a_talkspurt_grows_as_it_is_heard(tone: Tone) -> None:
    ear = Ear()
    ear.schedule(1000, g711.SILENCE * 100 + tone(20))
    ear.listen(1100)
    assert ear.spurts == []
    ear.listen(1150)
    assert ear.spurts[0].start - 1100 < 3
    assert ear.spurts[0].end == 1150
    ear.listen(5000)
    assert len(ear.spurts) == 1
    assert 1250 < ear.spurts[0].end <= 1260


def test_short_pauses_join_long_ones_part(tone: Tone) -> None:
    ear = Ear()
    for start in (0, 160 + 2300, 160 + 2300 + 160 + 2500):
        ear.schedule(start, tone(20))
    ear.listen(100_000)
    assert [(spurt.start // 10, spurt.end // 10) for spurt in ear.spurts] == [(0, 262), (512, 528)]


def test_pauses_within_a_long_payload_are_seen(tone: Tone) -> None:
    ear = Ear()
    ear.schedule(0, tone(100) + g711.SILENCE * 8000 + tone(100))
    ear.listen(100_000)
    assert len(ear.spurts) == 2
    assert abs(ear.spurts[1].start - 8800) < 3


def test_what_is_cleared_is_not_heard(tone: Tone) -> None:
    ear = Ear()
    ear.schedule(0, tone(100))
    ear.schedule(800, tone(100))
    ear.clear(400)
    ear.listen(10_000)
    assert [spurt.end for spurt in ear.spurts] == [400]


def test_line_noise_is_not_speech() -> None:
    ear = Ear()
    quiet = g711.encode((b"\x2c\x01" + b"\xd4\xfe") * 800)  # ±300, below -40 dBFS
    ear.schedule(0, quiet)
    ear.listen(10_000)
    assert ear.spurts == []
    ear.schedule(2000, g711.encode(b"\x00\x10" * 80))
    ear.listen(10_000)
    assert ear.spurts == [Talkspurt(2000, 2080)]
