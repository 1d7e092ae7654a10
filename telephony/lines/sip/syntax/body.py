"""The parts of a message's body: one, or several in a multipart (RFC 2046, RFC 5621).

Python's `email` parses multiparts too, but takes more than a second for a hostile one of 64 KB; this parser is linear.
"""

import re
from collections.abc import Iterator

import msgspec

from telephony.lines.sip.syntax.header import parse_params, unquote
from telephony.lines.sip.syntax.message import Message

SDP = "application/sdp"
MAX_PARTS = 16  # of one body, nested ones included
MAX_DEPTH = 3  # nesting of multiparts
MAX_BOUNDARY = 70
MAX_HEAD = 4096  # bytes of one part's headers
_PLAIN = ("", "7bit", "8bit", "binary")  # encodings that change nothing


class Part(msgspec.Struct, frozen=True):
    """`required`: a receiver that does not understand it must not ignore it."""

    kind: str  # such as application/sdp, in lower case
    data: bytes
    disposition: str = ""  # its disposition, such as session; "" if not given
    required: bool = True


def parts(message: Message) -> list[Part]:
    """All parts of a body; none of an empty one. Raises ValueError for an unreadable one."""
    if not message.body:
        return []
    headers = {name: message.headers.get(name) for name in ("Content-Type", "Content-Disposition")}
    if not headers["Content-Type"].lower().startswith("multipart/"):
        return [_part({name.lower(): value for name, value in headers.items()}, message.body, "")]
    cited = " ".join(value for _, value in message.headers if "cid:" in value)
    found: list[Part] = []
    for part in _split(headers["Content-Type"], message.body, cited, MAX_DEPTH):
        if len(found) == MAX_PARTS:
            raise ValueError(f"a body of more than {MAX_PARTS} parts")
        found.append(part)
    return found


def sdp_of(message: Message) -> bytes:
    """The session description in a body; empty if there is none, or the body is unreadable."""
    try:
        return next((part.data for part in parts(message) if is_sdp(part) or not part.kind), b"")
    except ValueError:
        return b""


def is_sdp(part: Part) -> bool:
    """Whether it describes the session, and not something else such as early media (RFC 3959)."""
    return part.kind == SDP and part.disposition in ("", "session")


def kind_of(content_type: str) -> str:
    """In lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def _split(content_type: str, body: bytes, cited: str, depth: int) -> Iterator[Part]:
    """The parts of a multipart, and those of the multiparts among them."""
    if not depth:
        raise ValueError("multiparts in multiparts, too deep")
    kind, semicolon, params = content_type.partition(";")
    boundary = unquote(parse_params(semicolon + params).get("boundary", ""))
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise ValueError("a multipart without a usable boundary")
    found: list[Part] = []
    for piece in _pieces(body, boundary.encode()):
        headers, data = _headers(piece)
        inner = headers.get("content-type", "")
        if inner.lower().startswith("multipart/"):
            found += _split(inner, data, cited, depth - 1)
        else:
            found.append(_part(headers, data, cited))
        if len(found) > MAX_PARTS:
            break  # too many; the caller that counts them raises
    if kind.strip().lower() == "multipart/alternative" and any(map(is_sdp, found)):
        found = [part for part in found if is_sdp(part)]  # one alternative is enough
    yield from found


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """The text between the boundary lines; the last one may be missing."""
    start = -1
    for line in re.finditer(rb"^--%s(--)?[ \t]*\r?$\n?" % re.escape(boundary), body, re.MULTILINE):
        if start >= 0:
            yield body[start : line.start()].removesuffix(b"\n").removesuffix(b"\r")
        if line[1]:
            return
        start = line.end()
    if start < 0:
        raise ValueError("a multipart without its boundary")
    yield body[start:]


def _headers(piece: bytes) -> tuple[dict[str, str], bytes]:
    """A part's headers, by names in lower case, and its content."""
    if end := re.search(rb"^\r?\n", piece, re.MULTILINE):
        head, data = piece[: end.start()], piece[end.end() :]
    else:
        head, data = piece, b""
    if len(head) > MAX_HEAD:
        raise ValueError(f"a part with more than {MAX_HEAD} bytes of headers")
    unfolded = re.sub(r"\r?\n[ \t]+", " ", head.decode("utf-8", "replace"))
    lines = (line.partition(":") for line in unfolded.splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}, data


def _part(headers: dict[str, str], data: bytes, cited: str) -> Part:
    """Parts cited by a header of the message (`cid:`) matter only to receivers that know that header."""
    disposition, semicolon, params = headers.get("content-disposition", "").partition(";")
    handling = parse_params(semicolon + params).get("handling", "")
    number = headers.get("content-id", "").strip("<>")
    kind = kind_of(headers.get("content-type", "text/plain"))
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN:
        kind += " (encoded)"  # none that we know
    optional = unquote(handling).lower() == "optional" or (number != "" and f"cid:{number}" in cited)
    return Part(kind, data, disposition.strip().lower(), not optional)
