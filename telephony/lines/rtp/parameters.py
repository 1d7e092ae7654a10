"""What two sides have agreed on for a call's audio, by whatever protocol."""

import msgspec

from telephony.lines.rtp.codec import Codec
from telephony.lines.rtp.srtp import Crypto

SocketAddress = tuple[str, int]  # IP and port


class Parameters(msgspec.Struct, frozen=True):
    """One side's view of the agreement."""

    remote: SocketAddress | None  # where the peer receives RTP; None while it receives none (0.0.0.0)
    codecs: dict[int, Codec]  # by payload type; we send the first and accept any
    control: SocketAddress | None = None  # where it receives RTCP
    mux: bool = False  # RTCP shares the port of RTP
    event_type: int | None = None  # the payload type of telephone-events to the peer
    events: dict[int, int] = {}  # the payload types of both directions, each with its clock in Hz
    wishes: dict[int, str] = {}  # the peer's parameters of payload types (a=fmtp), if any
    sends: bool = True  # we may send
    receives: bool = True  # the peer may
    local_key: Crypto | None = None  # both or none
    remote_key: Crypto | None = None
