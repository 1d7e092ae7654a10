"""G.722: bit for bit what another implementation makes of it, in the band and with the losses of a call."""

import ctypes
import itertools
from ctypes.util import find_library

import numpy as np
import pytest

from audio.rate import NARROW, WIDE
from telephony.lines.rtp import packet
from telephony.lines.rtp.codec import G722, PCMU
from telephony.lines.rtp.g722 import G722Coder
from telephony.lines.rtp.media import Media
from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.parameters import Parameters
from tests.debian import needs
from tests.telephony.lines.rtp.speech import hiss, likest, share, voice

PEER = ("198.51.100.7", 20_000)
AGREED = Parameters(remote=PEER, codecs={9: G722, 0: PCMU})


class Spandsp:
    """The same codec by libspandsp."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(find_library("spandsp") or "libspandsp.so.2")
        for name in ("g722_encode_init", "g722_decode_init"):
            function = getattr(self.library, name)
            function.restype, function.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
        for name in ("g722_encode", "g722_decode"):
            function = getattr(self.library, name)
            function.restype = ctypes.c_int
            function.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
        self.encoder = self.library.g722_encode_init(None, 64_000, 0)
        self.decoder = self.library.g722_decode_init(None, 64_000, 0)

    def encode(self, pcm: bytes) -> bytes:
        out = ctypes.create_string_buffer(len(pcm))
        size = self.library.g722_encode(self.encoder, out, pcm, len(pcm) // 2)
        return out.raw[:size]

    def decode(self, payload: bytes) -> bytes:
        out = ctypes.create_string_buffer(4 * len(payload))
        count = self.library.g722_decode(self.decoder, out, payload, len(payload))
        return out.raw[: 2 * count]


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + 640] for at in range(0, len(pcm) - 639, 640)]


def alike(ours: bytes, theirs: bytes) -> bool:
    """The same but for what is too loud: there libspandsp 0.0.6 wraps around."""
    a, b = np.frombuffer(ours, "<i2"), np.frombuffer(theirs, "<i2")
    return len(a) == len(b) and bool(np.all((a == b) | (a == 32_767) | (a == -32_768)))


@needs("libspandsp2")
@pytest.mark.parametrize("sound", ["voice", "hiss", "loud", "silence", "quiet"])
def test_it_codes_and_decodes_bit_for_bit_as_another_implementation(sound: str) -> None:
    rng = np.random.default_rng(5)
    pcm = {
        "voice": lambda: voice(4),
        "hiss": lambda: hiss(3),
        "loud": lambda: rng.integers(-32_768, 32_767, 32_000).astype("<i2").tobytes(),
        "silence": lambda: bytes(64_000),
        "quiet": lambda: rng.integers(-3, 4, 32_000).astype("<i2").tobytes(),
    }[sound]()
    ours, theirs = G722Coder(WIDE), Spandsp()
    for frame in frames(pcm):
        payload = ours.encode(frame)
        assert payload == theirs.encode(frame)
        assert alike(ours.decode(payload), theirs.decode(payload))


@needs("libspandsp2")
def test_any_bytes_decode_as_another_implementation_decodes_them() -> None:
    ours, theirs = G722Coder(WIDE), Spandsp()
    for seed in range(50):
        payload = np.random.default_rng(seed).bytes(160)
        assert alike(ours.decode(payload), theirs.decode(payload))


def test_what_lies_above_4_khz_survives() -> None:
    coder = G722Coder(WIDE)
    out = b"".join(coder.decode(coder.encode(frame)) for frame in frames(hiss(2)))
    assert share(out, 5000, 7000) > 0.9
    spoken = voice(3)
    coder = G722Coder(WIDE)
    assert likest(spoken, b"".join(coder.decode(coder.encode(frame)) for frame in frames(spoken)))[0] > 0.98


def test_on_a_line_of_8_khz_it_is_its_lower_band() -> None:
    wide, narrow = G722Coder(WIDE), G722Coder(NARROW)
    payload = wide.encode(voice(1)[:640])
    assert (len(payload), wide.count(payload), narrow.count(payload)) == (160, 320, 160)
    assert len(narrow.decode(payload)) == 320
    assert len(narrow.encode(bytes(320))) == 160


def test_a_call_is_heard_and_speaks_at_16_khz_with_timestamps_of_8() -> None:
    said, frame = voice(4), 0

    def speak() -> bytes:
        nonlocal frame
        frame += 1
        return said[640 * (frame - 1) : 640 * frame]

    one, coder, out = Media(AGREED, speak, 0.0), G722Coder(WIDE), b""
    assert one.rate is WIDE
    sent = []
    for n, piece in enumerate(frames(said)):
        one.receive(packet.encode(Packet(9, n, 160 * n, 7, coder.encode(piece))), PEER, 20.0 * n)
        out += one.hear(20.0 * n)
        data = one.tick(20.0 * n)
        assert data
        sent.append(packet.parse(data))
    assert likest(said, out)[0] > 0.98
    assert one.jitter.counters.concealed_ms == 0
    assert {(b.timestamp - a.timestamp) & 0xFFFF_FFFF for a, b in itertools.pairwise(sent)} == {160}
    again = G722Coder(WIDE)
    assert likest(said, b"".join(again.decode(item.payload) for item in sent))[0] > 0.98


def test_losses_are_made_up_for_and_a_turn_to_g711_and_back_is_heard() -> None:
    said = voice(4)
    one, coder, out = Media(AGREED, lambda: None, 0.0), G722Coder(WIDE), b""
    for n, piece in enumerate(frames(said)):
        narrow = 80 <= n < 120
        payload = PCMU.encode(np.frombuffer(piece, "<i2")[::2].tobytes()) if narrow else coder.encode(piece)
        if n % 20 != 7:
            one.receive(packet.encode(Packet(0 if narrow else 9, n, 160 * n, 7, payload)), PEER, 20.0 * n)
        out += one.hear(20.0 * n)
    assert likest(said, out)[0] > 0.9
    assert 150 <= one.jitter.counters.concealed_ms <= 250
    assert (one.jitter.counters.damaged, one.counters.malformed) == (0, 0)
