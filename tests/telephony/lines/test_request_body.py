"""A request's body is read up to its limit, and no further."""

from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from telephony.lines.request_body import read_body


class Chunks:
    """A body that comes in pieces; `read` counts those that were taken."""

    def __init__(self, *chunks: bytes | None) -> None:
        self.read = 0
        self._chunks = chunks

    def request(self) -> Request:
        return Request({"type": "http", "method": "POST", "headers": []}, self._receive)

    async def _receive(self) -> dict[str, Any]:
        chunk = self._chunks[self.read]
        self.read += 1
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": self.read < len(self._chunks)}


async def test_a_body_may_be_as_long_as_its_limit() -> None:
    assert await read_body(Chunks(b"abc", b"", b"def").request(), 6) == b"abcdef"
    assert await read_body(Chunks(b"").request(), 0) == b""


async def test_of_a_longer_one_no_more_is_read_than_shows_it() -> None:
    chunks = Chunks(b"abc", b"def", b"ghi")
    assert await read_body(chunks.request(), 5) is None
    assert chunks.read == 2


async def test_a_body_that_breaks_off_raises() -> None:
    with pytest.raises(ClientDisconnect):
        await read_body(Chunks(b"abc", None, b"").request(), 10)
