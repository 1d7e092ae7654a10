"""The agent's audio for the tape, which is mu-law at 8 kHz: from an even sample on, an even number of samples."""

from audio import g711
from audio.rate import NARROW, WIDE
from audio.resample import Downsampler


class TapedAudio:
    """One call's."""

    def __init__(self) -> None:
        self._downsampler = Downsampler()
        self._odd = b""  # an odd last sample, to be taped with the next

    def encode(self, offset: int, pcm: bytes) -> tuple[int, bytes]:
        """A piece at 16 kHz that begins so many samples into its reply: the same at 8 kHz, in mu-law."""
        if offset % 2:
            pcm = (self._odd or pcm[:2]) + pcm
        even = len(pcm) // 4 * 4
        self._odd = pcm[even:]
        return offset * NARROW.per_ms // WIDE.per_ms, g711.encode(self._downsampler.downsample(pcm[:even]))
