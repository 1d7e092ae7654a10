"""G.711 on a wide-band line: as many frames, the same sounds, no more than 4 kHz of them."""

import numpy as np
import pytest

from audio.rate import NARROW, WIDE
from telephony.lines.rtp.codec import G711, OPUS, PCMA, PCMU
from telephony.lines.rtp.coders import open_coder
from telephony.lines.rtp.wideband_g711 import WidebandG711
from tests.telephony.lines.rtp.speech import hiss, likest, samples, share, voice


@pytest.mark.parametrize("codec", [PCMU, PCMA], ids=lambda codec: codec.name)
def test_a_voice_there_and_back(codec: G711) -> None:
    pcm, coder = voice(1), WidebandG711(codec)
    payloads = [coder.encode(pcm[at : at + 640]) for at in range(0, len(pcm), 640)]
    assert {len(payload) for payload in payloads} == {160}
    assert {coder.count(payload) for payload in payloads} == {320}
    back = b"".join(map(coder.decode, payloads))
    assert len(back) == len(pcm)
    likeness, late = likest(pcm, back)
    assert likeness > 0.95
    assert late < 48  # samples: 3 ms


def test_what_lies_above_4_khz_is_gone_and_silence_stays_silent() -> None:
    coder = WidebandG711(PCMU)
    noise = b"".join(coder.decode(coder.encode(hiss(1)[at : at + 640])) for at in range(0, 32_000, 640))
    assert np.abs(samples(noise)).mean() < 0.05 * np.abs(samples(hiss(1))).mean()
    assert share(coder.decode(coder.encode(voice(1)[:640])), 0, 4400) > 0.95
    silent = WidebandG711(PCMU)
    assert silent.encode(bytes(640)) == PCMU.silence
    assert silent.decode(PCMU.silence) == bytes(640)


def test_a_line_of_8_khz_needs_nothing_of_it() -> None:
    assert open_coder(PCMU, NARROW) is PCMU
    assert isinstance(open_coder(PCMU, WIDE), WidebandG711)
    assert OPUS.rate == WIDE.hz
