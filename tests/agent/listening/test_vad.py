"""The voice detector: all calls in one run, equal to one by one, and not deaf after a silence."""

from pathlib import Path

import numpy as np
import soxr

from agent.listening.vad import WINDOW, Vad, VadStream
from audio import g711, wav
from audio.rate import WINDOW_MS


def telephone(path: Path, before_s: float, noise_db: float = -60) -> bytes:
    """A recording over the phone line: 8 kHz, G.711, with line noise, after a silence."""
    samples, rate = wav.read(path)
    audio = np.concatenate([np.zeros(int(8000 * before_s), np.float32), soxr.resample(samples, rate, 8000)])
    audio = audio + np.random.default_rng(1).standard_normal(len(audio)) * 10 ** (noise_db / 20)
    return g711.decode(g711.encode((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()))


def probabilities(detector: Vad, stream: VadStream, pcm: bytes) -> list[float]:
    values = []
    for start in range(0, len(pcm), 320):
        stream.feed(pcm[start : start + 320])
        values += [value for owner, value, _ in detector.run() if owner is stream]
    return values


def test_speech_is_heard_and_noise_is_not(speech: Path) -> None:
    detector = Vad()
    voice = probabilities(detector, detector.open(), telephone(speech / "goforward.wav", 0.5))
    assert max(voice) > 0.95
    noise = np.random.default_rng(0).standard_normal(16_000) * 1000
    assert max(probabilities(detector, detector.open(), noise.astype("<i2").tobytes())) < 0.3


def test_many_calls_in_one_run_are_judged_as_one_by_one(speech: Path) -> None:
    calls = [telephone(path, 0.1) for path in sorted(speech.glob("cards-*.wav"))]
    alone = []
    for pcm in calls:
        single = Vad()
        alone.append(probabilities(single, single.open(), pcm))
    together = Vad()
    streams = [together.open() for _ in calls]
    found: dict[VadStream, list[float]] = {stream: [] for stream in streams}
    for start in range(0, max(map(len, calls)), 320):
        for stream, pcm in zip(streams, calls, strict=True):
            stream.feed(pcm[start : start + 320])
        for stream, value, at_ms in together.run():
            found[stream].append(value)
            assert at_ms == len(found[stream]) * WINDOW_MS
    for stream, values in zip(streams, alone, strict=True):
        # ONNX may add up in another order for another batch; the decisions must not differ.
        np.testing.assert_allclose(found[stream], values, atol=1e-4)


def test_after_a_long_silence_speech_is_noticed_as_soon_as_after_a_short_one(speech: Path) -> None:
    def onset_ms(silence_s: float) -> float:
        detector = Vad()
        values = probabilities(detector, detector.open(), telephone(speech / "librivox-0880.wav", silence_s))
        first = next(number for number, value in enumerate(values) if value > 0.5)
        return (first + 1) * WINDOW_MS - 1000 * silence_s

    assert onset_ms(60.032) <= onset_ms(1.024) + 2 * WINDOW_MS


def test_a_stream_given_back_is_used_again_with_a_clean_state(speech: Path) -> None:
    detector = Vad()
    pcm = telephone(speech / "cards-1.wav", 0.1)
    first = detector.open()
    before = probabilities(detector, first, pcm)
    detector.close(first)
    detector.close(first)  # no harm
    second = detector.open()
    assert second.slot == first.slot
    assert probabilities(detector, second, pcm) == before
    others = [detector.open() for _ in range(20)]
    assert len({stream.slot for stream in [second, *others]}) == 21


def test_audio_nobody_judges_is_bounded_and_counted() -> None:
    detector = Vad()
    stream = detector.open()
    for _ in range(1000):
        stream.feed(bytes(320))
    assert len(stream.pending) <= 64 * 2 * WINDOW
    assert stream.dropped_bytes > 0
    [(_, _, at_ms)] = detector.run()
    assert at_ms == (stream.dropped_bytes // (2 * WINDOW) + 1) * WINDOW_MS
