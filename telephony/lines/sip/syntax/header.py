"""The syntax of SIP header values: URIs, addresses, Via, CSeq, parameters and lists (RFC 3261, section 25).

Values keep the text they came with (escapes and quotes too), so that what is read is written back unchanged;
`unescape` and `unquote` give the meaning. Every `parse_*` raises ValueError with a fixed sentence that repeats
nothing of the peer's text, and takes time linear in the text.
"""

import re
from ipaddress import IPv6Address

import msgspec

TCHAR = r"[A-Za-z0-9\-.!%*_+`'~]"
MAX_CSEQ = 2**31 - 1
MAX_PARAMS = 64  # in one value

_HOST_PORT = re.compile(r"(?:([A-Za-z0-9._-]++)|\[([0-9A-Fa-f:.]++)\])[ \t]*+(?::[ \t]*+([0-9]{1,5}+))?+[ \t]*+")
_PARAM = re.compile(
    rf";[ \t]*+({TCHAR}++)[ \t]*+(?:=[ \t]*+(\"(?:[^\"\\]|\\.)*+\"|[^\s;,\"<>]++))?+[ \t]*+", re.ASCII | re.DOTALL
)
_VIA = re.compile(rf"SIP[ \t]*+/[ \t]*+[0-9]++\.[0-9]++[ \t]*+/[ \t]*+({TCHAR}++)[ \t]++", re.IGNORECASE)
_CSEQ = re.compile(rf"([0-9]++)[ \t]++({TCHAR}++)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*+):")
_NOT_IN_URI = re.compile(r"[\x00-\x20\x7f\"<>]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_LIST_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*+"?+|<[^<>]*+>?+|[^",<]++)++', re.DOTALL)
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


class Uri(msgspec.Struct, frozen=True):
    """`sip:user:password@host:port;params?headers`. Flags among the params have the value "".

    An IPv6 host is kept without its brackets. Other schemes have no host: `user` is all that follows the colon,
    less a tel URI's params.
    """

    scheme: str
    user: str
    host: str
    port: int | None = None
    params: dict[str, str] = {}  # names in lower case
    headers: str = ""  # the text after the `?`, unchanged
    password: str = ""

    def __str__(self) -> str:
        if not self.host:
            return f"{self.scheme}:{self.user}{_write_params(self.params)}"
        password = f":{self.password}" if self.password else ""
        user = f"{self.user}{password}@" if self.user else ""
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{_host_port(self.host, self.port)}{_write_params(self.params)}{headers}"


class NameAddr(msgspec.Struct, frozen=True):
    """`"display" <uri>;params`, as in From, To, Contact, Route and Refer-To. `display` is kept without quotes."""

    display: str
    uri: Uri
    params: dict[str, str] = {}  # names in lower case, quoted values with their quotes

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{_write_params(self.params)}"


class Via(msgspec.Struct, frozen=True):
    """`SIP/2.0/transport host:port;params`. `transport` is in capitals; an IPv6 host is kept without brackets."""

    transport: str
    host: str
    port: int | None = None
    params: dict[str, str] = {}

    @property
    def branch(self) -> str:
        """The transaction's id; "" from an RFC 2543 peer."""
        return self.params.get("branch", "")

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {_host_port(self.host, self.port)}{_write_params(self.params)}"


class CSeq(msgspec.Struct, frozen=True):
    """`number method`."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def parse_uri(text: str) -> Uri:
    """A SIP, SIPS, tel or any other absolute URI."""
    scheme_match = _SCHEME.match(text)
    if scheme_match is None or _NOT_IN_URI.search(text):
        raise ValueError("a URI without a scheme, or with characters that do not belong there")
    scheme, rest = scheme_match[1].lower(), text[scheme_match.end() :]
    if scheme not in ("sip", "sips"):
        user, semicolon, params = rest.partition(";") if scheme == "tel" else (rest, "", "")
        if not user:
            raise ValueError("a URI with nothing after its scheme")
        return Uri(scheme, user, "", params=parse_params(semicolon + params, uri=True))
    user_info, at, rest = rest.rpartition("@")
    user, _, password = user_info.partition(":")
    if "@" in user_info or (at and not user):
        raise ValueError("a SIP URI with an empty user or a second @")
    rest, _, headers = rest.partition("?")
    where, semicolon, params = rest.partition(";")
    host, port, end = _parse_host_port(where, 0)
    if end != len(where) or " " in where:
        raise ValueError("a SIP URI with a bad host or port")
    return Uri(scheme, user, host, port, parse_params(semicolon + params, uri=True), headers, password)


def parse_name_addr(text: str) -> NameAddr:
    """One address: with or without a display name, with or without angle brackets."""
    text = text.strip(" \t")
    display, start = "", 0
    if quoted := _QUOTED.match(text):
        display, start = _unescape_pairs(quoted[1]), quoted.end()
    opening = text.find("<", start)
    if opening < 0:
        # Without brackets, `;` begins the header's own params and `?` is not allowed (20.10).
        address, semicolon, params = text.partition(";")
        if "?" in address:
            raise ValueError("an address that needs angle brackets")
        return NameAddr("", parse_uri(address.rstrip(" \t")), parse_params(semicolon + params))
    between = text[start:opening].strip(" \t")
    if '"' in between or (start and between):
        raise ValueError("a display name with unbalanced quotes")
    closing = text.find(">", opening)
    if closing < 0:
        raise ValueError("an address without its closing angle bracket")
    uri = parse_uri(text[opening + 1 : closing].strip(" \t"))
    return NameAddr(display or between, uri, parse_params(text[closing + 1 :]))


def parse_via(text: str) -> Via:
    """One Via. Its version is not checked: the start line's counts, and a 505 must go back by such a Via."""
    protocol = _VIA.match(text)
    if protocol is None:
        raise ValueError("a Via that is not SIP/version/transport host")
    host, port, end = _parse_host_port(text, protocol.end())
    return Via(protocol[1].upper(), host, port, parse_params(text[end:]))


def parse_cseq(text: str) -> CSeq:
    """A CSeq; its number is less than 2**31."""
    match = _CSEQ.fullmatch(text.strip(" \t"))
    if match is None:
        raise ValueError("a CSeq that is not a number and a method")
    return CSeq(parse_number(match[1], MAX_CSEQ), match[2])


def parse_number(text: str, most: int) -> int:
    """A decimal number of 0 to `most`; leading zeros are allowed."""
    text = text.strip(" \t")
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError("not a number")
    digits = text.lstrip("0") or "0"
    if len(digits) > 20 or int(digits) > most:
        raise ValueError("a number that is too large")
    return int(digits)


def parse_params(text: str, *, uri: bool = False) -> dict[str, str]:
    """`;name=value;flag` as a dict: names in lower case, values unchanged, flags "". The first of each name wins.

    A URI's params (`uri`) have more characters and no white space.
    """
    return _parse_uri_params(text) if uri else _parse_header_params(text)


def split_list(value: str) -> list[str]:
    """The items of a comma-separated list; commas in quotes and in angle brackets separate nothing."""
    return [item for part in _LIST_ITEM.findall(value) if (item := part.strip(" \t"))]


def unescape(text: str) -> str:
    """%41 is A. Anything that is no escape stays; bytes that are not UTF-8 become U+FFFD."""
    if "%" not in text:
        return text
    raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), text.encode("utf-8", "replace"))
    return raw.decode("utf-8", "replace")


def unquote(value: str) -> str:
    """The text in a quoted string; a value without quotes is itself."""
    match = _QUOTED.fullmatch(value)
    return _unescape_pairs(match[1]) if match else value


def quote(text: str) -> str:
    """Text as a quoted string."""
    return '"' + re.sub(r'(["\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f])', r"\\\1", text) + '"'


def _unescape_pairs(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _parse_host_port(text: str, start: int) -> tuple[str, int | None, int]:
    match = _HOST_PORT.match(text, start)
    if match is None:
        raise ValueError("a bad host")
    if match[2] is not None:
        try:
            IPv6Address(match[2])
        except ValueError:
            raise ValueError("a bad IPv6 address") from None
    port = int(match[3]) if match[3] is not None else None
    if port is not None and port > 65535:
        raise ValueError("a port above 65535")
    return match[1] or match[2], port, match.end()


def _parse_header_params(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    text = text.strip(" \t")
    position = 0
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None:
            raise ValueError("a bad parameter")
        params.setdefault(match[1].lower(), match[2] or "")
        position = match.end()
    return _bounded(params)


def _parse_uri_params(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for param in text.split(";")[1:]:
        name, _, value = param.partition("=")
        if not name:
            raise ValueError("a URI parameter without a name")
        params.setdefault(name.lower(), value)
    return _bounded(params)


def _bounded(params: dict[str, str]) -> dict[str, str]:
    if len(params) > MAX_PARAMS:
        raise ValueError("too many parameters")
    return params


def _write_params(params: dict[str, str]) -> str:
    return "".join(f";{name}={value}" if value else f";{name}" for name, value in params.items())


def _host_port(host: str, port: int | None) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


def tag_of(value: str) -> str:
    """The tag of a From or To; "" without one."""
    return parse_name_addr(value).params.get("tag", "")
