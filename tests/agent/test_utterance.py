"""The audio of the caller's turn: nothing lost, nothing doubled, bounded."""

from hypothesis import given
from hypothesis import strategies as st

from agent.utterance import BLOCK_MS, BYTES_PER_MS, Utterance


def frames(count: int, start: int = 0) -> list[bytes]:
    """20 ms frames, each sample its own number, so that order and loss show."""
    return [
        b"".join((160 * (start + number) + sample).to_bytes(4, "big")[2:] for sample in range(160))
        for number in range(count)
    ]


def test_it_holds_the_moment_before_the_speech() -> None:
    utterance = Utterance(preroll_ms=100, max_ms=10_000)
    audio = frames(50)
    for frame in audio:
        utterance.add(frame)
    utterance.begin()
    assert utterance.audio() == b"".join(audio)[-100 * BYTES_PER_MS :]


def test_blocks_are_the_whole_audio_in_order() -> None:
    utterance = Utterance(preroll_ms=100, max_ms=10_000)
    blocks = []
    for number, frame in enumerate(frames(100)):
        utterance.add(frame)
        if number == 20:
            utterance.begin()
        if block := utterance.block():
            assert len(block) >= BLOCK_MS * BYTES_PER_MS
            blocks.append(block)
    blocks.append(utterance.block(rest=True))
    assert b"".join(blocks) == utterance.audio()
    assert utterance.block() == utterance.block(rest=True) == b""


def test_going_on_begins_a_new_utterance_with_all_audio_joined() -> None:
    utterance = Utterance(preroll_ms=100, max_ms=10_000)
    audio = frames(60)
    utterance.begin()
    for frame in audio[:30]:
        utterance.add(frame)
    first = utterance.block(rest=True)
    for frame in audio[30:]:
        utterance.add(frame)
    utterance.begin()
    assert utterance.number == 2
    assert utterance.block(rest=True) == b"".join(audio)
    assert first == b"".join(audio[:30])


@given(st.lists(st.integers(1, 800), max_size=200), st.integers(0, 100), st.integers(40, 400))
def test_it_never_grows_beyond_its_bounds(sizes: list[int], begin_at: int, max_ms: int) -> None:
    utterance = Utterance(preroll_ms=40, max_ms=max_ms)
    given_bytes = 0
    for number, size in enumerate(sizes):
        if number == begin_at:
            utterance.begin()
        utterance.add(bytes(2 * size))
        given_bytes += len(utterance.block())
        limit = (max_ms + 80) * BYTES_PER_MS if utterance.open else 2 * 40 * BYTES_PER_MS
        assert len(utterance.audio()) <= limit
    assert given_bytes <= 2 * sum(sizes)
    utterance.close()
    assert len(utterance.audio()) <= 40 * BYTES_PER_MS
