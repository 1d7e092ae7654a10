"""Runs the application under uvicorn and ends it: gracefully on SIGTERM or SIGINT, and by force as a last resort.

The application's start-up and shutdown are run here and not by uvicorn, which would print a traceback where they
refuse.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from config.exceptions import SettingsError
from config.settings import ServerSettings, Settings
from telephony.server.http.connection import SPARE_CONNECTIONS, HttpConfig, HttpConnection
from telephony.server.http.websocket import MediaConnection
from telephony.server.last_resort import LastResort

if TYPE_CHECKING:
    from telephony.server.app import App

RECEIVE_BUFFER = 16_384  # bytes that one peer can make us read at once, while all others wait
SEND_BUFFER = 65_536  # bytes that the kernel keeps for a peer that does not read

logger = logging.getLogger("voxline.server")


class DrainingServer(uvicorn.Server):
    """Waits for `drain` on the first SIGTERM or SIGINT and then stops; stops at once on the second. SIGHUP calls
    `reload`; closing the terminal, which sends it too, ends no calls."""

    def __init__(
        self,
        config: uvicorn.Config,
        life: AbstractAsyncContextManager[object],
        drain: Callable[[], Awaitable[None]],
        reload: Callable[[], None],
        settings: ServerSettings,
        *,
        secured: bool,
        on_listening: Callable[[list[str]], None],
    ) -> None:
        """`life` is entered before calls are taken and left when all are over; an exception from it ends `run`.
        `on_listening` is given the URLs."""
        super().__init__(config)
        self._life = life
        self._drain = drain
        self._reload = reload
        self._settings = settings
        self._last_resort = LastResort()
        self._secured = secured
        self._on_listening = on_listening
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server; raises SettingsError where it cannot listen, before anything is loaded."""
        super().run(sockets or bind(self.config.host, self.config.port))

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server; tells where it listens, which with port 0 nobody knows before."""
        await self._life.__aenter__()
        await super().startup(sockets)
        urls = []
        for server in self.servers if self.started else ():
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                urls.append(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
                logger.info("listening", extra={"url": urls[-1], "secured": self._secured})
        if urls:
            self._on_listening(urls)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server."""
        await super().shutdown(sockets)
        await self._life.__aexit__(None, None, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called in the main thread, between two steps of the loop."""
        if self._draining or self._loop is None or not self.started:
            self._last_resort.within(self._settings.close_s)
            self.should_exit = True
            if self._loop:  # logging may block, and a signal handler must not
                self._loop.call_soon_threadsafe(logger.warning, "ending at once: calls that are on are cut off")
            if sig == signal.SIGINT:
                super().handle_exit(sig, frame)
            return
        self._last_resort.within(self._settings.drain_s + self._settings.close_s)
        self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain_and_exit(), name="drain")
            logger.info("ending once the calls are over; a second signal ends them at once")

    async def _drain_and_exit(self) -> None:
        try:
            await self._drain()
        finally:
            self._last_resort.within(self._settings.close_s)
            self.should_exit = True


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of the host, not listening yet. Raises SettingsError where that is impossible."""
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            bound.append(socket.socket(family, kind, protocol))
            bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # for all that it accepts
            bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if family == socket.AF_INET6:
                bound[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound[-1].bind(address)
    except OSError as error:
        for opened in bound:
            opened.close()
        raise SettingsError(f"server.host, server.port: cannot listen on {host}:{port}: {error.strerror}") from None
    return bound


def build_server(
    app: "App", settings: Settings, on_listening: Callable[[list[str]], None] = lambda _: None
) -> DrainingServer:
    """A server for the application, not yet started."""
    config = HttpConfig(
        app.asgi,
        host=settings.server.host,
        port=settings.server.port,
        loop="uvloop",
        lifespan="off",  # see DrainingServer
        http=HttpConnection,
        ws=MediaConnection,
        ws_max_size=settings.twilio.max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # Twilio's frames show that the peer is alive
        timeout_graceful_shutdown=5,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    config.limits = settings.twilio
    config.refusals = app.refusals
    config.descriptors = app.descriptors
    config.max_connections = settings.call.capacity + SPARE_CONNECTIONS
    return DrainingServer(
        config,
        app.asgi.router.lifespan_context(app.asgi),
        app.drain,
        app.reload,
        settings.server,
        secured=settings.secured,
        on_listening=on_listening,
    )
