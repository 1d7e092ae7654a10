"""A server with a part that hangs forever, as a program: `main([what hangs, its data folder])`."""

import asyncio
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from agent.engine.base import Engine
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer
from config.engine import SimulatedSettings
from config.logging import configure_logging
from config.settings import load_settings
from telephony.server.app import App
from telephony.server.draining import bind, build_server
from tests.waiting import until

SETTINGS = {
    "server.port": 0,
    "server.drain_s": 1,
    "server.close_s": 1.5,
    "tape.mode": "full",
    "engine.profile": "simulated",
}


def tell(sign: str) -> None:
    """Say how far it has come."""
    sys.stdout.write(f"{sign}\n")
    sys.stdout.flush()


def for_ever() -> None:
    threading.Event().wait()


class Model(SimulatedModel):
    """A model whose thread never returns."""

    def __init__(self, settings: SimulatedSettings, hangs: str) -> None:
        super().__init__(settings)
        self._hangs = hangs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stuck")

    async def load(self) -> None:
        if self._hangs == "loading":
            tell("loading")
            await asyncio.to_thread(for_ever)
        if self._hangs == "log":
            self._thread.submit(flood)

    async def close(self) -> None:
        if self._hangs == "closing":
            self._thread.submit(for_ever)
            await asyncio.to_thread(self._thread.shutdown)
        if self._hangs == "awaiting":
            await asyncio.Event().wait()
        if self._hangs == "failing":
            raise RuntimeError("no such GPU any more")


def flood() -> None:
    """Fill the log's pipe, which nobody reads, until logging blocks forever."""
    count = 0

    def watch() -> None:
        before = -1
        while count == 0 or count != before:
            before = count
            time.sleep(1)
        tell("full")

    threading.Thread(target=watch, daemon=True).start()
    while True:
        logging.warning("x" * 1000)
        count += 1


async def begin_call(app: App) -> None:
    await until(lambda: app.calls.is_ready)
    app.shared.tapes.open("CA1").write(b"{}\n")
    tell("ready")


def main(arguments: list[str]) -> int:
    """Serve until that is over."""
    hangs, folder = arguments
    settings = load_settings(None, SETTINGS | {"server.data": folder})
    configure_logging(settings.log)
    simulated = settings.engine.simulated
    app = App(settings, Engine(Model(simulated, hangs), SimulatedSynthesizer(simulated)))
    server = build_server(app, settings)

    async def serve() -> None:
        call = None if hangs in ("loading", "log") else asyncio.create_task(begin_call(app))
        await server.serve(bind("127.0.0.1", 0))
        if call is not None:
            await call

    asyncio.run(serve())
    return 0
