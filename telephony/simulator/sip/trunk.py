"""The SIP trunk of simulated calls: one user agent, with its own sockets, that calls one address."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from config.exceptions import SettingsError
from config.sip import SipSettings
from telephony.lines.rtp import opus
from telephony.lines.rtp.codec import CODECS, OPUS, PCMA, PCMU
from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import Ended, Event, Send
from telephony.lines.sip.dialogs.exchange import Credentials
from telephony.lines.sip.dialogs.uac import Outgoing, UacCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.network.locator import LocateError, Locator
from telephony.lines.sip.network.outbox import Outbox
from telephony.lines.sip.network.transport import Transports
from telephony.lines.sip.syntax.address import DEFAULT_PORTS, Address
from telephony.lines.sip.syntax.header import NameAddr, Uri, parse_uri
from telephony.lines.sip.syntax.message import Message
from telephony.lines.sip.transactions.answers import Refusal
from telephony.simulator.identity import Identity
from telephony.simulator.phone import CallFailed

RING_MS = 15_000.0  # as long as Twilio waits for a webhook
LAST_S = 2.0  # at the end, for the answers to our last requests
MOST_CALLS = 10_000

logger = logging.getLogger("voxline.caller")


class SipTrunk:
    """The trunk to one server, shared by all calls. `url` is a SIP address; `;transport=tcp` or `tls` chooses the
    transport, which is UDP by default. With TLS the audio is encrypted too, if pylibsrtp is installed."""

    def __init__(self, url: str, identity: Identity) -> None:
        """Raises SettingsError for a bad address, or a codec whose library is missing."""
        self.url = url
        self.host = ""  # ours
        self.lost = ""  # why the server cannot be reached at present
        self.codecs = (CODECS[identity.codec],) if identity.codec else (PCMU, PCMA)
        if OPUS in self.codecs and not opus.available():
            raise SettingsError(opus.MISSING)
        self._uri = _parse(url)
        self._identity = identity
        self._servers: list[Address] = []  # in the order to try them
        self._calls: dict[str, Callable[[Event], None]] = {}
        self._ua: UserAgent | None = None
        self._transports: Transports | None = None
        self._outbox: Outbox | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False

    async def open(self) -> None:
        """Resolve the server, and listen where it can reach us. Raises SettingsError."""
        locator = Locator(("UDP", "TCP"), 6 if ":" in self._uri.host else 4)
        try:
            self._servers = await locator.locate(self._uri)
            self.host = _way_to(self._servers[0])
        except (LocateError, OSError) as error:
            raise SettingsError(f"{self.url}: {error}") from None
        self._transports = Transports(
            SipSettings(host=self.host, port=0),
            admit=lambda *_: True,
            receive=self._receive,
            malformed=lambda error, source, _: logger.warning("%s: %s", source, error),
            unreachable=lambda where: self._outbox.unreachable(where) if self._outbox else None,
        )
        self._outbox = Outbox(self._transports, locator, expect=lambda _: None, failed=self._failed)
        await self._transports.open()
        known = {transport: (self.host, port) for transport, port in self._transports.ports.items()}
        self._ua = UserAgent(
            UserAgentConfig(known, user="caller", product="voxline caller", max_calls=MOST_CALLS, allow_refer=True),
            admit=lambda _, __, ___: Refusal(403, "a simulated caller takes no calls"),
        )

    async def close(self) -> None:
        """Wait for the answers to the last BYEs, and close."""
        assert self._ua is not None
        assert self._outbox is not None
        assert self._transports is not None
        ua, connections = self._ua, self._transports.connections
        await _until(lambda: not ua.calls)
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.close()
        await self._transports.close()
        await _until(lambda: not connections)  # TLS closes with an alert, and waits for the peer's
        for connection in list(connections.values()):
            connection.abort()

    @property
    def secure(self) -> bool:
        """Whether calls use TLS, and so encrypted audio."""
        return self._servers[0].transport == "TLS"

    def dial(self, body: bytes, told: Callable[[Event], None]) -> UacCall:
        """Call the server with this offer; `told` gets the events of the call. Raises LineError."""
        assert self._ua is not None
        who = self._identity
        outgoing = Outgoing(
            to=self.url,
            body=body,
            caller=NameAddr("voxline caller", Uri("sip", who.user or who.number, self.host)),
            credentials=Credentials(who.user, who.password) if who.user else None,
            proxy=self._servers[0],
            spares=tuple(self._servers[1:]),
            ring_ms=RING_MS,
        )
        try:
            call = self._ua.invite(outgoing, self.now_ms())
        except ValueError as error:
            raise CallFailed(f"INVITE {self.url}: {error}") from error
        self._calls[call.id] = told
        return call

    def now_ms(self) -> float:
        """The user agent's time."""
        return 1000 * asyncio.get_running_loop().time()

    def flush(self) -> None:
        """Send and tell the output of the user agent, in order, including what telling leads to."""
        if self._flushing or self._ua is None or self._outbox is None:
            return
        self._flushing = True
        try:
            while items := self._ua.take():
                for item in items:
                    if isinstance(item, Send):
                        self._outbox.send(item.data, item.to)
                    else:
                        self._tell(item)
        finally:
            self._flushing = False
        self._wait()

    def _tell(self, event: Event) -> None:
        call = getattr(event, "call", None)
        told = self._calls.get(call) if call is not None else None
        if told is not None:
            told(event)
        if isinstance(event, Ended):
            self._calls.pop(event.call, None)

    def _wait(self) -> None:
        """Schedule the next timer."""
        assert self._ua is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ua.next_ms != float("inf"):
            self._timer = asyncio.get_running_loop().call_at(self._ua.next_ms / 1000, self._due)

    def _due(self) -> None:
        assert self._ua is not None
        self._timer = None
        self._ua.timers(self.now_ms())
        self.flush()

    def _receive(self, message: Message, source: Address, _: int) -> None:
        if self._ua is not None:
            self.lost = ""
            self._ua.receive(message, source, self.now_ms())
            self.flush()

    def _failed(self, to: Address) -> None:
        if self._ua is not None:
            self.lost = f"{to} cannot be reached"
            self._ua.unreachable(to, self.now_ms())
            self.flush()


async def _until(over: Callable[[], bool]) -> None:
    """Wait for a condition, but not for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_S):
            while not over():  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)


def _parse(url: str) -> Uri:
    """Raises SettingsError."""
    try:
        uri = parse_uri(url)
    except ValueError as error:
        raise SettingsError(f"{url!r}: {error}") from None
    if uri.password:
        raise SettingsError("a password does not belong in a SIP address: give --user and --password")
    transport = uri.params.get("transport", "udp")
    if transport.upper() not in DEFAULT_PORTS:
        raise SettingsError(f"{url!r}: transport={transport} is not spoken; udp, tcp and tls are")
    return uri


def _way_to(server: Address) -> str:
    """Our own IP towards the server. Raises OSError."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((server.host, server.port))
        return str(probe.getsockname()[0])
