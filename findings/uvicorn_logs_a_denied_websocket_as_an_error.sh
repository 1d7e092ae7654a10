#!/usr/bin/env bash
# uvicorn 0.54.0 with websockets 17.4, ws="websockets-sansio" (which "auto" chooses): an application that refuses a
# WebSocket by a complete response (ASGI's extension "Websocket Denial Response") is logged as one that did not answer.
#
# Seen: the client gets the application's 404 and its body, and the log says, at level ERROR, "ASGI callable returned
# without completing handshake." With wsproto 1.3.2, ws="wsproto", the same application is logged without an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0 websockets==17.4 wsproto==1.3.2
cat > "$work/denial.py" <<'PY'
import asyncio
import sys

import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus


async def refuse(scope, receive, send):
    assert "websocket.http.response" in scope["extensions"]
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"not here"})


async def main():
    config = uvicorn.Config(refuse, port=0, ws=sys.argv[1], lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        await connect(f"ws://127.0.0.1:{port}/", proxy=None)
    except InvalidStatus as refused:
        print(refused.response.status_code, bytes(refused.response.body).decode())
    server.should_exit = True
    await serving


asyncio.run(main())
PY
seen() { "$work/venv/bin/python" "$work/denial.py" "$1" 2>&1; }
error='ERROR:    ASGI callable returned without completing handshake.'
for ws in websockets-sansio auto; do
  lines=$(seen "$ws")
  grep -qxF "404 not here" <<< "$lines" || { echo "changed: the client is answered otherwise by $ws"; exit 1; }
  grep -qxF "$error" <<< "$lines" || { echo "changed: no error is logged by $ws"; exit 1; }
done
[ "$(seen wsproto)" = "404 not here" ] || { echo "changed: wsproto logs something, or answers otherwise"; exit 1; }
echo "as described"
