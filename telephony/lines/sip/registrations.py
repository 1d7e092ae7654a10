"""Registering with the trunks' registrars for as long as the server runs."""

import asyncio
import logging
from collections.abc import Callable

from telephony.lines.metrics import Metrics
from telephony.lines.sip.dialogs.events import Registered, RegistrationFailed
from telephony.lines.sip.dialogs.registration import Registration
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.network.locator import LocateError, Locator
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.trunks import Trunk, Trunks

FIRST_PAUSE_S = 5.0  # after a name that does not resolve, doubled each time
LONGEST_PAUSE_S = 300.0

logger = logging.getLogger("voxline.sip")


class Registrations:
    """The registrations of one server. `changed` is called when the user agent has something to send, `moved` when the
    registrars have changed."""

    def __init__(
        self,
        trunks: Trunks,
        locator: Locator,
        metrics: Metrics,
        *,
        changed: Callable[[], None],
        moved: Callable[[], None],
    ) -> None:
        self._trunks = trunks
        self._locator = locator
        self._gauge = metrics.registered
        self._changed = changed
        self._moved = moved
        self._on: dict[str, tuple[Registration, Trunk]] = {}  # by id, until unregistered
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether we are still registered anywhere, or about to be."""
        return bool(self._on)

    def start(self, ua: UserAgent) -> None:
        """Register with all trunks that want it."""
        for trunk in self._trunks.values():
            if trunk.settings.registers:
                self._gauge.labels(trunk.name).set(0)
                self._keep(self._begin(ua, trunk))

    def stop(self, now_ms: float) -> None:
        """Unregister; done when `running` is false."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for registration, _ in list(self._on.values()):
            registration.stop(now_ms)
        self._changed()

    def told(self, event: Registered | RegistrationFailed) -> None:
        """A registration has succeeded or failed."""
        registration, trunk = self._on[event.registration]
        extra: dict[str, object] = {"trunk": trunk.name, "registrar": str(registration.hop)}
        registered = isinstance(event, Registered) and event.expires_s > 0
        self._gauge.labels(trunk.name).set(int(registered))
        if isinstance(event, RegistrationFailed):
            extra |= {"status": event.status, "retry_s": round(event.retry_ms / 1000, 1)}
            logger.warning("not registered: %s", event.reason, extra=extra)
        elif registered:
            logger.info("registered", extra=extra | {"expires_s": event.expires_s})
        else:
            logger.info("unregistered", extra=extra)
        if self._stopping:
            del self._on[registration.id]
        elif registered:
            self._know(trunk, frozenset(hop.host for hop in registration.hops))
        else:
            self._keep(self._look_again(registration, trunk))

    def _know(self, trunk: Trunk, registrars: frozenset[str]) -> None:
        if trunk.registrars != registrars:
            trunk.registrars = registrars
            self._moved()

    async def _begin(self, ua: UserAgent, trunk: Trunk) -> None:
        pause_s = FIRST_PAUSE_S
        while not (hops := await self._servers(trunk)):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        registration = ua.register(trunk.account(hops), 1000 * asyncio.get_running_loop().time())
        self._on[registration.id] = registration, trunk
        self._changed()

    async def _look_again(self, registration: Registration, trunk: Trunk) -> None:
        registration.move(await self._servers(trunk))

    async def _servers(self, trunk: Trunk) -> list[Address]:
        try:
            return await self._locator.locate(trunk.server)
        except LocateError as error:
            logger.warning("registrar not found: %s", error, extra={"trunk": trunk.name})
            return []

    def _keep(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work, name="register")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
