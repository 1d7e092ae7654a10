"""The codecs: their silence is silent, and audio survives the way there and back."""

import numpy as np
import pytest

from telephony.rtp.codec import CODECS, FRAME, Codec


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_audio_survives_and_silence_is_silent(codec: Codec) -> None:
    pcm = (9000 * np.sin(np.arange(FRAME) / 7)).astype("<i2")
    encoded = codec.encode(pcm.tobytes())
    assert len(encoded) == FRAME
    heard = np.frombuffer(codec.decode(encoded), "<i2")
    assert np.abs(heard.astype(int) - pcm).max() < 400
    silence = np.frombuffer(codec.decode(codec.silence), "<i2")
    assert len(silence) == FRAME
    assert np.abs(silence).max() <= 8


def test_the_static_payload_types_are_those_of_the_standard() -> None:
    assert {name: codec.payload_type for name, codec in CODECS.items()} == {"PCMU": 0, "PCMA": 8}
    assert CODECS["PCMA"].decode(b"\xd5\x55")[:2] == b"\x08\x00"
