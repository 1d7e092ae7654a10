"""What two user agents share while a call lasts (RFC 3261 12): tags, sequence numbers, routes, the peer's address."""

from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from telephony.lines.sip.syntax.address import DEFAULT_PORTS, Address
from telephony.lines.sip.syntax.header import Uri, parse_name_addr, parse_uri, tag_of
from telephony.lines.sip.syntax.message import Headers, Message, Request, Response, sequence_of

Id = tuple[str, str, str]  # Call-ID, our tag, the peer's tag


class Dialog:
    """One dialog. `way` is where the peer's last message came from: its connection is used for as long as it is
    open."""

    def __init__(
        self, *, call_id: str, local: str, remote: str, routes: Sequence[str], target: str, way: Address, follow: bool
    ) -> None:
        """`local` and `remote` are From and To values with their tags; `follow`: send to `way` if no route is set,
        whatever address the peer claims (it is behind a NAT)."""
        self.call_id = call_id
        self.id: Id = (call_id, tag_of(local), tag_of(remote))
        self.local = local
        self.remote = remote
        self.routes = list(routes)
        self.target = target  # the peer's Contact
        self.way = way
        self.local_sequence = 0
        self.remote_sequence = -1  # none yet
        self._follow = follow

    @classmethod
    def answering(cls, invite: Request, tag: str, way: Address, *, follow: bool) -> "Dialog":
        """The dialog that our answer to an INVITE opens. ValueError: no usable Contact, or a bad route."""
        dialog = cls(
            call_id=invite.headers.get("Call-ID"),
            local=f"{invite.headers.get('To')};tag={tag}",
            remote=invite.headers.get("From"),
            routes=routes_of(invite),
            target=contact_of(invite),
            way=way,
            follow=follow,
        )
        dialog.remote_sequence = sequence_of(invite)
        return dialog

    @classmethod
    def answered(cls, invite: Request, response: Response, way: Address, *, follow: bool) -> "Dialog":
        """The dialog that an answer to our INVITE opens. ValueError: no usable Contact, or a bad route."""
        dialog = cls(
            call_id=invite.headers.get("Call-ID"),
            local=invite.headers.get("From"),
            remote=response.headers.get("To"),
            routes=routes_of(response)[::-1],
            target=contact_of(response),
            way=way,
            follow=follow,
        )
        dialog.local_sequence = sequence_of(invite)
        return dialog

    def request(self, method: str, sequence: int | None = None) -> Request:
        """A request inside the dialog, without Via and Contact. `sequence` is given for an ACK: its INVITE's."""
        if sequence is None:
            self.local_sequence += 1
            sequence = self.local_sequence
        uri, routes = self._routed()
        headers = Headers(("Route", route) for route in routes)
        headers.add("Max-Forwards", "70")
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{sequence} {method}")
        return Request(method, uri, headers)

    @property
    def next_hop(self) -> Address:
        """The next hop of a request."""
        if self._follow and not self.routes:
            return self.way
        return towards(parse_name_addr(self.routes[0]).uri if self.routes else parse_uri(self.target), self.way)

    def take_sequence(self, request: Request) -> bool:
        """Take note of a request's CSeq; False if it is not above the last one."""
        sequence = sequence_of(request)
        if sequence <= self.remote_sequence:
            return False
        self.remote_sequence = sequence
        return True

    def refresh(self, message: Message, way: Address) -> None:
        """A re-INVITE, an UPDATE or its answer may carry a new Contact; a bad one changes nothing."""
        self.way = way
        try:
            self.target = contact_of(message)
        except ValueError:
            return

    def _routed(self) -> tuple[str, list[str]]:
        """The Request-URI and the Routes: a first router without `lr` is a strict one, which must be the
        Request-URI."""
        if not self.routes:
            return self.target, []
        first = parse_name_addr(self.routes[0]).uri
        if "lr" in first.params:
            return self.target, self.routes
        bare = msgspec.structs.replace(
            first, headers="", params={k: v for k, v in first.params.items() if k != "method"}
        )
        return str(bare), [*self.routes[1:], f"<{self.target}>"]


def contact_of(message: Message) -> str:
    """The URI where a message's sender takes requests. Raises ValueError if there is no usable one."""
    contact = parse_name_addr(message.headers.get("Contact")).uri
    if contact.scheme not in ("sip", "sips"):
        raise ValueError("a Contact that is no SIP address")
    return str(msgspec.structs.replace(contact, headers=""))


def routes_of(message: Message) -> list[str]:
    """The Record-Routes. ValueError for an unusable one."""
    routes = message.headers.all("Record-Route")
    if any(parse_name_addr(route).uri.scheme not in ("sip", "sips") for route in routes):
        raise ValueError("a route that is no SIP address")
    return routes


def towards(uri: Uri, way: Address) -> Address:
    """Where requests to a URI go. An open connection is reused; otherwise the transport is the URI's own, or
    UDP, or that of `way` if the name leaves it open."""
    host = uri.params.get("maddr") or uri.host
    if way.connection:
        return Address(way.transport, host, _port(uri, host, way.transport), way.connection)
    transport = uri.params.get("transport", "").upper() or way.transport
    if uri.scheme == "sips" or transport not in DEFAULT_PORTS:
        transport = "TLS" if uri.scheme == "sips" else way.transport
    return Address(transport, host, _port(uri, host, transport))


def _port(uri: Uri, host: str, transport: str) -> int:
    """0 if DNS is to tell."""
    if uri.port:
        return uri.port
    try:
        ip_address(host)
    except ValueError:
        return 0
    return DEFAULT_PORTS[transport]
