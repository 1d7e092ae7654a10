"""The codecs: their silence is silent, and audio survives the way there and back."""

import numpy as np
import pytest

from audio.rate import FRAME
from telephony.lines.rtp.codec import CODECS, G711, OPUS, PCMA, PCMU


@pytest.mark.parametrize("codec", [PCMU, PCMA], ids=lambda codec: codec.name)
def test_audio_survives_and_silence_is_silent(codec: G711) -> None:
    pcm = (9000 * np.sin(np.arange(FRAME) / 7)).astype("<i2")
    encoded = codec.encode(pcm.tobytes())
    assert len(encoded) == FRAME
    heard = np.frombuffer(codec.decode(encoded), "<i2")
    assert np.abs(heard.astype(int) - pcm).max() < 400
    silence = np.frombuffer(codec.decode(codec.silence), "<i2")
    assert len(silence) == FRAME
    assert np.abs(silence).max() <= 8


def test_the_static_payload_types_are_those_of_the_standard() -> None:
    assert (PCMU.payload_type, PCMA.payload_type) == (0, 8)
    assert PCMA.decode(b"\xd5\x55")[:2] == b"\x08\x00"


def test_what_a_description_says_of_each() -> None:
    assert [codec.description for codec in CODECS.values()] == [
        "opus/48000/2",
        "G722/8000",
        "PCMU/8000",
        "PCMA/8000",
    ]
    assert 96 <= OPUS.payload_type <= 127
