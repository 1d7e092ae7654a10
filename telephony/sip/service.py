"""SIP as a whole: the sockets, the guard, the user agent and the calls, in one server."""

import asyncio
import logging
import time
from collections.abc import Callable, Container
from contextlib import suppress

from config.settings import Settings
from telephony.admission import Admission
from telephony.exceptions import CommandError, ProtocolError
from telephony.line import Listener
from telephony.metrics import Metrics
from telephony.sip.calls.core import Config
from telephony.sip.calls.events import (
    Acked,
    Cause,
    Ended,
    Event,
    Info,
    Invited,
    Refused,
    Reinvited,
    Send,
    TransferProgress,
)
from telephony.sip.calls.user_agent import UserAgent
from telephony.sip.door import Door
from telephony.sip.line import SipCall
from telephony.sip.media.audio import Capabilities, NotAcceptable
from telephony.sip.media.offer import Negotiation
from telephony.sip.media.ports import MediaSockets, NoPort
from telephony.sip.syntax.address import Address
from telephony.sip.syntax.header import parse_uri
from telephony.sip.syntax.message import Message, MessageError
from telephony.sip.transactions.answers import Refusal
from telephony.sip.transport import Transports

SPARE_CALLS = 64  # beyond the capacity: those that are being turned away or ended
RETRY_S = 10  # after which a caller who found no room may try again
LAST_S = 1.0  # at the end of the server, for the answers to our BYEs
QUIET = (Cause.LOCAL, Cause.REMOTE, Cause.CANCELLED, Cause.REJECTED)  # ends that nobody is to blame for

logger = logging.getLogger("voxline.sip")

Accept = Callable[[SipCall, str], Listener]  # told the agent's name; ProtocolError refuses the call


class SipService:
    """The SIP line of one server. `accept` gives a call its listener; `left` is told when a call is gone."""

    def __init__(
        self,
        settings: Settings,
        agents: Container[str],
        *,
        admission: Admission,
        metrics: Metrics,
        accept: Accept,
        left: Callable[[SipCall], None],
        is_ready: Callable[[], bool],
    ) -> None:
        self.lines: dict[str, SipCall] = {}  # by call id
        sip = settings.sip
        self.door = Door(sip)
        self._settings = settings
        self._agents = agents
        self._admission = admission
        self._metrics = metrics
        self._accept = accept
        self._left = left
        self._is_ready = is_ready
        self._ua: UserAgent | None = None
        self._transports = Transports(
            sip,
            admit=self._admit,
            receive=self._receive,
            malformed=self._malformed,
            unreachable=self._unreachable,
        )
        self._telling = False
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def ports(self) -> dict[str, int]:
        """Where it listens, by transport."""
        return self._transports.ports

    async def start(self) -> None:
        """Listen. Raises SettingsError where that cannot be."""
        await self._transports.open()
        sip = self._settings.sip
        host = sip.advertised or sip.host
        self._ua = UserAgent(
            Config(
                {transport: (host, port) for transport, port in self.ports.items()},
                max_calls=self._settings.call.capacity + SPARE_CALLS,
                retry_after_s=RETRY_S,
                follow_source=sip.nat,
            ),
            admit=self.door.authorized,
        )
        logger.info("listening", extra={"sip": host, "ports": self.ports})

    async def stop(self) -> None:
        """End all calls and close everything."""
        if self._ua is not None:
            for call in self._ua.calls:
                call.hang_up(_now_ms())
            self._flush()
            begin = time.monotonic()
            while self._ua.calls and time.monotonic() - begin < LAST_S:
                self.tick(_now_ms())
                await asyncio.sleep(0.02)
        for line in list(self.lines.values()):
            line.ended("the server ended", failed=False)
        await asyncio.gather(*self._closing)
        await self._transports.close()

    def tick(self, now_ms: float) -> None:
        """Called every 10 ms: do what is due in signalling."""
        if self._ua is not None and self._ua.next_ms <= now_ms:
            self._ua.timers(now_ms)
            self._flush()

    def watch(self, now_ms: float) -> None:
        """Called twice a second: look at the connections."""
        self._transports.watch(now_ms)

    # What the network brings

    def _admit(self, ip: str) -> bool:
        return self._ua is not None and self.door.admit(ip, _now_ms())

    def _receive(self, message: Message, source: Address) -> None:
        self._safely(lambda ua: ua.receive(message, source, _now_ms()))

    def _malformed(self, error: MessageError, source: Address) -> None:
        logger.info("refused: %s", error, extra={"peer": str(source)})
        self.door.failed(source.host, _now_ms())
        self._safely(lambda ua: ua.malformed(error, source))

    def _unreachable(self, to: Address) -> None:
        self._safely(lambda ua: ua.unreachable(to, _now_ms()))

    def _safely(self, do: Callable[[UserAgent], None]) -> None:
        if self._ua is None:
            return
        try:
            do(self._ua)
        except Exception:
            logger.exception("a SIP message could not be dealt with")  # it costs that message only
        self._flush()

    # What the user agent says

    def _flush(self) -> None:
        """Send and tell what the user agent gives out, in order, also what comes of telling."""
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
                self._transports.send(item.data, item.to)
            else:
                self._told(item)
        except Exception:
            logger.exception("a SIP event could not be dealt with")

    def _told(self, event: Event) -> None:
        match event:
            case Invited():
                self._invited(event)
            case Refused():
                self._refused(event)
            case Acked() | Reinvited() | Info() | TransferProgress() | Ended():
                line = self.lines.get(event.call.id)
                if line is not None:
                    _tell(line, event)

    def _refused(self, event: Refused) -> None:
        self._metrics.refused.labels(f"sip {event.status}").inc()
        level = logging.INFO if event.status == 401 else logging.WARNING
        extra = {"status": event.status, "method": event.method, "peer": str(event.source), "call": event.call_id[:128]}
        logger.log(level, "refused: %s", event.why, extra=extra)

    def _invited(self, invited: Invited) -> None:
        refusal = self._no_room()
        if refusal is None:
            refusal = self._answer(invited)
        if refusal is not None:
            retry_s = RETRY_S if refusal.status in (486, 503) else 0
            invited.call.reject(refusal.status, _now_ms(), retry_after_s=retry_s, why=refusal.why)

    def _no_room(self) -> Refusal | None:
        if not self._is_ready() or self._admission.draining:
            return Refusal(503, "not ready")
        return Refusal(486, "no capacity") if self._admission.free <= 0 else None

    def _answer(self, invited: Invited) -> Refusal | None:
        """Answer a call, or say why not."""
        sip, call = self._settings.sip, invited.call
        try:
            sockets = MediaSockets(sip.host, sip.rtp_first_port, sip.rtp_last_port)
        except NoPort as error:
            return Refusal(503, str(error))
        capabilities = Capabilities(address=sip.advertised or sip.host, port=sockets.port, secure=sip.srtp)
        line = SipCall(
            call,
            sockets,
            Negotiation(capabilities),
            media_timeout_s=sip.media_timeout_s,
            nat=sip.nat,
            changed=self._flush,
            over=self._over,
        )
        peer = {"peer": str(invited.source), "sip_call": invited.request.headers.get("Call-ID")[:128]}
        line.log.info("call", extra=peer)
        try:
            ours = line.describe(invited.body)
            user = parse_uri(invited.request.uri).user or ""
            listener = self._accept(line, user if user in self._agents else self._settings.call.agent)
        except NotAcceptable as error:
            sockets.close()
            return Refusal(error.status, str(error))
        except ProtocolError as error:
            sockets.close()
            return Refusal(486, error.reason)
        except Exception as error:
            sockets.close()
            line.log.exception("call failed: %s", error)
            return Refusal(500, "internal error")
        self.lines[call.id] = line
        line.open(listener)
        with suppress(CommandError):  # cancelled in between; Ended follows
            call.accept(ours, _now_ms())
        return None

    def _over(self, line: SipCall) -> None:
        self.lines.pop(line.call_id, None)
        task = asyncio.get_running_loop().create_task(self._close(line), name="close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, line: SipCall) -> None:
        try:
            if line.listener is not None:
                await line.listener.closed()
        except Exception as error:
            line.log.exception("call failed: %s", error)
        finally:
            self._left(line)


def _tell(line: SipCall, event: Acked | Reinvited | Info | TransferProgress | Ended) -> None:
    match event:
        case Acked():
            line.acknowledged(event.body)
        case Reinvited():
            line.reinvited(event.body)
        case Info():
            line.key(event.content_type, event.body)
        case TransferProgress():
            line.transferred(event.status, final=event.final)
        case Ended():
            reason = "the caller hung up" if event.cause is Cause.REMOTE else event.cause.value
            line.ended(reason, failed=event.cause not in QUIET)


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
