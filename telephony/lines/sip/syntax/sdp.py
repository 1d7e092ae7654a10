"""Session descriptions (RFC 8866): text to fields and back, tolerant of what real phones and trunks send.

Lines not read here are kept and written out again. Lines may end in CR LF or LF; `s=` and `t=` may be missing.
"""

from collections.abc import Iterable

import msgspec

MAX_BYTES = 16_384
MAX_LINES = 512
MAX_MEDIA = 16
MAX_FORMATS = 64  # of one m-line
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_SESSION_ORDER = "vosiuepcbtrzka"
_MEDIA_ORDER = "micbka"


class Origin(msgspec.Struct, frozen=True):
    """The `o=` line. The version rises with each change of the description."""

    address: str
    session_id: int = 0
    version: int = 0
    username: str = "-"

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {_address(self.address)}"


class SdpLevel(msgspec.Struct):
    """What the session and each of its media have in common."""

    connection: str = ""  # the host of `c=`; "" if the line is missing
    attributes: list[tuple[str, str]] = msgspec.field(default_factory=list)  # `a=`: names in lower case, value or ""
    others: list[str] = msgspec.field(default_factory=list)  # lines of other kinds, whole

    def attribute(self, name: str) -> str | None:
        """The first value of an attribute; "" for a flag, None if it is missing."""
        return next((value for key, value in self.attributes if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [value for key, value in self.attributes if key == name]

    @property
    def direction(self) -> str | None:
        """sendrecv, sendonly, recvonly or inactive, if given here."""
        return next((key for key, _ in self.attributes if key in DIRECTIONS), None)


class MediaDescription(SdpLevel, kw_only=True):
    """An `m=` line and what belongs to it."""

    kind: str  # audio, video, image ... unchanged, since an answer repeats it
    port: int  # 0 if refused
    protocol: str  # RTP/AVP, RTP/SAVP, udptl ... unchanged
    formats: list[str]  # payload types, in order of preference
    ports: int = 1  # how many

    @property
    def transport(self) -> str:
        """The protocol in capitals, for comparison."""
        return self.protocol.upper()

    def payloads(self) -> list[tuple[int, str, int]]:
        """(payload type, encoding name in upper case or "", clock rate or 0) in the order of the line."""
        maps: dict[str, str] = {}
        for value in self.all("rtpmap"):
            number, _, encoding = value.partition(" ")
            maps.setdefault(number, encoding.strip())
        found = []
        for number in self.formats:
            if number.isascii() and number.isdigit() and int(number) <= 127:
                name, _, rest = maps.get(number, "").partition("/")
                rate = rest.partition("/")[0]
                hz = int(rate) if rate.isascii() and rate.isdigit() and len(rate) < 7 else 0
                found.append((int(number), name.upper(), hz))
        return found

    def parameters(self, payload_type: int) -> str:
        """The `a=fmtp` of a payload type; "" if it has none."""
        for value in self.all("fmtp"):
            number, _, parameters = value.partition(" ")
            if number == str(payload_type):
                return parameters.strip()
        return ""


class Description(SdpLevel, kw_only=True):
    """A session description."""

    origin: Origin
    name: str = "-"
    media: list[MediaDescription] = msgspec.field(default_factory=list)

    def address(self, media: MediaDescription) -> str:
        """The host that receives a medium: its own, else the session's; "" if neither is given."""
        return media.connection or self.connection

    def direction_of(self, media: MediaDescription) -> str:
        """The direction of a medium: its own, else the session's, else sendrecv."""
        return media.direction or self.direction or "sendrecv"

    def control(self, media: MediaDescription) -> tuple[str, int]:
        """Where a medium's RTCP goes: `a=rtcp` (RFC 3605), else the port after RTP's."""
        words = (media.attribute("rtcp") or "").split()
        if words and (port := _port(words[0])):
            return (_host(words[1:]) if len(words) >= 4 else "") or self.address(media), port
        return self.address(media), media.port + 1


def parse(data: bytes) -> Description:
    """Read a body of type application/sdp. Raises ValueError for anything else."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"session description of {len(data)} bytes")
    lines = data.decode("utf-8", "surrogateescape").replace("\0", "").replace("\r", "\n").split("\n")
    lines = [line.rstrip() for line in lines if line.strip()]
    if len(lines) > MAX_LINES:
        raise ValueError(f"session description of {len(lines)} lines")
    if not lines or not lines[0].startswith("v=0"):
        raise ValueError("session description does not begin with v=0")
    description = Description(origin=Origin(""))
    level: SdpLevel = description
    for line in lines[1:]:
        kind, equals, value = line[:1], line[1:2], line[2:].strip()
        if equals != "=" or not kind.isascii() or not kind.islower():
            continue  # not a line of SDP; some gateways send stray text
        if kind == "m":
            level = _parse_media(value)
            description.media.append(level)
            if len(description.media) > MAX_MEDIA:
                raise ValueError(f"session description with more than {MAX_MEDIA} m-lines")
        else:
            _take(description, level, kind, value)
    return description


def _take(description: Description, level: SdpLevel, kind: str, value: str) -> None:
    if kind == "a":
        name, _, rest = value.partition(":")
        level.attributes.append((name.strip().lower(), rest.strip()))
    elif kind == "c":
        level.connection = level.connection or _host(value.split())
    elif kind == "o" and level is description:
        description.origin = _parse_origin(value)
    elif kind == "s" and level is description:
        description.name = value
    else:
        level.others.append(f"{kind}={value}")


def _parse_media(value: str) -> MediaDescription:
    words = value.split()
    if len(words) < 3:
        raise ValueError(f"m-line {value[:60]!r} is too short")
    port, _, ports = words[1].partition("/")
    if len(words) > 3 + MAX_FORMATS:
        raise ValueError(f"m-line with more than {MAX_FORMATS} formats")
    number = _port(port)
    if number is None:
        raise ValueError(f"m-line with port {words[1][:20]!r}")
    count = _port(ports or "1")
    return MediaDescription(kind=words[0], port=number, protocol=words[2], formats=words[3:], ports=count or 1)


def _parse_origin(value: str) -> Origin:
    words = value.split()
    if len(words) < 3:
        raise ValueError(f"o-line {value[:60]!r} is too short")
    numbers = [int(word) if word.isascii() and word.isdigit() and len(word) <= 20 else 0 for word in words[1:3]]
    return Origin(_host(words[3:]), numbers[0], numbers[1], words[0])


def _host(words: list[str]) -> str:
    """The host of `IN IP4 host` without TTL and count."""
    return words[2].partition("/")[0] if len(words) >= 3 and words[0].upper() == "IN" else ""


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535 else None


def _address(host: str) -> str:
    return f"IN {'IP6' if ':' in host else 'IP4'} {host or '0.0.0.0'}"  # noqa: S104 - says "none", binds nothing


def encode(description: Description) -> bytes:
    """The description as text. Raises ValueError if a value would break out of its line."""
    top = ["v=0", f"o={description.origin}", f"s={description.name or '-'}"]
    lines = _lines(top, description, _SESSION_ORDER)
    if not any(line.startswith("t=") for line in lines):
        at = next((n for n, line in enumerate(lines) if line.startswith("a=")), len(lines))
        lines.insert(at, "t=0 0")
    for media in description.media:
        port = f"{media.port}/{media.ports}" if media.ports > 1 else str(media.port)
        head = f"m={media.kind} {port} {media.protocol} {' '.join(media.formats)}".rstrip()
        lines += _lines([head], media, _MEDIA_ORDER)
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a value in a session description holds a line break")
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def _lines(top: list[str], level: SdpLevel, order: str) -> list[str]:
    lines = top + level.others
    if level.connection:
        lines.append(f"c={_address(level.connection)}")
    lines.sort(key=lambda line: order.find(line[0]) if line[0] in order else len(order))
    return lines + list(_attributes(level.attributes))


def _attributes(attributes: Iterable[tuple[str, str]]) -> Iterable[str]:
    return (f"a={name}:{value}" if value else f"a={name}" for name, value in attributes)
