"""SIP as a whole: the sockets, the guard, the user agent and the calls, in one server."""

import asyncio
import logging
from collections.abc import Callable, Container, Mapping

from config.exceptions import SettingsError
from config.settings import Settings
from config.sip import SipSettings
from telephony.lines.admission import Admission
from telephony.lines.metrics import Metrics
from telephony.lines.registry import Registry
from telephony.lines.screening import Screening
from telephony.lines.sip.access.authentication import Authentication
from telephony.lines.sip.attended_transfer import AttendedTransfers
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.calls import Calls
from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import (
    Acked,
    Answered,
    Ended,
    Event,
    Info,
    Invited,
    Progress,
    Refused,
    Registered,
    RegistrationFailed,
    Reinvited,
    Send,
    TransferProgress,
)
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.inbound import RETRY_S, InboundCalls
from telephony.lines.sip.network.locator import Locator
from telephony.lines.sip.network.naming import Naming
from telephony.lines.sip.network.outbox import Outbox
from telephony.lines.sip.network.transport import Transports
from telephony.lines.sip.originate import Originator
from telephony.lines.sip.outbound import OutboundCalls
from telephony.lines.sip.registrations import Registrations
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Message, MessageError
from telephony.lines.sip.trunks import Trunks

SPARE_CALLS = 64  # beyond the capacity: calls being turned away or ended
LAST_S = 1.0  # when the server ends, for the answers to our BYEs and to our unregistering

logger = logging.getLogger("voxline.sip")
strangers = logging.getLogger(
    "voxline.refused"
)  # rate-limited separately, so that strangers' lines do not crowd out others


class SipService:
    """The SIP line of one server. Raises SettingsError for unusable trunks."""

    def __init__(
        self,
        settings: Settings,
        agents: Mapping[str, object],
        registry: Registry,
        *,
        admission: Admission,
        metrics: Metrics,
        screening: Screening | None = None,
    ) -> None:
        sip = settings.sip
        self.authentication = Authentication(sip)
        self._settings = settings
        self._refusals = metrics.refused
        self._registry = registry
        self._ua: UserAgent | None = None
        self._telling = False
        self._transports = self._made_transports()
        locator = Locator([transport.upper() for transport in sip.transports], 6 if ":" in sip.host else 4)
        self._outbox = Outbox(self._transports, locator, expect=self._expect, failed=self._failed)
        self.calls = Calls(sip, self._flush, self._gone)
        self._trunks = trunks = _trunks(sip, agents)
        self._inbound = InboundCalls(
            settings,
            agents,
            trunks,
            self.calls,
            registry,
            admission=admission,
            metrics=metrics,
            screening=screening,
            changed=self._flush,
        )
        originator = Originator(settings, self.calls, locator)
        self.attended_transfers = AttendedTransfers(trunks, originator, metrics.transfers, changed=self._flush)
        if sip.transfer == "attended":
            self.calls.begin_transfer = self.attended_transfers.begin
        self.outbound = OutboundCalls(
            settings,
            agents,
            trunks,
            self.calls,
            originator,
            registry=registry,
            admission=admission,
            metrics=metrics,
            changed=self._flush,
        )
        self._registrations = Registrations(trunks, locator, metrics, changed=self._flush, moved=self._trust)
        self._naming = Naming(locator, self._tell_later, rings=self._rings)

    def _made_transports(self) -> Transports:
        return Transports(
            self._settings.sip,
            admit=self._admit,
            trusted=self.authentication.guard.is_trunk,
            receive=self._receive,
            malformed=self._malformed,
            unreachable=self._unreachable,
        )

    @property
    def ports(self) -> dict[str, int]:
        """The ports it listens on, by transport."""
        return self._transports.ports

    async def start(self) -> None:
        """Listen. Raises SettingsError if that is impossible."""
        await self._transports.open()
        sip = self._settings.sip
        host = sip.advertised or sip.host
        self._ua = UserAgent(
            UserAgentConfig(
                {transport: (host, port) for transport, port in self.ports.items()},
                max_calls=self._settings.call.capacity * (2 if sip.transfer == "attended" else 1) + SPARE_CALLS,
                retry_after_s=RETRY_S,
                follow_source=sip.nat,
            ),
            admit=self.authentication.authorized,
            closed=self._inbound.closed,
        )
        self._inbound.start(self._ua)
        self.outbound.start(self._ua)
        self.attended_transfers.start(self._ua)
        logger.info("listening", extra={"sip": host, "ports": self.ports})

    def register(self) -> None:
        """Calls can be taken: register with the trunks."""
        if self._ua is not None:
            self._registrations.start(self._ua)

    def drain(self) -> None:
        """Take and make no new calls; current ones go on."""
        self.outbound.drain()
        self._registrations.stop(_now_ms())

    async def stop(self) -> None:
        """End all calls and close everything."""
        self.drain()
        if self._ua is not None:
            for call in self._ua.calls:
                call.hang_up(_now_ms())
            self._flush()
            begin_ms = _now_ms()
            while (self._ua.calls or self._registrations.running) and _now_ms() - begin_ms < 1000 * LAST_S:
                self.tick(_now_ms())
                await asyncio.sleep(0.02)
        self._naming.close()
        await self._inbound.close()
        await self.calls.close()
        self._outbox.close()
        await self._transports.close()

    def tick(self, now_ms: float) -> None:
        """Called every 10 ms: run the timers of signalling."""
        if self._ua is not None and self._ua.next_ms <= now_ms:
            self._ua.timers(now_ms)
            self._flush()
        self.attended_transfers.tick(now_ms)

    def watch(self, now_ms: float) -> None:
        """Called twice a second: check the connections."""
        self._transports.watch(now_ms)
        self.attended_transfers.watch(now_ms)

    # What the network brings

    def _admit(self, source: Address, datagram: bytes) -> bool:
        return self._ua is not None and self.authentication.admit(source, _now_ms(), datagram)

    def _receive(self, message: Message, source: Address, size: int) -> None:
        self._safely(lambda ua: ua.receive(message, source, _now_ms(), most=self._most(source, size)))

    def _malformed(self, error: MessageError, source: Address, size: int) -> None:
        self._logger_for(source).info("refused: %s", error, extra={"peer": str(source)})
        self.authentication.failed(source, _now_ms())
        self._safely(lambda ua: ua.malformed(error, source, most=self._most(source, size)))

    def _most(self, source: Address, size: int) -> int | None:
        """The size limit of an answer in bytes: a sender that may be forged gets no more than it sent."""
        return None if source.reliable or self._is_known(source) else size

    def _is_known(self, source: Address) -> bool:
        guard = self.authentication.guard
        return guard.is_trunk(source.host) or guard.is_known(source, _now_ms())

    def _unreachable(self, to: Address) -> None:
        self._outbox.unreachable(to)

    def _failed(self, to: Address) -> None:
        self._safely(lambda ua: ua.unreachable(to, _now_ms()))

    def _safely(self, do: Callable[[UserAgent], None]) -> None:
        if self._ua is None:
            return
        try:
            do(self._ua)
        except Exception:
            logger.exception("a SIP message could not be dealt with")  # costs this message only
        self._flush()

    def _expect(self, to: Address) -> None:
        """We send a request there: admit its answers, and whatever follows during the call."""
        self.authentication.guard.expect(to, _now_ms() + 1000 * (self._settings.call.max_s + 60))

    def _trust(self) -> None:
        self.authentication.guard.trust(self._trunks.registrars)

    # What the user agent says

    def _flush(self) -> None:
        """Send and tell the output of the user agent, in order, including what telling leads to."""
        if self._telling or self._ua is None:
            return
        self._telling = True
        try:
            while items := self._ua.take():
                for item in items:
                    self._deal_with(item)
        finally:
            self._telling = False

    def _deal_with(self, item: Send | Event) -> None:
        try:
            if isinstance(item, Send):
                self._outbox.send(item.data, item.to)
            elif not self._naming.holds(item):
                self._told(item)
        except Exception:
            logger.exception("a SIP event could not be dealt with")

    def _rings(self, call_id: str) -> bool:
        return self._ua is not None and self._ua.rings(call_id)

    def _tell_later(self, event: Event) -> None:
        """The hosts that the event names have been resolved."""
        try:
            self._told(event)
        except Exception:
            logger.exception("a SIP event could not be dealt with")
        self._flush()

    def _told(self, event: Event) -> None:
        match event:
            case Invited():
                self._inbound.invited(event, _now_ms())
            case Refused():
                self._refused(event)
            case Registered() | RegistrationFailed():
                self._registrations.told(event)
            case Progress():
                self.outbound.told(event)
                self.attended_transfers.told(event)
            case Answered() | Ended():
                self.outbound.told(event)
                self.attended_transfers.told(event)
                self.calls.tell(event)
            case TransferProgress():
                self.attended_transfers.told(event)
                self.calls.tell(event)
            case Acked() | Reinvited() | Info():
                self.calls.tell(event)

    def _refused(self, event: Refused) -> None:
        self._refusals.labels(f"sip {event.status}").inc()
        level = logging.INFO if event.status == 401 else logging.WARNING
        extra = {"status": event.status, "method": event.method, "peer": str(event.source), "call": event.call_id[:128]}
        self._logger_for(event.source).log(level, "refused: %s", event.why, extra=extra)

    def _logger_for(self, source: Address) -> logging.Logger:
        return logger if self._is_known(source) else strangers

    def _gone(self, line: SipCall) -> None:
        self.outbound.left(line)
        self._registry.leave(line)


def _trunks(sip: SipSettings, agents: Container[str]) -> Trunks:
    """Raises SettingsError for a trunk whose agent does not exist."""
    trunks = Trunks(sip)
    for name, trunk in trunks.items():
        if trunk.settings.agent and trunk.settings.agent not in agents:
            raise SettingsError(f"sip.trunks.{name}.agent: no agent {trunk.settings.agent!r}")
    return trunks


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
