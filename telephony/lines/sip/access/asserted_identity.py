"""The parties of a call, from its INVITE. Identities (RFC 3325) and diversions (RFC 5806) count from trusted peers
only."""

from config.parties import Parties, parties
from telephony.lines.sip.syntax.header import NameAddr, Uri, parse_name_addr, parse_uri, split_list
from telephony.lines.sip.syntax.message import Request


def parties_of(request: Request, *, trusted: bool) -> Parties:
    """The parties of an inbound call. What strangers say about themselves counts as not verified."""
    caller = _first(request, "From")
    asserted = _first(request, "P-Asserted-Identity") if trusted else None
    diverted = _first(request, "Diversion") if trusted else None
    who = asserted or caller
    name = (asserted.display if asserted else "") or (caller.display if caller else "")
    return parties(
        verified=trusted,
        caller=_number(who.uri) if who else "",
        called=_number(parse_uri(request.uri)),
        caller_name=name,
        forwarded_from=_number(diverted.uri) if diverted else "",
        ids={"sip_call": request.headers.get("Call-ID") or ""},
    )


def _first(request: Request, header: str) -> NameAddr | None:
    """The first address in a header; None if there is no readable one."""
    for value in split_list(request.headers.get(header) or ""):
        try:
            return parse_name_addr(value)
        except ValueError:
            return None
    return None


def _number(uri: Uri) -> str:
    """The telephone number, if it is one, else the address without port and parameters."""
    digits = uri.user.removeprefix("+").replace("-", "").replace(".", "")
    if uri.scheme == "tel" or (digits.isascii() and digits.isdecimal()):
        return uri.user.split(";")[0]
    return f"{uri.scheme}:{uri.user}@{uri.host}" if uri.user and uri.host else ""
