"""Levels: known sounds, silence, and a side that says nothing."""

import numpy as np
import pytest

from telephony.live.meter import SILENCE_DB, Meter


def square(db: float, ms: int, hz: int = 8000) -> bytes:
    """A square wave at this level."""
    value = round(32768 * 10 ** (db / 20))
    return np.tile(np.array([value, -value], "<i2"), ms * hz // 2000).tobytes()


@pytest.mark.parametrize("hz", [8000, 16_000])
@pytest.mark.parametrize("db", [-6, -20, -60])
def test_the_level_is_that_of_the_last_quarter_of_a_second(hz: int, db: int) -> None:
    meter = Meter(hz)
    now_ms = 0.0
    for level in (-1.0, float(db)):
        for _ in range(13):
            now_ms += 20
            meter.add(square(level, 20, hz), now_ms)
    assert meter.db(now_ms) == db


def test_silence_and_what_has_ended_are_silent() -> None:
    meter = Meter(8000)
    assert meter.db(0.0) == SILENCE_DB
    meter.add(square(-20, 20), 20.0)
    assert meter.db(20.0) == -20
    assert meter.db(300.0) == SILENCE_DB
    for at in range(20):
        meter.add(bytes(320), 300.0 + 20 * at)
    assert meter.db(680.0) == SILENCE_DB
