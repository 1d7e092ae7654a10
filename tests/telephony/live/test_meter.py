"""Levels of known sounds, and of silence."""

import numpy as np
import pytest

from telephony.live.meter import SILENCE_DB, dbfs, shown


@pytest.mark.parametrize("db", [-1, -6, -20, -60])
def test_the_level_of_a_square_wave(db: int) -> None:
    value = round(32768 * 10 ** (db / 20))
    assert dbfs(np.tile(np.array([value, -value], "<i2"), 1000).tobytes()) == db


def test_silence_is_as_low_as_a_meter_goes() -> None:
    assert dbfs(bytes(320)) == dbfs(b"") == shown(-96.0) == SILENCE_DB
    assert shown(-20.4) == -20
