"""A web page that calls a voxline server: its own small server, which gets a token for each call.

    VOXLINE_TOKEN=$(cat out/control-token) .venv/bin/python examples/browser/server.py

and on the side of voxline: voxline serve --set 'browser.origins=["http://127.0.0.1:8000"]'
"""

import os
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

VOXLINE = os.environ.get("VOXLINE_ADDRESS", "http://127.0.0.1:8080")
PAGE = (Path(__file__).parent / "index.html").read_text("utf-8").replace("http://127.0.0.1:8080", VOXLINE)


async def page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def token(_: Request) -> Response:  # here your own server knows its visitor: sign-in, limits, which agent
    headers = {"Authorization": f"Bearer {os.environ['VOXLINE_TOKEN']}"}
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{VOXLINE}/browser/token", json={"agent": "front_desk"}, headers=headers)
    return PlainTextResponse(answer.json()["token"]) if answer.is_success else Response(status_code=503)


app = Starlette(routes=[Route("/", page), Route("/token", token, methods=["POST"])])
if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
