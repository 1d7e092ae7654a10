"""Answers to requests: what every one of them copies, and where it goes (RFC 3261 8.2.6, 18.2; RFC 3581)."""

from collections.abc import Iterable

import msgspec

from telephony.sip.syntax.address import DEFAULT_PORTS, Address
from telephony.sip.syntax.header import parse_name_addr, parse_via
from telephony.sip.syntax.message import Headers, Request, Response

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
}
_COPIED = ("From", "Call-ID", "CSeq")


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is refused: what the peer is answered, and one sentence for the log."""

    status: int
    why: str
    headers: tuple[tuple[str, str], ...] = ()


def respond(
    request: Request, status: int, *, tag: str = "", headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Response:
    """An answer: every Via, From, To, Call-ID and CSeq. `tag` is for a To without one, but not in a 100; Record-Route
    is in 18x and 2xx."""
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
    return Response(status, REASONS.get(status, "Refused"), copied, body)


def stamp_via(request: Request, source: Address, *, nat: bool = False) -> None:
    """Write into the first Via where the request really came from: `received`, and `rport` if it is asked for, or if
    with `nat` the peer is taken to need it."""
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
    """Where answers to a request from `source` go: its connection, its port if it asked for that, else Via's."""
    if source.reliable:
        return source
    via = parse_via(request.headers.get("Via"))
    if "rport" in via.params:
        return source
    return Address(source.transport, source.host, via.port or DEFAULT_PORTS[source.transport], source.connection)
