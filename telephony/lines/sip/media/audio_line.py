"""The audio line of a peer's session description: what it asks for, and whether we support it."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Literal

import msgspec

from audio.rate import RATE
from telephony.lines.exceptions import LineError
from telephony.lines.rtp import srtp
from telephony.lines.rtp.codec import PCMA, PCMU, STATIC, Codec
from telephony.lines.rtp.parameters import SocketAddress
from telephony.lines.rtp.srtp import Crypto
from telephony.lines.sip.media.hosts import is_nowhere
from telephony.lines.sip.syntax.sdp import Description, MediaDescription
from telephony.lines.sip.transactions.answers import Refusal, Warn

EVENT = "TELEPHONE-EVENT"
PLAIN = ("RTP/AVP", "RTP/AVPF")
SECURE = ("RTP/SAVP", "RTP/SAVPF")
MALFORMED, NOT_ACCEPTABLE = 400, 488


class NotAcceptable(LineError):
    """The peer's description is not acceptable; nothing changes. `refusal` is the SIP answer."""

    def __init__(self, reason: str, status: int = NOT_ACCEPTABLE, *, warn: Warn = Warn.OTHER) -> None:
        """`reason` is one sentence for the peer's Warning header and the log, `warn` the warning code."""
        super().__init__(reason)
        self.refusal = Refusal(status, reason, warn=warn)


class Capabilities(msgspec.Struct, frozen=True):
    """What we support."""

    address: str  # the IP that we advertise
    port: int  # for RTP; RTCP uses the next one
    codecs: tuple[Codec, ...] = (PCMU, PCMA)  # in the order we offer them
    secure: Literal["off", "allowed", "required"] = "allowed"  # SRTP; our own offers have it only if required
    suites: tuple[str, ...] = srtp.SUITES

    def named(self, name: str, clock: int) -> Codec | None:
        """The codec of that name, in upper case, with that clock."""
        return next((codec for codec in self.codecs if (codec.name.upper(), codec.clock) == (name, clock)), None)


class AudioLine(msgspec.Struct, frozen=True):
    """The peer's audio line, understood."""

    index: int
    media: MediaDescription
    codecs: dict[int, Codec]  # by payload type, in the peer's order
    events: dict[int, int]  # payload types of keys, in the peer's order, each with its clock in Hz
    wishes: dict[int, str]  # the peer's codec parameters (a=fmtp), if any
    remote: SocketAddress | None
    control: SocketAddress | None
    sends: bool  # the peer does
    receives: bool
    crypto: tuple[Crypto, ...]  # the a=crypto lines that we support


def choose(offer: Description, capabilities: Capabilities) -> AudioLine:
    """The audio line to answer: the first acceptable one, encrypted before plain."""
    reason = NotAcceptable("no audio is offered", warn=Warn.MEDIA_TYPE)
    found: list[AudioLine] = []
    for index, media in enumerate(offer.media):
        if media.kind.lower() == "audio" and media.port:
            try:
                found.append(read(offer, index, capabilities))
            except NotAcceptable as error:
                reason = error
    if not found:
        raise reason
    return next((line for line in found if line.media.transport in SECURE), found[0])


def read(description: Description, index: int, capabilities: Capabilities) -> AudioLine:
    """Read a line with audio. Raises NotAcceptable."""
    media = description.media[index]
    codecs = dict(_common(media, capabilities))
    if not codecs:
        names = ", ".join(codec.name for codec in capabilities.codecs)
        raise NotAcceptable(f"no common codec; {names} are spoken", warn=Warn.MEDIA_FORMAT)
    host = description.address(media)
    held = _is_none(host)
    if not held:
        _check_host(host, capabilities.address)
    direction = description.direction_of(media)
    return AudioLine(
        index=index,
        media=media,
        codecs=codecs,
        events=_events(media, codecs),
        wishes={kind: wishes for kind in codecs if (wishes := media.parameters(kind))},
        remote=None if held else (host, media.port),
        control=None if held else (host, description.control(media)[1]),  # never to a third host
        sends=direction in ("sendrecv", "sendonly"),
        receives=direction in ("sendrecv", "recvonly") and not held,
        crypto=_cryptos(media, capabilities),
    )


def _common(media: MediaDescription, capabilities: Capabilities) -> Iterator[tuple[int, Codec]]:
    """Each codec once, however many payload types it has."""
    missing = list(capabilities.codecs)
    for kind, name, clock in media.payloads():
        codec = capabilities.named(name, clock) if name else STATIC.get(kind)
        if codec in missing and codec is not None:
            missing.remove(codec)
            yield kind, codec


def _events(media: MediaDescription, codecs: dict[int, Codec]) -> dict[int, int]:
    """Keys should use the clock of the audio they go with; many phones offer them at 8 kHz regardless."""
    clocks = {RATE, *(codec.clock for codec in codecs.values())}
    return {kind: clock for kind, name, clock in media.payloads() if name == EVENT and clock in clocks}


def _check_host(host: str, address: str) -> None:
    if not host:
        raise NotAcceptable("the description names no address", warn=Warn.ADDRESS_FORMAT)
    try:
        ip, ours = ip_address(host), ip_address(address)
    except ValueError:  # it was resolved before
        why = "the description names a host whose address cannot be found"
        raise NotAcceptable(why, warn=Warn.ADDRESS_FORMAT) from None
    if ip.is_multicast or str(ip) == "255.255.255.255":
        raise NotAcceptable("audio to many receivers is not sent", warn=Warn.MULTICAST)
    if ip.version != ours.version:
        raise NotAcceptable(f"only IPv{ours.version} is spoken here", warn=Warn.NETWORK_PROTOCOL)


def _cryptos(media: MediaDescription, capabilities: Capabilities) -> tuple[Crypto, ...]:
    """The keys of an encrypted line that we support. Raises NotAcceptable if there must be some, or none."""
    secure = capabilities.secure
    if media.transport in PLAIN:
        if secure == "required":
            raise NotAcceptable("only encrypted audio (RTP/SAVP) is spoken here", warn=Warn.TRANSPORT_PROTOCOL)
        return ()
    if media.transport not in SECURE:
        raise NotAcceptable(
            f"{media.protocol[:30]} is not spoken; RTP/AVP and RTP/SAVP are", warn=Warn.TRANSPORT_PROTOCOL
        )
    if secure == "off":
        raise NotAcceptable("encrypted audio is switched off here", warn=Warn.TRANSPORT_PROTOCOL)
    if not srtp.available():
        raise NotAcceptable(srtp.MISSING)
    found, reason = [], "encrypted audio without a=crypto"
    for value in media.all("crypto"):
        try:
            crypto = srtp.parse_crypto(value)
        except ValueError as error:
            reason = str(error)
            continue
        if crypto.suite in capabilities.suites:
            found.append(crypto)
        else:
            reason = f"a=crypto with {crypto.suite}, which is switched off here"
    if not found:
        raise NotAcceptable(reason, warn=Warn.ATTRIBUTE)
    return tuple(found)


def _is_none(host: str) -> bool:
    """Whether a host means "send nothing": 0.0.0.0, the older form of hold, or a name without an address."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return is_nowhere(host)
