"""The stereo recording: one time axis."""

import wave
from pathlib import Path
from typing import Any

import numpy as np

from audio import g711
from telephony.simulator.recording import write_recording
from telephony.simulator.talk import Talk


def test_both_sides_lie_where_they_were_heard(script: Any, tone: Any, tmp_path: Path) -> None:
    talk = Talk(script({"silence": 1000}), [None], (tone(20),), keep_audio=True)
    assert len(list(talk.due(160 * 10))) == 10
    talk.playback.play(tone(20), 800)
    write_recording(tmp_path / "call.wav", talk)
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 1600)
        left, right = np.frombuffer(file.readframes(1600), "<i2").reshape(-1, 2).T
    expected = np.frombuffer(g711.decode(tone(20)), "<i2")
    assert (left == np.tile(expected, 10)).all()
    assert (right[800:960] == expected).all()
    assert not right[:800].any()
    assert not right[960:].any()
