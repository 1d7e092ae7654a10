"""The two sides of a call as tracks of mu-law audio on one time axis: 8 samples a ms of media time."""

from audio.g711 import SILENCE
from audio.rate import SAMPLES_PER_MS
from telephony.report.story import Story
from telephony.report.tape import Tape

LEAD_MS = 60_000  # audio that is to be heard later than this after the call's end is left out


def caller_track(tape: Tape) -> bytes:
    """What came from the caller; times without audio are silent. Empty: the tape has none."""
    track = bytearray()
    for line in tape.lines:
        if line.event and line.event.type == "CallerAudio" and line.event.ulaw:
            _lay(track, line.at - len(line.event.ulaw) / SAMPLES_PER_MS, line.event.ulaw)
    return bytes(track)


def ear_track(tape: Tape, story: Story) -> bytes:
    """What the caller heard of the agent."""
    track = bytearray()
    for span in story.spans:
        if span.ulaw and span.start_ms <= tape.end_ms + LEAD_MS:
            _lay(track, span.start_ms, span.ulaw[: round((span.end_ms - span.start_ms) * SAMPLES_PER_MS)])
    return bytes(track)


def _lay(track: bytearray, start_ms: float, ulaw: bytes) -> None:
    """Lay audio over the track from a moment on."""
    start = max(0, round(start_ms * SAMPLES_PER_MS))
    track += SILENCE * (start - len(track))
    track[start : start + len(ulaw)] = ulaw
