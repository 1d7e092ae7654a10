"""The stereo recording of a call."""

from pathlib import Path

import numpy as np

from audio import g711, wav
from audio.rate import RATE
from telephony.simulator.talk import Talk


def write_recording(path: Path, talk: Talk) -> None:
    """Write a WAV at 8 kHz, on the talk's time axis: the caller left, the agent as it was played right."""
    caller = b"".join(talk.sent)
    agent = bytearray(g711.SILENCE * talk.playback.end)
    for start, payload in talk.playback.pieces:
        agent[start : start + len(payload)] = payload
    wav.write(path, [np.frombuffer(g711.decode(side), "<i2") for side in (caller, bytes(agent))], RATE)
