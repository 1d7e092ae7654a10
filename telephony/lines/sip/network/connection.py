"""One TCP or TLS connection: bytes to messages, and what closes it."""

import asyncio
import logging
import ssl
from typing import Protocol, cast

from telephony.lines.descriptors import Descriptors
from telephony.lines.sip.network.tls import ServerTls
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import MAX_BYTES, KeepAlive, Message, MessageError, StreamParser

MAX_UNSENT = 4 * MAX_BYTES  # bytes that a peer leaves unread before it is disconnected
WHOLE_MS = 10_000.0  # in which a message must be complete once it has begun
IDLE_MS = 900_000.0

logger = logging.getLogger("voxline.refused")


class Owner(Protocol):
    """What a connection asks and tells the owner of all connections."""

    def admit(self, source: Address, data: bytes, /) -> bool:
        """Whether the guard admits traffic from this source."""

    def receive(self, message: Message, source: Address, size: int, /) -> None:
        """A message has come."""

    def malformed(self, error: MessageError, source: Address, size: int, /) -> None:
        """What was received is not a message."""

    def opened(self, connection: "Connection") -> int:
        """The connection is open: returns its number, or 0 if there is no room."""

    def lost(self, connection: "Connection") -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """One TCP or TLS connection."""

    def __init__(
        self, owner: Owner, kind: str, *, tls: ServerTls | None = None, ours: bool = False, name: str = ""
    ) -> None:
        """`ours`: we opened it; the certificate was valid for `name`."""
        self.ours = ours
        self._tls = tls
        self.number = 0
        self.trusted = False
        self.peer = Address(kind, "")
        self._kind = kind
        self._name = name
        self._owner = owner
        self._parser = StreamParser()
        self._transport: asyncio.Transport | None = None
        self._heard_ms = self._begun_ms = _now_ms()
        self._partial = True  # no complete message yet

    @property
    def address(self) -> Address:
        """The address for answers to its messages."""
        return Address(self._kind, self.peer.host, self.peer.port, self.number)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")  # None: it is closed already
        spent = not self.ours and Descriptors().spent(transport.get_extra_info("socket").fileno())
        if peer is not None and not spent:
            self.peer = Address(self._kind, peer[0], peer[1], name=self._name)
            self.number = self._owner.opened(self)
        if not self.number:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See asyncio.Protocol."""
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self.number:
            return
        if not self.ours and not self._owner.admit(self.peer, b""):
            self.abort()
            return
        self._heard_ms = _now_ms()
        if self._tls is None:
            self._receive(data)
            return
        try:
            plain = self._tls.receive(data)
        except ssl.SSLError as error:
            logger.info("refused: TLS: %s", error.reason or error, extra={"peer": str(self.address)})
            self._write(self._tls.take())
            self.close()
            return
        self._write(self._tls.take())
        if plain:
            self._receive(plain)
        if self._tls.over:
            self.close()

    def watch(self, now_ms: float) -> None:
        """Close it if the peer is slow or long silent; abort it if it is closing and data is still unsent."""
        if self._transport is not None and self._transport.is_closing():
            self.abort()
        slow = self._partial and now_ms - self._begun_ms > (WHOLE_MS if not self.ours else IDLE_MS)
        if slow or now_ms - self._heard_ms > IDLE_MS:
            self.close()

    def send(self, data: bytes) -> None:
        """Send; a peer that does not read is disconnected."""
        if self._tls is None:
            self._write(data)
        elif self._transport is not None and not self._transport.is_closing():
            self._tls.send(data)
            self._write(self._tls.take())

    def close(self) -> None:
        """Close it once everything is sent."""
        if self._transport is not None and not self._transport.is_closing():
            if self._tls is not None:
                self._tls.close()
                self._write(self._tls.take())
            self._transport.close()

    def abort(self) -> None:
        """Close it now."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort()

    def _receive(self, data: bytes) -> None:
        """Take a piece of the stream."""
        if not self._partial:
            self._begun_ms, self._partial = self._heard_ms, True
        while True:
            try:
                found = self._parser.feed(data)
            except MessageError as error:
                self._take(error.before)
                self._owner.malformed(error, self.address, 0)
                if error.fatal:
                    self.close()
                    return
                data = b""
                continue
            self._take(found)
            return

    def _take(self, found: list[Message | KeepAlive]) -> None:
        if found:
            self._partial = False
        for number, message in enumerate(found):
            if number and not self.ours and not self._owner.admit(self.peer, b""):
                self.abort()
                return
            if isinstance(message, KeepAlive):
                self.send(b"\r\n")
            else:
                self._owner.receive(message, self.address, 0)


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
