"""Server-sent events, as chat completions are streamed. Sans-I/O; see the HTML standard, section 9.2."""

import re

from agent.exceptions import EngineError

MAX_EVENT = 1 << 20  # bytes of one event
_NEWLINE = re.compile(rb"\r\n|\r|\n")


class EventStream:
    """Bytes in pieces of any size in, the `data` of whole events out; names, ids and comments are skipped."""

    def __init__(self) -> None:
        self._line = b""  # so far
        self._after_cr = False  # a newline now would belong to it
        self._data: list[bytes] = []  # of the present event
        self._size = 0

    def feed(self, piece: bytes) -> list[str]:
        """Take the next bytes and give the events that are complete; raises EngineError when one is too long."""
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
            self._after_cr = False
        if piece:
            self._after_cr = piece.endswith(b"\r")
        *lines, self._line = _NEWLINE.split(self._line + piece)
        events = [event for line in lines if (event := self._take(line)) is not None]
        if self._size + len(self._line) > MAX_EVENT:
            raise EngineError(f"the server sent an event of more than {MAX_EVENT} bytes")
        return events

    def _take(self, line: bytes) -> str | None:
        """One line; gives the event that an empty one completes, unless that is empty too."""
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
        if line or not self._data:
            return None
        event, self._data, self._size = b"\n".join(self._data), [], 0
        return event.decode(errors="replace") or None
