"""The coders of negotiated codecs."""

from audio.rate import NARROW, Rate
from telephony.lines.rtp.codec import G711, G722, Codec, Coder
from telephony.lines.rtp.g722 import G722Coder
from telephony.lines.rtp.wideband_g711 import WidebandG711


def open_coder(codec: Codec, rate: Rate, parameters: str = "") -> G711 | Coder:
    """The coder of a codec at this line rate; `parameters` are the peer's (a=fmtp).

    G.711 on a line of 8 kHz is itself. Raises SettingsError if a library is missing.
    """
    if isinstance(codec, G711):
        return codec if rate is NARROW else WidebandG711(codec)
    if codec is G722:
        return G722Coder(rate)
    from telephony.lines.rtp.opus import Opus  # noqa: PLC0415 (a library that need not be there)

    return Opus(rate, parameters)
