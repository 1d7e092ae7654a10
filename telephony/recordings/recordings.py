"""The folder of recordings: one file a call, written by a thread that keeps out of the audio's way.

A recording in progress can be listened to up to a few seconds ago, whatever becomes of the server: the next one that
starts here gives it its name. Names are made here, of the time and of random digits; nothing that a caller sends is in
them.
"""

import fcntl
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import islice
from pathlib import Path

from config import private
from config.exceptions import SettingsError
from config.logging import Log
from config.settings import RecordingSettings
from telephony.files import names
from telephony.files.backlog import Backlog
from telephony.files.shelf import Shelf
from telephony.files.writer import Writer
from telephony.recordings.recording import Recording
from telephony.recordings.recording_file import RecordingFile
from telephony.recordings.removal import ENDINGS, INCOMPLETE, PART, find_recording, is_name, remove_recording

WRITE_S = 1.0  # between two rounds of the writer
MAX_BUFFERS = 256_000_000  # bytes of all calls that wait to be written
MAX_CLOSED = 10_000  # recordings that wait to be finished
MAX_RESTS = 10_000  # of earlier servers, that one start finishes
STOP_S = 5.0  # for writing what is open

logger = logging.getLogger("voxline.recording")


class Recordings:
    """The recordings of one server."""

    def __init__(
        self, folder: Path, settings: RecordingSettings, count: Callable[[str], None] = lambda _outcome: None
    ) -> None:
        """`count` is told, in the writer's thread, what became of each: whole or incomplete. Raises SettingsError where
        there can be no such folder."""
        self._folder = folder
        self._settings = settings
        self._count = count
        self._shelf = Shelf(folder, ENDINGS, round(settings.keep_mb * 1e6), settings.keep_days)
        self._waiting = Backlog(MAX_BUFFERS)
        self._files: dict[Recording, RecordingFile] = {}
        try:
            private.make_folder(folder)
        except OSError as error:
            raise SettingsError(f"server.data: cannot make {folder} for recordings: {error.strerror}") from None
        self._writer = Writer[RecordingFile](
            "recordings",
            every_s=WRITE_S,
            stop_s=STOP_S,
            begin=self._look_around,
            flush=RecordingFile.flush,
            finish=self._finish,
            idle=self._idle,
        )
        self._writer.start()

    def open(self, rate: int, log: Log, *, takes_back_ms: float = 0.0) -> Recording:
        """A recording of a call that begins, at 8000 or 16000 Hz; for `takes_back_ms` see Recording. The disk is left
        to the writer."""
        name = f"{names.stamp()}-{secrets.token_hex(8)}"
        recording = Recording(name, rate, log, self._waiting, takes_back_ms=takes_back_ms)
        self._files[recording] = file = RecordingFile(recording, self._folder, self._settings.format)
        self._writer.open(file)
        return recording

    def close(self, recording: Recording) -> None:
        """The call is over: what remains is written."""
        if not self._writer.close(self._files.pop(recording), MAX_CLOSED):
            recording.take()
            recording.log.error("the recording is not finished: the disk is too slow")

    def find(self, name: str) -> Path | None:
        """The finished file of a recording's name; None where there is none, or the name is none of ours."""
        return find_recording(self._folder, name)

    def delete(self, name: str) -> Future[bool]:
        """Delete the recording of a call that is over, also one that is still to be finished: whether there was one.
        The result raises OSError, or ValueError if that is no name of a recording."""
        return self._writer.ask(partial(self._delete, name))

    def stop(self) -> None:
        """Write everything and end."""
        self._writer.stop()

    # The writer's thread

    def _delete(self, name: str) -> bool:
        was_there = remove_recording(self._folder, name)
        self._shelf.deleted()
        return was_there

    def _finish(self, file: RecordingFile) -> None:
        recording = file.recording
        try:
            file.finish()
            if file.size:
                self._shelf.add(file.path.name, file.size)
        except OSError as error:
            recording.incomplete = True
            recording.log.error("the recording cannot be finished: %s", error.strerror)
        if recording.incomplete:
            recording.log.error("the recording is incomplete: the disk was too slow or full")
        extra = {"recording": recording.name, "s": round(recording.ms / 1000, 1)}
        recording.log.info("recorded", extra=extra)
        self._count("incomplete" if recording.incomplete else "whole")

    def _idle(self) -> bool:
        self._shelf.look()
        return False

    def _look_around(self) -> bool:
        """Find the recordings that are there, and finish those that an earlier server has not."""
        try:
            for path in islice(self._folder.glob(f"*{PART}"), MAX_RESTS):
                self._take_up(path)
            self._shelf.walk()
            self._shelf.prune()
        except OSError as error:
            logger.error("recordings: cannot look through %s: %s", self._folder, error.strerror)
        return False

    def _take_up(self, path: Path) -> None:
        """Give the recording of a server that was killed its name, unless it is still being written."""
        name, ending = path.name.removesuffix(PART)[:-4], path.name.removesuffix(PART)[-4:]
        if not is_name(name) or ending not in ENDINGS:
            return
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.rename(path.with_name(f"{name}{INCOMPLETE}{ending}"))
        except BlockingIOError:
            return
        except OSError as error:
            logger.warning("recording %s cannot be finished: %s", name, error.strerror)
        else:
            self._count("incomplete")
            logger.info("an unfinished recording is kept", extra={"recording": name})
