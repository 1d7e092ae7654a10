"""A small agent that speaks the media protocol with a tone: the other side in the simulator's tests.

Run as a program it prints its address and serves until it is stopped. How it behaves is in the webhook's query:
`talk` names the behaviour on the socket, `after` the TwiML that follows.
"""

import asyncio
import base64
import json
import socket
import sys
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator

from audio import g711

TOKEN = "secret"
TONE = g711.encode((np.sin(np.arange(8000 * 4) * 0.3) * 8000).astype("<i2").tobytes())
CHUNK = 640  # samples
AFTER = {
    "hangup": "<Hangup/>",
    "dial": "<Say>One moment.</Say><Dial><Number>+15550100</Number></Dial>",
    "redirect": "<Redirect>/after?after=dial</Redirect>",
    "loop": "<Redirect>/after?after=loop</Redirect>",
    "nonsense": "<Hangup>",
}
VOICE = {"busy": "<Say>All lines are busy.</Say><Hangup/>", "reject": '<Reject reason="busy"/>'}
calls: dict[str, dict[str, list[Any]]] = {}  # by CallSid: the forms and messages that came


def _response(verbs: str) -> Response:
    return Response(f"<Response>{verbs}</Response>", media_type="text/xml")


async def _form(request: Request) -> dict[str, str]:
    form = {key: str(value) for key, value in (await request.form()).items()}
    calls.setdefault(form["CallSid"], {"forms": [], "messages": []})["forms"].append([request.url.path, form])
    return form


async def voice(request: Request) -> Response:
    form = await _form(request)
    query = request.query_params
    if query.get("signed"):
        signature = request.headers.get("X-Twilio-Signature", "")
        public = f"https://{query['signed']}{request.url.path}?{request.url.query}"
        if not RequestValidator(TOKEN).validate(public, form, signature):
            return Response("bad signature", status_code=403)
    talk, after = query.get("talk", "tone"), query.get("after", "hangup")
    if talk in VOICE:
        return _response(VOICE[talk])
    host = f"wss://{query['signed']}" if query.get("signed") else f"ws://{request.url.netloc}"
    stream = f'<Stream url="{host}/media/{talk}"><Parameter name="token" value="t1"/></Stream>'
    return _response(f'<Connect action="/after?after={after}">{stream}</Connect>')


async def after(request: Request) -> Response:
    await _form(request)
    return _response(AFTER[request.query_params["after"]])


async def status(request: Request) -> Response:
    await _form(request)
    return Response()


async def show(request: Request) -> Response:
    return JSONResponse(calls.get(request.path_params["call"], {}))


class Agent:
    """Greets, answers 200 ms after the caller's last loud frame, and clears 80 ms into an interruption."""

    def __init__(self, websocket: WebSocket, talk: str) -> None:
        self.websocket, self.talk = websocket, talk
        self.stream = ""
        self.said = self.played = 0  # utterances, each with a mark behind it
        self.loud = self.quiet = self.frames = 0
        self.leaves_at = 0  # frames of the caller

    async def run(self) -> None:
        await self.websocket.accept()
        try:
            async for text in self.websocket.iter_text():
                await self.take(json.loads(text))
        except (WebSocketDisconnect, RuntimeError):
            return

    async def take(self, message: dict[str, Any]) -> None:
        kind = message["event"]
        if kind == "start":
            self.call = calls.setdefault(message["start"]["callSid"], {"forms": [], "messages": []})
            self.stream = message["streamSid"]
            await self.begin()
        elif kind == "mark":
            self.played += 1
            if self.talk == "leave":
                self.leaves_at = self.frames + 30
        elif kind == "media":
            await self.hear(g711.decode(base64.b64decode(message["media"]["payload"])))
        if kind not in ("connected", "media"):
            self.call["messages"].append(message)

    async def begin(self) -> None:
        if self.talk == "close":
            await self.websocket.close(1008, "no token")
        elif self.talk == "nonsense":
            await self.websocket.send_text("{")
            await self.send("dance")
            await self.send("media", media={"payload": "***"})
            await self.websocket.send_text(json.dumps({"event": "clear", "streamSid": "MZ0"}))
        elif self.talk == "halting":
            await self.speak(3200)
            await asyncio.sleep(0.3)
            await self.speak(3200)
        if self.talk not in ("silent", "close", "halting"):
            await self.speak(24_000 if self.talk == "deaf" else 6_400)

    async def speak(self, samples: int) -> None:
        """All at once, so that it is played without a gap however busy the machine is."""
        self.said += 1
        for at in range(0, samples, CHUNK):
            await self.media(TONE[at : min(at + CHUNK, samples)])
        await self.send("mark", mark={"name": f"end {self.said}"})

    async def hear(self, pcm: bytes) -> None:
        self.frames += 1
        if np.abs(np.frombuffer(pcm, "<i2")).max() > 400:
            self.loud, self.quiet = self.loud + 1, 0
            if self.loud == 4 and self.played < self.said and self.talk != "deaf":
                await self.send("clear")
                if self.talk == "stray":
                    await self.media(TONE[:CHUNK])
        else:
            self.quiet += 1
            if self.quiet == 10:
                answer, self.loud = self.loud >= 4, 0
                if answer:
                    await self.speak(6_400)
        if self.frames == self.leaves_at:
            await self.websocket.close(1000)

    async def media(self, payload: bytes) -> None:
        await self.send("media", media={"payload": base64.b64encode(payload).decode()})

    async def send(self, event: str, **body: Any) -> None:
        await self.websocket.send_text(json.dumps({"event": event, "streamSid": self.stream, **body}))


async def media(websocket: WebSocket) -> None:
    if websocket.path_params["talk"] == "forbidden":
        await websocket.close()  # before it is accepted: HTTP 403
        return
    await Agent(websocket, websocket.path_params["talk"]).run()


def main() -> None:
    routes = [
        Route("/twilio/voice", voice, methods=["POST"]),
        Route("/after", after, methods=["POST"]),
        Route("/twilio/status", status, methods=["POST"]),
        Route("/calls/{call}", show),
        WebSocketRoute("/media/{talk}", media),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", ws="websockets-sansio")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
