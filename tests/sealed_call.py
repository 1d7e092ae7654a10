"""What is done in the room: a server with the settings given, a call to it, and the doctor, replay and report after it.

`python -m tests.sealed_call SETTINGS SCRIPT FOLDER`, with settings as a JSON object of dotted keys.
"""

import asyncio
import json
import sys
import threading
from pathlib import Path

import numpy as np

from telephony.cli.main import main
from telephony.server.process import ServerProcess
from tests.agent.engine.openai.server import Server

TONE = (6000 * np.sin(np.arange(24_000) / 8)).astype("<i2").tobytes()  # a second, which the caller hears


def chat_server() -> str:
    """Start one on loopback, for the life of this process; gives its address."""
    server, loop, ready = Server(), asyncio.new_event_loop(), threading.Event()

    async def start() -> None:
        await server.start()
        server.script("chat", ["We are open."])
        server.script("tts", [TONE])
        ready.set()

    loop.create_task(start())
    threading.Thread(target=loop.run_forever, daemon=True).start()
    ready.wait()
    return server.url


def run(settings: dict[str, object], script: str, folder: Path) -> int:
    """The first status that is not 0, else 0."""
    if settings["engine.profile"] in ("cascade", "openai"):
        names = {"chat_model": "chat", "speech_model": "tts", "transcription_model": "stt"}
        settings |= {"engine.openai.url": chat_server()} | {f"engine.openai.{key}": name for key, name in names.items()}
    settings |= {"server.data": str(folder), "tape.mode": "full"}
    with ServerProcess(settings) as server:
        status = main(["call", server.url, "--script", script, "--out", str(folder)])
    tapes = folder / "tapes"
    [tape] = tapes.iterdir()
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    main(["doctor", *options])  # which may well find something
    return status or main(["replay", str(tapes)]) or main(["report", str(tape)])


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
