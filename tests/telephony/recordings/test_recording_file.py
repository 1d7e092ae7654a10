"""A recording on the disk's side: nothing at all, an encoder that fails, and the name of what lacks something."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from config.logging import Log
from telephony.files.backlog import Backlog
from telephony.recordings.encoding import WavEncoder
from telephony.recordings.recording import Recording
from telephony.recordings.recording_file import RecordingFile

LOG = Log(logging.getLogger("voxline.call"), {"call": "CA1"})
SECOND = b"\1\0" * 8000


def made(folder: Path, **options: float) -> RecordingFile:
    return RecordingFile(Recording("one", 8000, LOG, Backlog(10**6), **options), folder, "wav")


def test_what_may_still_be_taken_back_is_written_later(tmp_path: Path) -> None:
    file = made(tmp_path, takes_back_ms=1500)
    for _ in range(2):
        file.recording.caller(SECOND)
    file.flush()
    (part,) = tmp_path.iterdir()
    assert len(soundfile.read(part)[0]) == 4000
    file.finish()
    assert file.path == tmp_path / "one.wav"
    assert len(soundfile.read(file.path)[0]) == 16_000
    assert file.size == file.path.stat().st_size


def test_an_encoder_that_fails_ends_the_recording_and_not_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: WavEncoder, stereo: np.ndarray) -> bytes:
        raise soundfile.LibsndfileError(1)

    file = made(tmp_path)
    file.recording.caller(SECOND)
    file.flush()
    monkeypatch.setattr(WavEncoder, "encode", fail)
    for _ in range(2):
        file.recording.caller(SECOND)
        file.flush()
    file.finish()
    assert file.path.name == "one.incomplete.wav"
    assert len(soundfile.read(file.path)[0]) == 8000
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["the recording stops"]
