"""The body of a request, up to a limit."""

from starlette.requests import Request


async def read_body(request: Request, most: int) -> bytes | None:
    """The whole body; None if it is longer than `most` bytes. Raises ClientDisconnect when it breaks off."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
