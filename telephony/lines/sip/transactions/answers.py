"""Answers to requests: what they copy from them, and where they go (RFC 3261 8.2.6, 18.2; RFC 3581)."""

from collections.abc import Iterable
from enum import IntEnum

import msgspec

from telephony.lines.sip.syntax.address import DEFAULT_PORTS, Address
from telephony.lines.sip.syntax.header import parse_name_addr, parse_via, quote
from telephony.lines.sip.syntax.message import Headers, Request, Response
from telephony.lines.sip.transactions.reasons import reason

_COPIED = ("From", "Call-ID", "CSeq")
_WARNED = (400, 415, 488, 606)  # statuses whose answers give the reason in a Warning
_ABOUT = {401: "WWW-Authenticate", 405: "Allow", 415: "Accept", 420: "Unsupported", 422: "Min-SE"}
MOST_WORDS = 200  # characters of a Warning


class Warn(IntEnum):
    """The codes of warnings (RFC 3261, 20.43)."""

    NETWORK_PROTOCOL = 300
    ADDRESS_FORMAT = 301
    TRANSPORT_PROTOCOL = 302
    MEDIA_TYPE = 304
    MEDIA_FORMAT = 305
    ATTRIBUTE = 306
    MULTICAST = 330
    OTHER = 399


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is refused: the answer to the peer, and one sentence for the log, which a 400, 415, 488 or 606
    also tells the peer."""

    status: int
    why: str
    headers: tuple[tuple[str, str], ...] = ()
    warn: Warn = Warn.OTHER

    def told(self, agent: str) -> tuple[tuple[str, str], ...]:
        """Its headers, with a Warning by `agent`, a token, if the status has one."""
        if self.status not in _WARNED:
            return self.headers
        words = "".join(sign if sign.isprintable() else "?" for sign in self.why)
        return (*self.headers, ("Warning", f"{self.warn} {agent} {quote(words[:MOST_WORDS])}"))


def respond(
    request: Request, status: int, *, tag: str = "", headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Response:
    """An answer with every Via, From, To, Call-ID and CSeq. `tag` is added to a To without one, except in a 100;
    Record-Route is copied into 18x and 2xx."""
    copied = Headers()
    for via in request.headers.all("Via"):
        copied.add("Via", via)
    for name in _COPIED:
        copied.add(name, request.headers.get(name))
    to = request.headers.get("To")
    if tag and status > 100 and not parse_name_addr(to).params.get("tag"):
        to += f";tag={tag}"
    copied.add("To", to)
    if 100 < status < 300:
        for route in request.headers.all("Record-Route"):
            copied.add("Record-Route", route)
    elif status == 100 and "Timestamp" in request.headers:
        copied.add("Timestamp", request.headers.get("Timestamp"))
    for name, value in headers:
        copied.add(name, value)
    return Response(status, reason(status), copied, body)


def needs(status: int, name: str) -> bool:
    """Whether an answer is useless without a header: one that every answer copies, or one that the status requires."""
    return name in {"Via", "To", *_COPIED} or _ABOUT.get(status) == name


def stamp_via(request: Request, source: Address, *, nat: bool = False) -> None:
    """Write the real source of the request into the first Via: `received`, and `rport` if it is asked for, or if
    `nat` says that peers need it."""
    first, *others = request.headers.all("Via")
    via = parse_via(first)
    params = dict(via.params)
    if nat or "rport" in params:
        params["rport"] = str(source.port)
    if "rport" in params or via.host.lower() != source.host.lower():
        params["received"] = source.host
    request.headers.remove("Via")
    for value in (str(msgspec.structs.replace(via, params=params)), *others):
        request.headers.add("Via", value)


def reply_to(request: Request, source: Address) -> Address:
    """Where answers to a request from `source` go: its connection, its source port if it asked for that, else Via's."""
    if source.reliable:
        return source
    via = parse_via(request.headers.get("Via"))
    if "rport" in via.params:
        return source
    return Address(source.transport, source.host, via.port or DEFAULT_PORTS[source.transport], source.connection)
