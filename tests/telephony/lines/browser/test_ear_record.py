"""What a page has heard, told to the recording beside the caller's audio of the same moment."""

from typing import Any

from telephony.lines.browser.ear_record import EarRecord
from telephony.lines.line import Listener

FRAME = 320
MS = 32  # bytes


class Told(Listener):
    """A listener that keeps what it is told of."""

    taping = False

    def __init__(self) -> None:
        self.all: list[tuple[int, float, float | None]] = []

    def sent(self, pcm: bytes, in_ms: float = 0.0, hole_ms: float | None = None) -> None:
        """See Listener."""
        self.all.append((len(pcm) // MS, in_ms, hole_ms))


def record() -> tuple[EarRecord, list[Any]]:
    told = Told()
    return EarRecord(told), told.all


def test_it_begins_in_the_middle_of_a_frame_and_goes_on_without_a_hole() -> None:
    ear, told = record()
    for heard_ms in (0, 5, 20, 20, 7, 0):
        ear.heard(bytes(MS * heard_ms), 0, FRAME)
    # The second begins anew: the first was no whole frame. The last one follows.
    assert told == [(5, 15.0, None), (20, 0.0, None), (20, 0.0, 0), (7, 13.0, 0)]


def test_after_silence_it_is_placed_anew() -> None:
    ear, told = record()
    for heard_ms in (20, 0, 20):
        ear.heard(bytes(MS * heard_ms), 0, FRAME)
    assert told == [(20, 0.0, None), (20, 0.0, None)]


def test_a_gap_in_the_callers_audio_lies_before_it() -> None:
    ear, told = record()
    ear.heard(bytes(MS * 20), 16 * 500, FRAME)
    assert told == [(20, 500.0, None)]


def test_the_fade_follows_and_ends_it() -> None:
    ear, told = record()
    ear.heard(bytes(MS * 20), 0, FRAME)
    ear.stopped(bytes(MS * 30))
    ear.stopped(b"")
    ear.heard(bytes(MS * 20), 0, FRAME)
    assert told == [(20, 0.0, None), (30, 0.0, 0), (20, 0.0, None)]
