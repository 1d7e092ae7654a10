"""A small DNS server over UDP on loopback, for tests."""

import asyncio
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

HOST = "127.0.0.1"


class NameServer(asyncio.DatagramProtocol):
    """`records` by name and type, such as ("pbx.example", "A"): ["192.0.2.1"]; `asked` holds the questions."""

    def __init__(self, records: dict[tuple[str, str], list[str]]) -> None:
        self.records = records
        self.asked: list[tuple[str, str]] = []
        self.silent = False
        self.dropped: set[str] = set()  # questions that are not answered, by their type
        self.mute: set[str] = set()  # the same by name
        self.lost = 0  # questions from now on that are not answered
        self.delays: dict[str, float] = {}  # s until the answer, by the question's type
        self._transport: Any = None

    async def open(self) -> dns.asyncresolver.Resolver:
        """Listen; a resolver that asks here and nowhere else."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [HOST]
        resolver.port = self._transport.get_extra_info("sockname")[1]
        return resolver

    def close(self) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.silent:
            return
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        self.lost -= 1
        if kind in self.dropped or name in self.mute or self.lost >= 0:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        found = self.records.get((name, kind))
        if found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif all(known != name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        reply = answer.to_wire()
        asyncio.get_running_loop().call_later(self.delays.get(kind, 0), lambda: self._transport.sendto(reply, addr))
