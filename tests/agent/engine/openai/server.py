"""A small server that behaves like vLLM and its kin, in the test's own loop on a real socket.

What it answers is scripted by the test, for each model a list of scripts, one a request (the last one again and again).
A model without a script repeats the last text it was told. It remembers what it was asked, and who hung up.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from config.engine import OpenAISettings
from tests.waiting import until

KEY = "sk-only-the-server-may-see-this"


@dataclass(frozen=True)
class Status:
    """Answers with an error instead of a stream."""

    code: int
    body: Any = None  # a string is sent as it is
    headers: dict[str, str] = field(default_factory=dict)


BREAK = object()  # closes the connection in the middle of the answer
SILENT_END = object()  # ends the answer properly, but without finish_reason and DONE
Script = Iterable[Any]  # of str (text), dict (a delta), bytes (as they are), asyncio.Event (wait for it) and the above


class Asked:
    """One request that came."""

    def __init__(self, request: Request, body: Any) -> None:
        self.path = request.url.path
        self.headers = dict(request.headers)
        self.body = body
        self.complete = False  # the answer was sent to its end
        self.gone = asyncio.Event()  # the client hung up before


class Server:
    """Runs between `start` and `stop`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.models: Any = {"data": [{"id": name, "object": "model"} for name in ("chat", "tts", "stt")]}
        self.news = asyncio.Condition()
        self._scripts: dict[str, deque[Script]] = defaultdict(deque)
        routes = [
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/audio/speech", self._speech, methods=["POST"]),
            Route("/v1/audio/transcriptions", self._transcription, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=0, lifespan="off", log_config=None, access_log=False)
        self._uvicorn = uvicorn.Server(config)

    async def start(self) -> None:
        self._uvicorn.config.load()
        self._uvicorn.lifespan = self._uvicorn.config.lifespan_class(self._uvicorn.config)
        await self._uvicorn.startup()
        host, port = self._uvicorn.servers[0].sockets[0].getsockname()
        self.url = f"http://{host}:{port}/v1"

    async def stop(self) -> None:
        """At once; uvicorn's own way takes its time."""
        for server in self._uvicorn.servers:
            server.close()
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*self._uvicorn.server_state.tasks, return_exceptions=True)

    def settings(self, **changes: Any) -> OpenAISettings:
        """Settings of a client of this server."""
        names = {"chat_model": "chat", "speech_model": "tts", "transcription_model": "stt"}
        return OpenAISettings(**{"url": self.url, "api_key": KEY, **names, **changes})

    def script(self, model: str, *scripts: Script) -> None:
        """What the next requests for a model get."""
        self._scripts[model] = deque(scripts)

    @property
    def connections(self) -> int:
        """Open ones, in use or not."""
        return len(self._uvicorn.server_state.connections)

    async def until(self, condition: Any) -> None:
        """Wait until something holds; looked at whenever a request or its end comes."""
        async with asyncio.timeout(30), self.news:
            await self.news.wait_for(condition)

    async def until_no_connection(self) -> None:
        await until(lambda: not self.connections)  # uvicorn has no event for it

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def _take(self, request: Request, body: Any) -> tuple[Asked, list[Any]]:
        asked = Asked(request, body)
        self.asked.append(asked)
        await self._tell()
        scripts = self._scripts[body["model"]]
        script = scripts.popleft() if len(scripts) > 1 else scripts[0] if scripts else [_echo(body)]
        return asked, list(script)

    async def _models(self, request: Request) -> Response:
        self.asked.append(Asked(request, {}))
        if isinstance(self.models, Status):
            return _refusal(self.models)
        return JSONResponse(self.models)

    async def _chat(self, request: Request) -> Response:
        asked, script = await self._take(request, await request.json())
        return _refusal(script[0]) if isinstance(script[0], Status) else Answer(self, asked, script, chat=True)

    async def _speech(self, request: Request) -> Response:
        asked, script = await self._take(request, await request.json())
        return _refusal(script[0]) if isinstance(script[0], Status) else Answer(self, asked, script, chat=False)

    async def _transcription(self, request: Request) -> Response:
        async with request.form() as form:
            body = {key: value if isinstance(value, str) else await value.read() for key, value in form.items()}
        asked, script = await self._take(request, body)
        if isinstance(script[0], Status):
            return _refusal(script[0])
        answer = json.dumps({"text": script[-1]}).encode()
        return Answer(self, asked, [*script[:-1], answer], chat=False)


class Answer(Response):
    """Plays a script to the client, and watches whether the client is still there."""

    def __init__(self, server: Server, asked: Asked, script: list[Any], *, chat: bool) -> None:
        super().__init__()
        self._server = server
        self._asked = asked
        self._script = script
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = asyncio.create_task(self._watch(receive))
        try:
            await self._play(send)
        finally:
            watch.cancel()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._asked.complete:
            self._asked.gone.set()
            await self._server._tell()

    async def _play(self, send: Send) -> None:
        kind = b"text/event-stream; charset=utf-8" if self._chat else b"application/octet-stream"
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
        if self._script and isinstance(self._script[0], asyncio.Event):  # as vLLM does: no header before the first word
            await self._wait(self._script.pop(0))
        await send(start)
        if self._chat:
            await self._send(send, _chunk({"role": "assistant", "content": ""}))
        for step in self._script:
            if isinstance(step, asyncio.Event):
                await self._wait(step)
            elif step is BREAK or self._asked.gone.is_set():
                return
            elif step is not SILENT_END:
                await self._send(send, step if isinstance(step, bytes) else _chunk(step))
        if self._chat and SILENT_END not in self._script:
            await self._send(send, _chunk({}, finish="stop") + b"data: [DONE]\n\n")
        self._asked.complete = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._server._tell()

    async def _wait(self, event: asyncio.Event) -> None:
        waiting = [asyncio.create_task(event.wait()), asyncio.create_task(self._asked.gone.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()

    async def _send(self, send: Send, data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})


def _refusal(status: Status) -> Response:
    if isinstance(status.body, str):
        return Response(status.body, status.code, status.headers)
    return JSONResponse(status.body, status.code, status.headers)


def _chunk(delta: dict[str, Any] | str, finish: str | None = None) -> bytes:
    """As vLLM writes it."""
    choice = {
        "index": 0,
        "delta": {"content": delta} if isinstance(delta, str) else delta,
        "logprobs": None,
        "finish_reason": finish,
        "token_ids": None,
    }
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def _echo(body: Any) -> Any:
    if "messages" not in body:
        return bytes(4800) if "input" in body else "heard"
    return body["messages"][-1]["content"]
