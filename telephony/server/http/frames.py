"""A client's bytes, split into whole WebSocket frames (RFC 6455, section 5.2), and the text of a plain one. Sans-I/O.

A phone line sends one short text message per frame, fifty times a second. The library reads each field of each frame
through generators, which was half the cost of a call. So plain text frames are parsed here, and all others are left to
the library, which judges them.
"""

from websockets.speedups import apply_mask

TEXT, BINARY = 0x81, 0x82  # first byte of a frame that is a whole message of text or bytes, without extensions
_MASKED, _LENGTH, _SHORT = 0x80, 0x7F, 126
_MASK_BYTES = 4


class Frames:
    """The incoming half of one connection, after its handshake."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: the longest payload accepted."""
        self._max_bytes = max_bytes
        self._rest = b""  # of an incomplete frame; never more than one payload and one read

    def feed(self, data: bytes) -> list[tuple[bytes, int]]:
        """Complete frames in order, each with the offset of its payload.

        A frame that no client may send is returned at once, complete or not, with offset 0, to be refused.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        whole = []
        begin, end = 0, len(data)
        while begin < end:
            payload, size = self._measure(data, begin)
            if begin + size > end:
                self._rest = data[begin:]
                break
            whole.append((data if size == end else data[begin : begin + size], payload))
            begin += size
        return whole

    def _measure(self, data: bytes, begin: int) -> tuple[int, int]:
        """The offset of the payload within the frame at `begin`, and the frame's length: one more byte than there are
        if the header is incomplete; offset 0 and all there are if no client may send it."""
        there = len(data) - begin
        if there < 2:
            return 0, there + 1
        length = data[begin + 1] & _LENGTH
        header = 2
        if length >= _SHORT:
            header = 4 if length == _SHORT else 10
            if there < header:
                return 0, there + 1
            length = int.from_bytes(data[begin + 2 : begin + header])
        if not data[begin + 1] & _MASKED or length > self._max_bytes:
            return 0, there
        payload = header + _MASK_BYTES
        return payload, payload + length


def text(frame: bytes, payload: int) -> str:
    """The message in a text frame whose payload begins there. Raises UnicodeDecodeError."""
    return apply_mask(frame[payload:], frame[payload - _MASK_BYTES : payload]).decode()


def text_frame(message: str) -> bytes:
    """A text message as a server sends it."""
    return _frame(TEXT, message.encode())


def binary_frame(message: bytes) -> bytes:
    """A message of bytes as a server sends it."""
    return _frame(BINARY, message)


def _frame(first: int, data: bytes) -> bytes:
    if len(data) < _SHORT:
        return bytes((first, len(data))) + data
    if len(data) < 1 << 16:
        return bytes((first, _SHORT)) + len(data).to_bytes(2) + data
    return bytes((first, _SHORT + 1)) + len(data).to_bytes(8) + data
