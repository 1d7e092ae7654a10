"""The stereo recording of a call."""

import base64
from pathlib import Path

import numpy as np

from telephony.audio import g711, wav
from telephony.caller.stream import CallerStream


def write_recording(path: Path, stream: CallerStream) -> None:
    """Write a WAV of 8 kHz: the caller left, the agent as it was played right, on the stream's time axis."""
    caller = b"".join(map(base64.b64decode, stream.sent))
    agent = bytearray(g711.SILENCE * stream.playback.end)
    for start, payload in stream.playback.pieces:
        agent[start : start + len(payload)] = payload
    wav.write(path, [np.frombuffer(g711.decode(side), "<i2") for side in (caller, bytes(agent))], g711.RATE)
