"""The last resort: kills a process that does not end in time, whatever its threads are waiting for."""

import logging
import os
import sys
import threading
import traceback

TELL_S = 1.0  # for the log, which may itself be what hangs

logger = logging.getLogger("voxline.server")


class LastResort:
    """Ends the process by force, with status 1, if it has not ended by itself."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def within(self, seconds: float) -> None:
        """Set the deadline, in seconds from now; a later call replaces it."""
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, _end, [seconds])
        self._timer.daemon = True
        self._timer.start()


def _end(seconds: float) -> None:
    telling = threading.Thread(target=_tell, args=[seconds], daemon=True)
    telling.start()
    telling.join(TELL_S)
    os._exit(1)


def _tell(seconds: float) -> None:
    frames = sys._current_frames()
    busy = {
        thread.name: traceback.format_stack(frames[thread.ident], limit=1)[0].split("\n")[0].strip()
        for thread in threading.enumerate()
        if not thread.daemon and thread.ident in frames
    }
    logger.critical("ended by force: something did not end within %g s", seconds, extra={"threads": busy})
