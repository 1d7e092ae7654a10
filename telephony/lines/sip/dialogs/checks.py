"""What is wrong with a request, checked before any state is kept for it (RFC 3261 8.2)."""

from telephony.lines.sip.dialogs.core import ACCEPTED, ALLOWED, SUPPORTED
from telephony.lines.sip.dialogs.dialog import contact_of, routes_of
from telephony.lines.sip.syntax.body import SDP, is_sdp, kind_of, parts
from telephony.lines.sip.syntax.header import parse_uri
from telephony.lines.sip.syntax.message import Request
from telephony.lines.sip.transactions.answers import Refusal

EXTENSIONS = {"timer", "100rel"}
_REGISTERED = {"MESSAGE", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE"}  # methods that we recognize but do not serve


def unknown_method(request: Request, allow: tuple[str, str]) -> Refusal | None:
    """405 or 501 for a method that is not served. REFER is: `allow`, our Allow header, says whether it may be."""
    if request.method in (*ALLOWED, "REFER"):
        return None
    return Refusal(405 if request.method in _REGISTERED else 501, f"{request.method} is not served", (allow,))


def unsupported(request: Request) -> Refusal | None:
    """416 for a URI that is neither a SIP address nor a number, 420 for a required extension that we do not support."""
    if parse_uri(request.uri).scheme not in ("sip", "sips", "tel"):
        return Refusal(416, "the Request-URI is neither a SIP address nor a number")
    missing = [tag for tag in request.headers.all("Require") if tag.lower() not in EXTENSIONS]
    if missing:
        return Refusal(420, "a required extension is not supported", (("Unsupported", ", ".join(missing)), SUPPORTED))
    return None


def unfit_invite(request: Request) -> Refusal | None:
    """Why an INVITE cannot begin a call: no Contact or a bad route (400), a foreign body (415), SDP not accepted
    (406)."""
    try:
        contact_of(request)
        routes_of(request)
    except ValueError:
        return Refusal(400, "INVITE without a usable Contact, or with a bad Record-Route")
    return foreign_body(request) or _foreign_answer(request)


def foreign_body(request: Request) -> Refusal | None:
    """415 for a body, or a required part of one, that is not SDP; 400 for an unreadable one."""
    encodings = [name for name in request.headers.all("Content-Encoding") if name.lower() != "identity"]
    if request.body and encodings:
        return Refusal(415, "an encoded body", (("Accept-Encoding", "identity"),))
    try:
        foreign = [part.kind for part in parts(request) if part.required and not is_sdp(part)]
    except ValueError as error:
        return Refusal(400, str(error))
    return Refusal(415, "a body that is not SDP", (ACCEPTED,)) if foreign else None


def _foreign_answer(request: Request) -> Refusal | None:
    types = {kind_of(value) for value in request.headers.all("Accept")}
    if types and not {SDP, "application/*", "*/*"}.intersection(types):
        return Refusal(406, "the caller does not accept SDP", (ACCEPTED,))
    return None
