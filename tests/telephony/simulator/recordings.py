"""What the recording of a call must contain, on any carrier."""

import wave

import numpy as np

from telephony.simulator.report import CallReport

QUIET = 400  # the caller's line noise is fainter
LOUD = 1000, 3000  # a caller who speaks, an agent who does


def check_recording(report: CallReport, hiss: int) -> None:
    """Caller left, agent right, in the places that the report tells; before its answer the agent's side is no louder
    than `hiss`."""
    with wave.open(report.recording) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        assert abs(file.getnframes() / 8 - report.duration_ms) < 500
        left, right = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    turn = report.turns[0]
    onset, end = int(turn.onset_ms * 8), int(turn.speech_end_ms * 8)
    assert np.abs(left[onset:end]).mean() > LOUD[0]
    assert np.abs(left[end + 200 : end + 1600]).max() < QUIET
    assert turn.answer_ms is not None
    answer = int(turn.answer_ms * 8)
    assert np.abs(right[answer - 800 : answer - 8]).max() <= hiss
    assert np.abs(right[answer : answer + 800]).mean() > LOUD[1]
