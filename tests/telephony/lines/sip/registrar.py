"""A small registrar over UDP for tests: digest, the shortest time it grants, bindings by address of record."""

import asyncio
from typing import Any

from telephony.lines.sip.access.digest import Accepted, Digest, Stale
from telephony.lines.sip.syntax.header import parse_name_addr
from telephony.lines.sip.syntax.message import Request, encode, parse
from telephony.lines.sip.transactions.answers import respond

HOST = "127.0.0.1"


class Registrar(asyncio.DatagramProtocol):
    """`bindings` holds Contacts by address of record, `seen` the Expires of every REGISTER, `answered` all statuses."""

    def __init__(self, passwords: dict[str, str] | None = None, *, least_s: int = 1, grant_s: int = 0) -> None:
        """`least_s`: a shorter expiry gets 423; `grant_s`: the expiry granted instead of the requested one."""
        self.bindings: dict[str, str] = {}
        self.seen: list[str] = []
        self.answered: list[int] = []
        self.silent = False
        self.spoiled = 0  # how many nonces count as stale
        self.least_s = least_s
        self.port = 0
        self._grant_s = grant_s
        self._digest = Digest("registrar", passwords) if passwords else None
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()

    async def open(self) -> "Registrar":
        """Listen: on the same port again after a restart."""
        self._transport, _ = await self._loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, self.port))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        self._transport.close()

    async def restart(self) -> None:
        """Go away for a moment, and come back without bindings and nonces."""
        self._transport.close()
        self.bindings.clear()
        if self._digest is not None:
            self._digest = Digest("registrar", self._digest._passwords)
        await asyncio.sleep(0.05)
        await self.open()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        request = parse(data)
        if self.silent or not isinstance(request, Request):
            return
        assert request.method == "REGISTER"
        status, headers = self._register(request, addr[0])
        self.answered.append(status)
        self._transport.sendto(encode(respond(request, status, tag="r", headers=headers)), addr)

    def _register(self, request: Request, ip: str) -> tuple[int, list[tuple[str, str]]]:
        now_ms = 1000 * self._loop.time()
        if self._digest is not None:
            header = request.headers.get("Authorization")
            verdict = self._digest.check("REGISTER", request.uri, header, now_ms, ip) if header else None
            stale = isinstance(verdict, Stale) or (isinstance(verdict, Accepted) and self.spoiled > 0)
            if stale or not isinstance(verdict, Accepted):
                self.spoiled -= isinstance(verdict, Accepted)
                challenges = self._digest.challenge(now_ms, ip, stale=stale)
                return 401, [("WWW-Authenticate", value) for value in challenges]
        expires = request.headers.get("Expires")
        self.seen.append(expires)
        address = str(parse_name_addr(request.headers.get("To")).uri)
        if 0 < int(expires) < self.least_s:
            return 423, [("Min-Expires", str(self.least_s))]
        if expires == "0":
            self.bindings.pop(address, None)
            return 200, []
        contact = request.headers.get("Contact")
        self.bindings[address] = contact
        return 200, [("Contact", f"{contact};expires={self._grant_s or expires}")]
