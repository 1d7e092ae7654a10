"""The negotiation of a call's audio: offer and answer of session descriptions (RFC 3264), with SRTP keys (RFC 4568)."""

import secrets
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from audio.rate import FRAME_MS, RATE
from telephony.lines.rtp import srtp
from telephony.lines.rtp.codec import STATIC, Codec
from telephony.lines.rtp.jitter import MAX_PACKET_MS
from telephony.lines.rtp.parameters import Parameters
from telephony.lines.rtp.srtp import Crypto
from telephony.lines.sip.media.audio_line import (
    EVENT,
    MALFORMED,
    PLAIN,
    SECURE,
    AudioLine,
    Capabilities,
    NotAcceptable,
    choose,
    read,
)
from telephony.lines.sip.syntax import sdp
from telephony.lines.sip.syntax.sdp import Description, MediaDescription, Origin

EVENT_TYPES = {RATE: 101, 48_000: 110}  # the payload types of events in our own offers, as in most

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


class Negotiation:
    """One call's offers and answers, initial and later ones. A failure changes nothing."""

    def __init__(self, capabilities: Capabilities, token: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """`token(n)` gives n random bytes, for keys and names."""
        self.capabilities = capabilities
        self.direction: Direction = "sendrecv"  # what we want; sendonly or inactive puts the peer on hold
        self._token = token
        self._session_id = int.from_bytes(token(4)) >> 1
        self._version = 0
        self._content = b""  # of our last description, without its version
        self._lines: list[MediaDescription] = []  # of the agreement, as we wrote them
        self._slot = 0  # the index of the audio among them
        self._agreed: Parameters | None = None
        self._offered: list[Crypto] = []  # of the offer that waits for its answer

    def answer(self, body: bytes) -> tuple[bytes, Parameters]:
        """Answer the peer's offer: our body, and what is agreed. Raises NotAcceptable."""
        offer = _parse(body)
        line = choose(offer, self.capabilities)
        keys = self._answer_keys(line)
        sends, receives = self._directions(line)
        mux = line.media.attribute("rtcp-mux") is not None
        agreed = Parameters(
            remote=line.remote,
            codecs=line.codecs,
            control=line.control,
            mux=mux,
            event_type=_event_type(line),
            events=line.events,
            wishes=line.wishes,
            sends=sends,
            receives=receives,
            local_key=keys[0] if keys else None,
            remote_key=keys[1] if keys else None,
        )
        lines = [_refused(media) for media in offer.media]
        direction = _direction(sends, receives)
        lines[line.index] = self._audio(
            line.media.protocol, line.codecs, line.events, direction, keys=keys[:1], mux=mux
        )
        self._lines, self._slot, self._agreed, self._offered = lines, line.index, agreed, []
        return self._describe(lines), agreed

    def offer(self) -> bytes:
        """Our offer: the initial one, or one based on the agreement, in the direction that we want now."""
        agreed, capabilities = self._agreed, self.capabilities
        codecs = {codec.payload_type: codec for codec in capabilities.codecs}
        if agreed is None:
            secure = capabilities.secure == "required"
            if secure and not srtp.available():
                raise NotAcceptable(srtp.MISSING)
            self._offered = list(self._new_keys()) if secure else []
            protocol = SECURE[0] if secure else PLAIN[0]
            events = {EVENT_TYPES[clock]: clock for clock in sorted({RATE, *(c.clock for c in codecs.values())})}
            audio = self._audio(protocol, codecs, events, self.direction, keys=self._offered, mux=False)
            return self._describe([audio])
        # Payload types keep their meaning; codecs not agreed on may be offered again.
        added = {kind: codec for kind, codec in codecs.items() if codec not in agreed.codecs.values()}
        taken = agreed.codecs.keys() | agreed.events.keys()
        codecs = agreed.codecs | {kind: codec for kind, codec in added.items() if kind not in taken}
        self._offered = [agreed.local_key] if agreed.local_key is not None else []
        lines = [_refused(media) for media in self._lines]
        protocol = self._lines[self._slot].protocol
        lines[self._slot] = self._audio(
            protocol, codecs, agreed.events, self.direction, keys=self._offered, mux=agreed.mux
        )
        self._lines = lines
        return self._describe(lines)

    def read_answer(self, body: bytes) -> Parameters:
        """Take the answer to our offer. Raises NotAcceptable; a call without an agreement then ends."""
        answer = _parse(body)
        ours = sdp.parse(self._content).media
        slot = self._slot if self._agreed is not None else 0
        if len(answer.media) <= slot or answer.media[slot].port == 0:
            raise NotAcceptable("the answer refuses our audio")
        line = read(answer, slot, self.capabilities)
        if (line.media.transport in SECURE) != (ours[slot].transport in SECURE):
            raise NotAcceptable(f"the answer has {line.media.protocol[:20]}, our offer {ours[slot].protocol}")
        keys = self._answered_keys(line)
        kinds = {
            kind: STATIC.get(kind) or self.capabilities.named(name, rate) for kind, name, rate in ours[slot].payloads()
        }
        agreed_on = line.codecs.values()
        # The peer receives its own payload types; it may send ours.
        codecs = line.codecs | {
            kind: codec for kind, codec in kinds.items() if codec is not None and codec in agreed_on
        }
        events = {kind: clock for kind, name, clock in ours[slot].payloads() if name == EVENT} | line.events
        sends, receives = self._directions(line)
        self._agreed = Parameters(
            remote=line.remote,
            codecs=codecs,
            control=line.control,
            mux=ours[slot].attribute("rtcp-mux") is not None and line.media.attribute("rtcp-mux") is not None,
            event_type=_event_type(line),
            events=events,
            wishes=line.wishes,
            sends=sends,
            receives=receives,
            local_key=keys[0] if keys else None,
            remote_key=keys[1] if keys else None,
        )
        self._lines, self._slot = ours, slot
        return self._agreed

    def _directions(self, line: AudioLine) -> tuple[bool, bool]:
        """(we send, we receive), as far as both sides want it."""
        wanted = self.direction
        return wanted in ("sendrecv", "sendonly") and line.receives, wanted in ("sendrecv", "recvonly") and line.sends

    # Keys

    def _answer_keys(self, line: AudioLine) -> list[Crypto]:
        """[ours, theirs]; empty for a plain line. Ours stays the same while theirs does."""
        if not line.crypto:
            return []
        theirs = line.crypto[0]
        ours = self._agreed.local_key if self._agreed is not None else None
        if ours is None or (ours.tag, ours.suite) != (theirs.tag, theirs.suite):
            ours = srtp.make_crypto(theirs.tag, theirs.suite, self._token)
        return [ours, theirs]

    def _answered_keys(self, line: AudioLine) -> list[Crypto]:
        """[ours, theirs] for the line of our offer that was chosen."""
        if not line.crypto:
            return []
        for theirs in line.crypto:
            for ours in self._offered:
                if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                    return [ours, theirs]
        raise NotAcceptable("the answer chose none of our keys")

    def _new_keys(self) -> Iterator[Crypto]:
        for tag, suite in enumerate(self.capabilities.suites, 1):
            yield srtp.make_crypto(tag, suite, self._token)

    # Our lines

    def _audio(
        self,
        protocol: str,
        codecs: dict[int, Codec],
        events: dict[int, int],
        direction: str,
        *,
        keys: list[Crypto],
        mux: bool,
    ) -> MediaDescription:
        attributes = []
        for kind, codec in codecs.items():
            attributes.append(("rtpmap", f"{kind} {codec.description}"))
            if codec.parameters:
                attributes.append(("fmtp", f"{kind} {codec.parameters}"))
        for kind, clock in events.items():
            attributes += [("rtpmap", f"{kind} telephone-event/{clock}"), ("fmtp", f"{kind} 0-15")]
        attributes.append(("ptime", str(FRAME_MS)))
        attributes.append(("maxptime", str(MAX_PACKET_MS)))
        attributes += [*(("crypto", str(key)) for key in keys), (direction, "")]
        if mux:
            attributes.append(("rtcp-mux", ""))
        formats = [str(kind) for kind in (*codecs, *events)]
        port = self.capabilities.port
        return MediaDescription(kind="audio", port=port, protocol=protocol, formats=formats, attributes=attributes)

    def _describe(self, lines: list[MediaDescription]) -> bytes:
        """Our description; its version rises with each change."""
        address = self.capabilities.address
        origin = Origin(address, self._session_id, 0, "voxline")
        description = Description(origin=origin, name="voxline", connection=address, media=lines)
        content = sdp.encode(description)
        if content != self._content:
            self._version += 1
            self._content = content
        description.origin = msgspec.structs.replace(origin, version=self._version)
        return sdp.encode(description)


def _parse(body: bytes) -> Description:
    try:
        return sdp.parse(body)
    except ValueError as error:
        raise NotAcceptable(str(error), MALFORMED) from None


def _event_type(line: AudioLine) -> int | None:
    """The payload type of our keys: the one with the clock of our audio, else the peer's first."""
    clock = next(iter(line.codecs.values())).clock
    return next((kind for kind in line.events if line.events[kind] == clock), next(iter(line.events), None))


def _refused(media: MediaDescription) -> MediaDescription:
    return MediaDescription(kind=media.kind, port=0, protocol=media.protocol, formats=media.formats[:1] or ["0"])


def _direction(sends: bool, receives: bool) -> str:
    if sends:
        return "sendrecv" if receives else "sendonly"
    return "recvonly" if receives else "inactive"
