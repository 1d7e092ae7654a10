"""Stereo audio as the bytes of a file: Opus in Ogg, or WAV. Nothing here touches a disk.

Both can be read at any moment as far as they have come: Ogg's pages are whole after each second, and a WAV's header is
written anew with each piece.
"""

import struct
from typing import Protocol

import soundfile

from telephony.recordings.tracks import Stereo

# libsndfile turns it into a bit rate, of 42 kbit/s for both sides. At half of that, levels are off by more than 0.5 dB.
COMPRESSION = 0.94


class Encoder(Protocol):
    """One file. What is returned is to be appended to it."""

    ending: str  # of the file's name

    def encode(self, stereo: Stereo) -> bytes:
        """The next samples; at least one."""

    def end(self) -> bytes:
        """No more come; there have been some."""

    def head(self, size: int) -> bytes:
        """What to write over the beginning of a file that is `size` bytes long now; empty: nothing."""


class OpusEncoder(Encoder):
    """Opus (RFC 6716) in Ogg (RFC 7845), by libsndfile."""

    ending = ".ogg"

    def __init__(self, rate: int, title: str) -> None:
        """`rate` is 8000 or 16000 Hz."""
        self._pages = _Pages()
        self._file = soundfile.SoundFile(
            self._pages, "w", rate, 2, format="OGG", subtype="OPUS", compression_level=COMPRESSION
        )
        self._file.title = title

    def encode(self, stereo: Stereo) -> bytes:
        """See Encoder."""
        self._file.write(stereo)
        return self._pages.take()

    def end(self) -> bytes:
        """See Encoder."""
        self._file.close()
        return self._pages.take()

    def head(self, size: int) -> bytes:  # noqa: ARG002
        """See Encoder."""
        return b""


class WavEncoder(Encoder):
    """WAV, 16-bit PCM."""

    ending = ".wav"

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._begun = False

    def encode(self, stereo: Stereo) -> bytes:
        """See Encoder."""
        head = b"" if self._begun else wav_head(self._rate, 0)
        self._begun = True
        return head + stereo.astype("<i2").tobytes()

    def end(self) -> bytes:
        """See Encoder."""
        return b""

    def head(self, size: int) -> bytes:
        """See Encoder."""
        return wav_head(self._rate, size - len(wav_head(self._rate, 0)))


def wav_head(rate: int, size: int) -> bytes:
    """The header of a stereo WAV file with `size` bytes of samples."""
    size = min(size, 0xFFFF_FFFF - 36)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, rate, 4 * rate, 4, 16)
    return struct.pack("<4sI4s", b"RIFF", size + 36, b"WAVE") + form + struct.pack("<4sI", b"data", size)


class _Pages:
    """The file that libsndfile writes to. It only ever appends."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._taken = 0

    def take(self) -> bytes:
        """What was written since the last time."""
        pages = bytes(self._bytes)
        self._taken += len(pages)
        self._bytes.clear()
        return pages

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def tell(self) -> int:
        return self._taken + len(self._bytes)

    def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002 (libsndfile asks how long the file is)
        return self.tell()

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002 (a file to soundfile is what has this)
        return b""
