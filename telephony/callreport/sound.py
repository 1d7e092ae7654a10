"""The two sides of a call as tracks of mu-law audio on one time axis: 8 samples a ms of media time."""

from telephony.audio.g711 import SAMPLES_PER_MS, SILENCE
from telephony.callreport.tape import Tape

LEAD_MS = 60_000  # audio that is to be heard later than this after the call's end is left out


def caller_track(tape: Tape) -> bytes:
    """What came from the caller; times without audio are silent. Empty: the tape has none."""
    track = bytearray()
    for line in tape.lines:
        if line.event and line.event.type == "CallerAudio" and line.event.ulaw:
            start = round(line.at * SAMPLES_PER_MS) - len(line.event.ulaw)
            track += SILENCE * (start - len(track)) + line.event.ulaw
    return bytes(track)


def ear_track(tape: Tape) -> bytes:
    """What the caller heard of the agent: each block where it was played, cut off by `clear`."""
    track = bytearray()
    for line in tape.lines:
        wire = line.wire
        if wire is None:
            continue
        if wire.out == "clear":
            del track[round(wire.at * SAMPLES_PER_MS) :]
        elif wire.ulaw and wire.plays_at <= tape.end_ms + LEAD_MS:
            start = round(wire.plays_at * SAMPLES_PER_MS)
            track += SILENCE * (start - len(track))
            track[start : start + len(wire.ulaw)] = wire.ulaw
    return bytes(track)
