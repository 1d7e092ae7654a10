"""Opus (RFC 6716) in RTP (RFC 7587), by libopus: mono speech at the line's rate, 20 ms a packet.

The GIL is held during a call into the library (PyDLL): the call takes 0.1 ms, less than it may take to get the GIL back
from another thread.
"""

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from ctypes.util import find_library
from functools import cache

from audio.rate import Rate
from config.exceptions import SettingsError

MISSING = "opus needs the library libopus (Debian: apt-get install libopus0)"
NAMES = ("libopus.so.0", "libopus.0.dylib")

CLOCK = 48  # timestamp units in a ms, whatever the rate of the audio
# Measured on speech: with redundancy, 24 kbit/s keep the band of 8 kHz only from complexity 5 on, at three times the
# time; 32 kbit/s at complexity 1 keep it, and come closer to the original than 24 at complexity 10.
BITRATE = 32_000  # bit/s; less if the peer wants less,
LEAST_BITRATE = 6000  # but not below the minimum of the codec
COMPLEXITY = 1  # of 0 to 10
EXPECTED_LOSS = 10  # percent; for 5 or less it would add no redundancy
MAX_PACKET_MS = 120  # the longest in Opus
MAX_BYTES = 1275  # of one frame
MAX_PAUSE_BYTES = 2  # a packet this short announces a pause of the sender (DTX)

_VOIP = 2048
_SET_BITRATE, _SET_MAX_BANDWIDTH, _SET_VBR, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS = 4002, 4004, 4006, 4010, 4012, 4014
_BANDWIDTHS = ((8000, 1101), (12_000, 1102))  # by the rate that is enough for each
_WIDE_BAND = 1103


def _names() -> Iterator[str]:
    yield from NAMES
    if found := find_library("opus"):
        yield found


@cache
def _library() -> ctypes.PyDLL | None:
    for name in _names():
        with suppress(OSError):
            library = ctypes.PyDLL(name)
            _declare(library)
            return library
    return None


def _declare(library: ctypes.PyDLL) -> None:
    state, number, data = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    library.opus_encoder_init.argtypes = (state, number, number, number)
    library.opus_encoder_ctl.argtypes = (state, number)  # variable arguments follow
    library.opus_encode.argtypes = (state, data, number, state, ctypes.c_int32)
    library.opus_decoder_init.argtypes = (state, number, number)
    library.opus_decode.argtypes = (state, data, ctypes.c_int32, state, number, number)
    library.opus_packet_get_nb_samples.argtypes = (data, ctypes.c_int32, ctypes.c_int32)
    library.opus_packet_get_samples_per_frame.argtypes = (data, ctypes.c_int32)


def available() -> bool:
    """Whether libopus is installed."""
    return _library() is not None


class Opus:
    """See Coder."""

    def __init__(self, rate: Rate, parameters: str = "") -> None:
        """`parameters` are the peer's (a=fmtp). Raises SettingsError if libopus is missing."""
        library = _library()
        if library is None:
            raise SettingsError(MISSING)
        self.clock = CLOCK
        self.silence = b""
        self.conceals = True
        self._library = library
        self._rate = rate
        self._step = rate.per_ms * 5 // 2  # the library conceals in steps of 2.5 ms
        self._encoder = ctypes.create_string_buffer(library.opus_encoder_get_size(1))
        self._decoder = ctypes.create_string_buffer(library.opus_decoder_get_size(1))
        library.opus_encoder_init(self._encoder, rate.hz, 1, _VOIP)
        library.opus_decoder_init(self._decoder, rate.hz, 1)
        self._payload = (ctypes.c_char * MAX_BYTES)()
        self._most = MAX_PACKET_MS * rate.per_ms  # the most samples made at once
        self._pcm = (ctypes.c_char * (2 * self._most))()
        self._heed(_numbers(parameters))

    def _heed(self, wishes: dict[str, int]) -> None:
        """Apply the peer's parameters to the encoder (RFC 7587, 6.1)."""
        hears = wishes.get("maxplaybackrate", self._rate.hz)
        self._set(_SET_BITRATE, min(BITRATE, max(LEAST_BITRATE, wishes.get("maxaveragebitrate", BITRATE))))
        self._set(_SET_MAX_BANDWIDTH, next((code for hz, code in _BANDWIDTHS if hears <= hz), _WIDE_BAND))
        self._set(_SET_VBR, int(wishes.get("cbr") != 1))
        self._set(_SET_FEC, int(wishes.get("useinbandfec") == 1))
        self._set(_SET_LOSS, EXPECTED_LOSS)
        self._set(_SET_COMPLEXITY, COMPLEXITY)

    def _set(self, what: int, value: int) -> None:
        self._library.opus_encoder_ctl(self._encoder, what, ctypes.c_int(value))

    def encode(self, pcm: bytes) -> bytes:
        """See Coder."""
        frame = self._rate.frame
        pcm = pcm.ljust(2 * frame, b"\0")  # the library reads this much regardless of the length
        size = self._library.opus_encode(self._encoder, pcm, frame, self._payload, MAX_BYTES)
        return self._payload.raw[: max(size, 0)]

    def count(self, payload: bytes) -> int:
        """See Coder."""
        count: int = self._library.opus_packet_get_nb_samples(payload, len(payload), self._rate.hz)
        if count <= 0:
            raise ValueError(f"{len(payload)} bytes are no Opus packet")
        return count

    def decode(self, payload: bytes) -> bytes:
        """See Coder."""
        return self._decode(payload, self._most)

    def is_pause(self, payload: bytes) -> bool:
        """See Coder."""
        return len(payload) <= MAX_PAUSE_BYTES

    def conceal(self, count: int) -> bytes:
        """See Coder; at most the length of the longest packet."""
        return self._decode(None, min(-(-count // self._step) * self._step, self._most))

    def recover(self, payload: bytes, count: int) -> bytes:
        """See Coder. A packet holds at most the frame before it, and only if its sender enables that; otherwise the
        library conceals."""
        frame: int = self._library.opus_packet_get_samples_per_frame(payload, self._rate.hz)
        return self._decode(payload, frame, 1)[-2 * count :] if 0 < count <= frame else b""

    def _decode(self, payload: bytes | None, count: int, redundant: int = 0) -> bytes:
        size = len(payload) if payload else 0
        made: int = self._library.opus_decode(self._decoder, payload, size, self._pcm, count, redundant)
        return self._pcm.raw[: 2 * max(made, 0)]


def _numbers(parameters: str) -> dict[str, int]:
    """The parameters whose values are whole numbers; others are left out."""
    numbers = {}
    for part in parameters.split(";"):
        name, _, value = (text.strip() for text in part.partition("="))
        if value.isascii() and value.isdigit() and len(value) < 8:
            numbers[name.lower()] = int(value)
    return numbers
