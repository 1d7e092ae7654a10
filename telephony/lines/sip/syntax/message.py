"""SIP messages (RFC 3261, section 7): bytes in, requests and responses out, and back.

Lines end in CRLF; a lone CR or LF is refused, because two parsers that disagree on where a line ends can be
played against each other. Parsing takes time linear in the bytes. The headers that every answer needs (Via, From, To,
Call-ID, CSeq) are checked here; what a method or an extension asks for is checked where it is used.
"""

import re
from collections.abc import Callable
from typing import NoReturn

import msgspec

from telephony.lines.exceptions import LineError
from telephony.lines.sip.syntax import header
from telephony.lines.sip.syntax.headers import Headers, short_names

__all__ = [
    "MAX_BYTES",
    "MAX_HEADERS",
    "Headers",
    "KeepAlive",
    "Message",
    "MessageError",
    "Request",
    "Response",
    "StreamParser",
    "encode",
    "is_keep_alive",
    "parse",
]

MAX_BYTES = 65_536  # of one message
MAX_HEADERS = 128
MAX_LINE = 8192  # bytes of one header, unfolded
MAX_ITEMS = 128  # Vias, Contacts: what is parsed of every message

_NEEDED = ("Via", "From", "To", "Call-ID", "CSeq")
_ONCE = ("From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type")

_TOKEN = re.compile(rf"{header.TCHAR}++")
_FOLD = re.compile(rb"\r\n[ \t]++")
_LINE_END = re.compile(r"[\r\n]")
_VERSION = re.compile(r"\ASIP/([0-9.]++) | SIP/([0-9.]++) *+\Z", re.IGNORECASE)
_SPACE = re.compile(r"[\x00-\x20\x7f]")
_LENGTH = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:(?:[ \t]|\r\n[ \t])*+([0-9]{1,9}+)[ \t]*+(?=\r\n)", re.IGNORECASE
)
_LENGTH_LINE = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:", re.IGNORECASE)


class Request(msgspec.Struct):
    """A request, the peer's or ours. `uri` is the Request-URI, unchanged."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""


class Response(msgspec.Struct):
    """The answer to a request: status 100 to 699."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""


Message = Request | Response


class KeepAlive(msgspec.Struct, frozen=True):
    """A ping on a stream, CRLF CRLF: answer it with CRLF (RFC 5626, 4.4.1)."""


class MessageError(LineError):
    """The peer's message is bad. Answer `request`, if there is one, with `status` and `reason`; else drop it.

    From a stream: `before` are the messages read before it in the same `feed`. Unless the error is `fatal`
    (where the next message begins is unknown: close the connection), `feed(b"")` goes on behind the bad message.
    """

    def __init__(self, status: int, reason: str, request: Request | None = None, *, fatal: bool = False) -> None:
        """`reason` is ours, so it is safe in a status line. `request` has no body; its first Via, its From and its To
        are readable, and nothing else is certain."""
        self.status = status
        self.reason = reason
        self.request = request
        self.fatal = fatal
        self.before: list[Message | KeepAlive] = []
        super().__init__(status, reason)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


def parse(data: bytes) -> Message:
    """One datagram: without a Content-Length the body is the rest; anything after the body is ignored."""
    if len(data) > MAX_BYTES:
        raise MessageError(413, "Message Too Large")
    data = data.lstrip(b"\r\n")
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        raise MessageError(400, "No Empty Line After the Headers")
    first, *lines = _FOLD.sub(b" ", head).split(b"\r\n")
    start, headers = _text(first), Headers()
    try:
        if len(first) > MAX_LINE:
            raise MessageError(413, "Start Line Too Long")
        _read_headers(lines, headers)
        _check_version(start)
        _check_headers(headers)
        message = _start(start, headers)
        message.body = _body(headers, rest)
    except MessageError as error:
        error.request = _answerable(start, headers)
        raise
    return message


def encode(message: Message, *, compact: bool = False) -> bytes:
    """The bytes on the wire, with a Content-Length; `compact`: with the short names of headers. ValueError for a start
    line that would not be one line."""
    if isinstance(message, Request):
        if not _TOKEN.fullmatch(message.method) or not message.uri or _SPACE.search(message.uri):
            raise ValueError("a request line needs a method and a URI without white space")
        start = f"{message.method} {message.uri} SIP/2.0"
    else:
        if _LINE_END.search(message.reason) or not 100 <= message.status <= 699:
            raise ValueError("a status line needs a status of 100 to 699 and a reason of one line")
        start = f"SIP/2.0 {message.status} {message.reason}"
    headers = Headers(message.headers)
    headers.set("Content-Length", str(len(message.body)))
    names = short_names(headers) if compact else headers
    lines = [start, *(f"{name}: {value}" for name, value in names), "", ""]
    return "\r\n".join(lines).encode() + message.body


def is_keep_alive(data: bytes) -> bool:
    """Whether a datagram only keeps a NAT binding open: line ends or zeros. It gets no answer."""
    return not data.strip(b"\r\n\0")


class StreamParser:
    """TCP and TLS: whole messages from bytes that arrive in any pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # of the buffer, without an end of the headers
        self._size = 0  # of the message at the front; 0: its headers are not complete
        self._failure: MessageError | None = None

    def feed(self, data: bytes) -> list[Message | KeepAlive]:
        """The messages that these bytes complete. Raises MessageError, see there. Two pongs (CRLF) in a row look like a
        ping."""
        self._buffer += data
        found: list[Message | KeepAlive] = []
        try:
            while (message := self._next()) is not None:
                found.append(message)
        except MessageError as error:
            error.before = found
            raise
        return found

    def _next(self) -> Message | KeepAlive | None:
        if self._failure is not None:
            self._buffer.clear()
            raise MessageError(self._failure.status, self._failure.reason, fatal=True)
        if self._size == 0:
            if self._buffer[:4] == b"\r\n\r\n":
                del self._buffer[:4]
                return KeepAlive()
            if self._buffer[:1] == b"\r" and b"\r\n\r\n".startswith(self._buffer):
                return None
            if self._buffer[:2] == b"\r\n":
                del self._buffer[:2]
                self._searched = 0
            self._find_size()
        if self._size == 0 or len(self._buffer) < self._size:
            return None
        data = bytes(self._buffer[: self._size])
        del self._buffer[: self._size]
        self._size = self._searched = 0
        return parse(data)

    def _find_size(self) -> None:
        """Set the size of the message at the front, if its headers are complete."""
        end = self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            self._searched = len(self._buffer)
            if len(self._buffer) >= MAX_BYTES:
                self._fail(413, "Message Too Large", b"")
            return
        head = bytes(self._buffer[: end + 4])
        lengths = _LENGTH.findall(head)
        if len(lengths) != 1 or len(_LENGTH_LINE.findall(head)) != 1:
            self._fail(400, "A Stream Needs One Good Content-Length", head)
        size = len(head) + int(lengths[0])
        if size > MAX_BYTES:
            self._fail(413, "Message Too Large", head)
        self._size = size

    def _fail(self, status: int, reason: str, head: bytes) -> NoReturn:
        self._buffer.clear()
        self._failure = MessageError(status, reason, fatal=True)
        raise MessageError(status, reason, _salvage(head), fatal=True)


def _text(line: bytes) -> str:
    """UTF-8, or Latin-1, as in display names from old exchanges."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _read_headers(lines: list[bytes], headers: Headers) -> None:
    """Fill in `headers`. On a bad line it keeps the headers read so far."""
    if len(lines) > MAX_HEADERS:
        raise MessageError(413, "Too Many Headers")
    bad = ""
    for line in lines:
        if len(line) > MAX_LINE:
            raise MessageError(413, "Header Too Long")
        name, colon, value = _text(line).partition(":")
        try:
            if not colon:
                raise ValueError("a line without a colon")
            headers.add(name.rstrip(" \t"), value)
        except ValueError:
            bad = bad or "Bad Header Line"
    if bad:
        raise MessageError(400, bad)


def _check_headers(headers: Headers) -> None:
    """Check for the headers that every message needs, and that none is repeated that may occur only once."""
    for name in _NEEDED:
        if not headers.get(name):
            raise MessageError(400, f"Missing {name}")
    for name in _ONCE:
        if len(headers.all(name)) > 1:
            raise MessageError(400, f"More Than One {name}")
    _check_each("Via", headers, header.parse_via)
    _check_each("From", headers, header.parse_name_addr)
    _check_each("To", headers, header.parse_name_addr)
    _check_each("CSeq", headers, header.parse_cseq)


def _check_each(name: str, headers: Headers, check: Callable[[str], object]) -> None:
    values = headers.all(name)
    if len(values) > MAX_ITEMS:
        raise MessageError(413, f"Too Many in {name}")
    try:
        for value in values:
            check(value)
    except ValueError:
        raise MessageError(400, f"Bad {name}") from None


def _check_version(start: str) -> None:
    version = _VERSION.search(start)
    if version is None:
        raise MessageError(400, "Not SIP")
    if (version[1] or version[2]) != "2.0":
        raise MessageError(505, "Version Not Supported")


def _start(line: str, headers: Headers) -> Message:
    """The start line: a Request or a Response with these headers, without its body."""
    cseq = header.parse_cseq(headers.get("CSeq"))
    if line[:4].upper() == "SIP/":
        return _status_line(line, headers)
    parts = line.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]):
        raise MessageError(400, "Bad Request Line")
    method, uri, _ = parts
    try:
        target = header.parse_uri(uri)
    except ValueError:
        target = None
    if target is None or target.headers:
        raise MessageError(400, "Bad Request-URI")
    if cseq.method != method:
        raise MessageError(400, "CSeq Is for Another Method")
    _check_request(headers)
    return Request(method, uri, headers)


def _status_line(line: str, headers: Headers) -> Response:
    _, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    if not re.fullmatch(r"[1-6][0-9]{2}", code, re.ASCII) or _LINE_END.search(line):
        raise MessageError(400, "Bad Status Line")
    return Response(int(code), reason, headers)


def _check_request(headers: Headers) -> None:
    _check_each("Max-Forwards", headers, lambda value: header.parse_number(value, 255))
    if headers.get("Contact") != "*":
        _check_each("Contact", headers, header.parse_name_addr)


def _body(headers: Headers, rest: bytes) -> bytes:
    if "Content-Length" not in headers:
        return rest
    try:
        length = header.parse_number(headers.get("Content-Length"), MAX_BYTES)
    except ValueError:
        raise MessageError(400, "Bad Content-Length") from None
    if length > len(rest):
        raise MessageError(400, "Body Shorter Than Content-Length")
    return rest[:length]


def _answerable(start: str, headers: Headers) -> Request | None:
    """As much of the bad message as an answer needs: a request, not an ACK; a Via to send it by, a To for our tag."""
    method, _, rest = start.partition(" ")
    if not _TOKEN.fullmatch(method) or method == "ACK" or not all(headers.get(name) for name in _NEEDED):
        return None
    try:
        header.parse_via(headers.get("Via"))
        header.parse_name_addr(headers.get("From"))
        header.parse_name_addr(headers.get("To"))
    except ValueError:
        return None
    return Request(method, rest.partition(" ")[0], headers)


def _salvage(head: bytes) -> Request | None:
    """The same, from headers on a stream whose body has no known length."""
    try:
        message = parse(head)
    except MessageError as error:
        return error.request
    return message if isinstance(message, Request) and message.method != "ACK" else None


def sequence_of(message: Message) -> int:
    """The number in CSeq."""
    return header.parse_cseq(message.headers.get("CSeq")).number
