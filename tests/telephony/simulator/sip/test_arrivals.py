"""What the buffer tells of when packets came."""

import numpy as np
import pytest

from audio.rate import FRAME, WIDE
from telephony.lines.rtp import opus
from telephony.lines.rtp.codec import PCMU
from telephony.lines.rtp.packet import Packet
from telephony.simulator.sip.arrivals import Arrivals
from tests.debian import needs

VOICE = b"\x20" * FRAME


class Telling:
    """An Arrivals that is fed every 20 ms, and what it told."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.breaks: list[tuple[float, float]] = []
        self.buffer = Arrivals(self.gaps.append, lambda at, length: self.breaks.append((at, length)))
        self.sequence = 0

    def push(self, payload: bytes, *, marker: bool = False, late_ms: float = 0) -> None:
        packet = Packet(0, self.sequence, self.sequence * FRAME, 1, payload, marker)
        assert self.buffer.push(packet, PCMU.decode(payload), 20.0 * self.sequence + late_ms)
        self.sequence += 1


def test_gaps_are_those_between_arrivals() -> None:
    telling = Telling()
    for late in (0, 0, 15, 0):
        telling.push(VOICE, late_ms=late)
    assert telling.gaps == [20, 35, 5]


@pytest.mark.parametrize(("silent", "told"), [(0, False), (1, True), (25, True), (26, False)])
def test_a_voice_that_goes_on_soon_with_a_marker_was_not_ready(silent: int, told: bool) -> None:
    telling = Telling()
    telling.push(PCMU.silence, marker=True)
    telling.push(VOICE, marker=True)
    for _ in range(silent):
        telling.push(PCMU.silence)
    telling.push(VOICE, marker=True)
    assert telling.breaks == ([(40, 20 * silent)] if told else [])


def test_a_pause_of_the_voice_itself_is_none() -> None:
    telling = Telling()
    for payload in (VOICE, PCMU.silence, PCMU.silence, VOICE):
        telling.push(payload, marker=telling.sequence == 0)
    assert telling.breaks == []


@needs("libopus0")
def test_silence_in_opus_is_told_by_its_size() -> None:
    breaks: list[tuple[float, float]] = []
    coder = opus.Opus(WIDE)
    buffer = Arrivals(lambda _: None, lambda at, length: breaks.append((at, length)))
    voice = (8000 * np.sin(np.arange(320) * 0.3)).astype("<i2").tobytes()
    for number in range(40):
        speaks = not 15 <= number < 25
        payload = coder.encode(voice if speaks else bytes(640))
        packet = Packet(111, number, 960 * number, 1, payload, number in (0, 25))
        assert buffer.push(packet, bytes(320), 20.0 * number, coder)
    [(at, length)] = breaks
    assert 300 <= at <= 300 + 60  # the encoder needs a few packets to be done with the voice
    assert at + length == 500
