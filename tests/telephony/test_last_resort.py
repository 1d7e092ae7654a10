"""Whatever hangs, SIGTERM ends the server: real processes with parts that never let go."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telephony.tape import read_lines

PROGRAM = '''
import asyncio, logging, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from agent.engine.base import Engine
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer
from config.logging import configure_logging
from config.settings import load_settings
from telephony.app import App
from telephony.server import build_server

hangs, folder = sys.argv[1:]
settings = load_settings(None, {"server.port": 0, "server.data": folder, "tape.mode": "full", "server.drain_s": 1,
                                "server.close_s": 1.5, "engine.profile": "simulated"})
configure_logging(settings.log)
ever = threading.Event().wait


class Model(SimulatedModel):
    """One whose thread never comes back."""

    def __init__(self, settings):
        super().__init__(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stuck")

    async def load(self):
        if hangs == "loading":
            print("loading", flush=True)
            await asyncio.to_thread(ever)
        if hangs == "log":
            self._thread.submit(flood)

    async def close(self):
        if hangs == "closing":
            self._thread.submit(ever)
            await asyncio.to_thread(self._thread.shutdown)
        if hangs == "awaiting":
            await asyncio.Event().wait()
        if hangs == "failing":
            raise RuntimeError("no such GPU any more")


def flood():
    """The log goes into a pipe that nobody reads, until whoever logs waits for ever."""
    count = 0

    def watch():
        before = -1
        while count != before:
            before = count
            time.sleep(1)
        print("full", flush=True)

    threading.Thread(target=watch, daemon=True).start()
    while True:
        logging.warning("x" * 1000)
        count += 1


app = App(settings, Engine(Model(settings.engine.simulated), SimulatedSynthesizer(settings.engine.simulated)))
tape = None


async def begin_call():
    while not app.ready:
        await asyncio.sleep(0.01)
    app.shared.tapes.open("CA1").write(b"{}\\n")
    print("ready", flush=True)


async def main():
    task = asyncio.create_task(begin_call()) if hangs not in ("loading", "log") else None
    await server.serve(__import__("telephony.server").server.bind("127.0.0.1", 0))

server = build_server(app, settings)
asyncio.run(main())
'''
LONGEST_S = 20


@pytest.mark.parametrize(
    ("hangs", "sign", "status", "said"),
    [
        ("loading", "loading", 1, "ended by force"),
        ("closing", "ready", 1, "ended by force"),
        ("awaiting", "ready", 0, "Model did not close within 0.75 s"),
        ("failing", "ready", 0, "Model failed to close"),
        ("log", "full", 1, ""),  # where it could be said is what hangs
    ],
)
def test_the_server_ends(tmp_path: Path, hangs: str, sign: str, status: int, said: str) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, hangs, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    assert server.stderr
    try:
        assert server.stdout.readline() == f"{sign}\n"
        begin = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(LONGEST_S) == status
        assert time.monotonic() - begin < LONGEST_S / 2
        log = server.stderr.read()
        assert said in log
        if hangs == "closing":
            assert '"stuck_0"' in log  # who it was
        if sign == "ready":  # and what else there was to end has ended
            (tape,) = (tmp_path / "tapes").glob("*.jsonl.gz")
            assert list(read_lines(tape)) == [b"{}\n"]
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()
