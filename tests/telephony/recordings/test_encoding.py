"""Opus and WAV: what comes out is what went in, at any moment, even after the process has been killed."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from telephony.recordings.encoding import Encoder, OpusEncoder, WavEncoder
from tests.telephony.recordings.listening import Samples, level_db, noise, place, samples

RATES = (8000, 16_000)
ENCODERS: dict[str, Callable[[int], Encoder]] = {"opus": lambda rate: OpusEncoder(rate, "a call"), "wav": WavEncoder}


def read(file: bytes) -> tuple[Samples, int]:
    audio, rate = soundfile.read(io.BytesIO(file), dtype="float32")
    return audio, rate


def talk(rate: int) -> np.ndarray:
    """One speaks, then the other, then both, the left one softly; 4 s in all."""
    left, right = (np.frombuffer(noise(4000, seed, rate), "<i2").copy() for seed in (1, 2))
    left[rate : 2 * rate] = 0
    right[:rate] = 0
    left[3 * rate :] //= 16
    return np.stack([left, right], axis=1)


def whole(encoder: Encoder, stereo: np.ndarray, rate: int, *, end: bool = True) -> bytes:
    """The file, encoded second by second."""
    file = b"".join(encoder.encode(stereo[at : at + rate]) for at in range(0, len(stereo), rate))
    file += encoder.end() if end else b""
    head = encoder.head(len(file))
    return head + file[len(head) :]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("form", ENCODERS)
def test_both_sides_come_back_in_place_and_at_their_level(form: str, rate: int) -> None:
    stereo = talk(rate)
    found, found_rate = read(whole(ENCODERS[form](rate), stereo, rate))
    assert (found_rate, len(found)) == (rate, len(stereo))
    for side in (0, 1):
        sent = samples(stereo[:, side].tobytes())
        for second in range(4):
            part = slice(second * rate + rate // 10, (second + 1) * rate - rate // 10)
            if second + side == 1:
                assert level_db(found[part, side]) < -90  # silent beside the other side's voice
            else:
                assert level_db(found[part, side]) == pytest.approx(level_db(sent[part]), abs=0.5)
                around = found[part.start - rate // 20 : part.stop + rate // 20, side]
                assert abs(place(sent[part], around) - rate // 20) <= 1


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("form", ENCODERS)
def test_a_file_that_was_never_ended_can_be_read_but_for_its_last_moment(form: str, rate: int) -> None:
    found, _ = read(whole(ENCODERS[form](rate), talk(rate), rate, end=False))
    assert len(found) > 2.9 * rate
    broken = whole(ENCODERS[form](rate), talk(rate), rate, end=False)[:-100]  # in the middle of a page
    assert len(read(broken)[0]) > 1.9 * rate


def test_a_wav_whose_header_is_old_can_be_read() -> None:
    encoder = WavEncoder(8000)
    file = encoder.encode(talk(8000)[:8000])
    file = encoder.head(len(file)) + file[44:] + encoder.encode(talk(8000)[8000:16_000])
    assert len(read(file)[0]) == 8000


def test_an_hour_of_opus_takes_20_mb() -> None:
    file = whole(OpusEncoder(8000, "a call"), np.concatenate([talk(8000)] * 4), 8000)
    assert len(file) / 16 * 3600 < 21e6
