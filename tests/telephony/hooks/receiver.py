"""A program that hooks ask and tell, over a real socket, with answers as they are scripted."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = "a secret of the tests"


class Asked(NamedTuple):
    """One request that came."""

    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    def is_signed(self) -> bool:
        """As docs/hooks.md tells receivers to check it, but for the time."""
        at, _, mac = self.headers["voxline-signature"].removeprefix("t=").partition(",v1=")
        digest = hmac.new(SECRET.encode(), at.encode() + b"." + self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(digest, mac)


class Receiver:
    """`answers` are given in order, the last one again and again: a body, a status, both, or seconds to wait."""

    def __init__(self, *answers: Any) -> None:
        self.answers: list[Any] = list(answers) or [b""]
        self.asked: list[Asked] = []
        self.freed = asyncio.Event()  # lets go of those that are kept waiting
        routes = [Route("/{path:path}", self._take, methods=["POST", "GET"])]
        config = uvicorn.Config(Starlette(routes=routes), port=0, lifespan="off", log_config=None, access_log=False)
        self._uvicorn = uvicorn.Server(config)
        self.port = 0

    def url(self, path: str = "/hook", user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}{path}"

    async def start(self, port: int = 0) -> None:
        self._uvicorn.config.port = port
        self._uvicorn.config.load()
        self._uvicorn.lifespan = self._uvicorn.config.lifespan_class(self._uvicorn.config)
        await self._uvicorn.startup()
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.freed.set()
        for server in self._uvicorn.servers:
            server.close()
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*self._uvicorn.server_state.tasks, return_exceptions=True)

    async def _take(self, request: Request) -> Response:
        self.asked.append(Asked(dict(request.headers), await request.body()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        match answer:
            case bytes():
                return Response(answer)
            case dict():
                return Response(json.dumps(answer))
            case int():
                return Response(status_code=answer, headers={"location": "/elsewhere"} if answer // 100 == 3 else {})
            case _:  # never, unless it is let go
                await self.freed.wait()
                return Response(b"")


@asynccontextmanager
async def receiving(*answers: Any) -> AsyncIterator[Receiver]:
    """A receiver that runs. None among the answers: it never answers."""
    receiver = Receiver(*answers)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()
