"""The audio of the caller's turn: nothing lost, nothing doubled, bounded; of a wide-band line at both rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.listening.utterance import BLOCK_MS, Utterance
from audio.rate import BYTES_PER_MS
from tests.agent.phone import widened


def frames(count: int, start: int = 0) -> list[bytes]:
    """20 ms frames, each sample its own number, so that order and loss show."""
    return [
        b"".join((160 * (start + number) + sample).to_bytes(4, "big")[2:] for sample in range(160))
        for number in range(count)
    ]


def narrow_band(pcm: bytes) -> tuple[bytes, bytes]:
    return pcm, b""


def wide_band(pcm: bytes) -> tuple[bytes, bytes]:
    return pcm, widened(pcm)


on_both_lines = pytest.mark.parametrize("line", [narrow_band, wide_band])


@on_both_lines
def test_it_holds_the_moment_before_the_speech(line) -> None:
    utterance = Utterance(preroll_ms=100, max_ms=10_000)
    audio = frames(50)
    for frame in audio:
        utterance.add(*line(frame))
    utterance.begin()
    assert utterance.whole() == line(b"".join(audio)[-100 * BYTES_PER_MS :])


@on_both_lines
def test_blocks_are_the_whole_audio_in_order(line) -> None:
    utterance = Utterance(preroll_ms=100, max_ms=10_000)
    blocks = []
    for number, frame in enumerate(frames(100)):
        utterance.add(*line(frame))
        if number == 20:
            utterance.begin()
        if block := utterance.block():
            assert len(block[0]) >= BLOCK_MS * BYTES_PER_MS
            assert block == line(block[0])
            blocks.append(block)
    blocks.append(utterance.block(rest=True))
    assert tuple(map(b"".join, zip(*blocks, strict=True))) == utterance.whole()
    assert utterance.block() is utterance.block(rest=True) is None


@on_both_lines
def test_going_on_begins_a_new_utterance_with_all_audio_joined(line) -> None:
    utterance = Utterance(preroll_ms=100, max_ms=10_000)
    audio = frames(60)
    utterance.begin()
    for frame in audio[:30]:
        utterance.add(*line(frame))
    first = utterance.block(rest=True)
    for frame in audio[30:]:
        utterance.add(*line(frame))
    utterance.begin()
    assert utterance.number == 2
    assert utterance.block(rest=True) == line(b"".join(audio))
    assert first == line(b"".join(audio[:30]))


@pytest.mark.parametrize("rest", [False, True])
def test_without_audio_there_is_no_block(rest: bool) -> None:
    utterance = Utterance(preroll_ms=100, max_ms=10_000)
    assert utterance.block(rest=rest) is None
    utterance.begin()
    assert utterance.block(rest=rest) is None
    utterance.add(bytes(BLOCK_MS * BYTES_PER_MS))
    assert (utterance.block() is None) is rest, "after the rest there is no more"


@given(
    st.lists(st.integers(1, 800), max_size=200),
    st.integers(0, 100),
    st.integers(40, 400),
    st.sampled_from([narrow_band, wide_band]),
)
def test_it_never_grows_beyond_its_bounds(sizes: list[int], begin_at: int, max_ms: int, line) -> None:
    utterance = Utterance(preroll_ms=40, max_ms=max_ms)
    added, given_bytes = b"", 0
    for number, size in enumerate(sizes):
        if number == begin_at:
            utterance.begin()
        piece = number.to_bytes(2, "big") * size
        added += piece
        utterance.add(*line(piece))
        given_bytes += len((utterance.block() or (b"",))[0])
        limit = (max_ms + 80) * BYTES_PER_MS if utterance.open else 2 * 40 * BYTES_PER_MS
        audio, wide = utterance.whole()
        assert len(audio) <= limit
        assert added.endswith(audio)
        assert wide == line(audio)[1]
    assert given_bytes <= 2 * sum(sizes)
    utterance.close()
    assert len(utterance.whole()[0]) <= 40 * BYTES_PER_MS
    assert utterance.whole() == line(utterance.whole()[0])
