"""Voice activity: Silero on 8 kHz audio, the windows of all calls in one ONNX run.

A run over many windows costs much less than as many single runs and gives the same probabilities to the bit. The
network is recurrent; after a long silence its state makes it slower to notice speech, so the state of a call that has
been silent for `reset_ms` is cleared.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.listening import silero
from agent.listening.silero import CONTEXT, STATE, WINDOW
from audio.rate import WINDOW_MS

SILENT = 0.1  # below this probability a window counts as silent for the reset
_WINDOW_BYTES = 2 * WINDOW
_MAX_PENDING = 64 * _WINDOW_BYTES  # bytes; some 2 s of audio waiting for a run

Tell = Callable[[float, int], None]  # the probability, 0..1, and the ms of audio up to the end of its window


class VadStream:
    """One call's way into the detector: `feed` takes its audio; `tell` is for what `Vad.run` makes of it."""

    def __init__(self, slot: int, tell: Tell) -> None:
        self.slot = slot
        self.tell = tell
        self.pending = bytearray()
        self.windows = 0  # windows already seen
        self.silent_windows = 0
        self.dropped_bytes = 0

    def feed(self, pcm: bytes) -> None:
        """Take the next piece of 8 kHz mono PCM16, of any length."""
        self.pending += pcm
        if len(self.pending) > _MAX_PENDING:  # nobody runs the detector: keep the newest, in whole windows
            excess = (len(self.pending) - _MAX_PENDING) // _WINDOW_BYTES + 1
            del self.pending[: excess * _WINDOW_BYTES]
            self.windows += excess
            self.dropped_bytes += excess * _WINDOW_BYTES


class Vad:
    """The detector for all calls of a process."""

    def __init__(self, reset_ms: int = 4000, path: Path | None = None) -> None:
        self._session = silero.load(path)
        self._reset_windows = reset_ms // WINDOW_MS
        self._streams: dict[int, VadStream] = {}
        self._free: list[int] = []
        self._state = np.zeros((2, 0, STATE), np.float32)
        self._context = np.zeros((0, CONTEXT), np.float32)

    def open(self, tell: Tell = lambda _, __: None) -> VadStream:
        """A new stream; give it back with `close`."""
        if not self._free:
            self._grow()
        stream = VadStream(self._free.pop(), tell)
        self._streams[stream.slot] = stream
        self._forget(stream)
        return stream

    def close(self, stream: VadStream) -> None:
        """Give a stream back; doing so twice does no harm."""
        if self._streams.get(stream.slot) is stream:
            del self._streams[stream.slot]
            self._free.append(stream.slot)

    def run(self) -> list[tuple[VadStream, float, int]]:
        """Judge one window of every stream that has one: (stream, probability 0..1, ms of audio up to its end)."""
        ready = [stream for stream in self._streams.values() if len(stream.pending) >= _WINDOW_BYTES]
        if not ready:
            return []
        slots = np.fromiter((stream.slot for stream in ready), np.intp, len(ready))
        probabilities = self._infer(slots, b"".join([stream.pending[:_WINDOW_BYTES] for stream in ready]))
        results = []
        for stream, probability in zip(ready, probabilities, strict=True):
            del stream.pending[:_WINDOW_BYTES]
            stream.windows += 1
            stream.silent_windows = stream.silent_windows + 1 if probability < SILENT else 0
            if self._reset_windows and stream.silent_windows >= self._reset_windows:
                self._forget(stream)
            results.append((stream, probability, stream.windows * WINDOW_MS))
        return results

    def _infer(self, slots: np.ndarray[tuple[int], np.dtype[np.intp]], pcm: bytes) -> list[float]:
        samples = np.frombuffer(pcm, "<i2").reshape(len(slots), WINDOW)
        windows = np.empty((len(slots), CONTEXT + WINDOW), np.float32)
        windows[:, :CONTEXT] = self._context[slots]
        np.multiply(samples, np.float32(1 / 32768), out=windows[:, CONTEXT:])
        output, state = self._session.run(None, {"input": windows, "state": self._state[:, slots]})
        self._state[:, slots] = state
        self._context[slots] = windows[:, -CONTEXT:]
        probabilities: list[float] = output[:, 0].tolist()
        return probabilities

    def _forget(self, stream: VadStream) -> None:
        self._state[:, stream.slot] = 0
        self._context[stream.slot] = 0
        stream.silent_windows = 0

    def _grow(self) -> None:
        before = len(self._context)
        after = max(8, 2 * before)
        self._free.extend(range(after - 1, before - 1, -1))
        self._state = np.concatenate([self._state, np.zeros((2, after - before, STATE), np.float32)], axis=1)
        self._context = np.concatenate([self._context, np.zeros((after - before, CONTEXT), np.float32)])
