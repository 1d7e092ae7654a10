from itertools import pairwise

import numpy as np
import pytest

from agent.engine.realtime.layout import FLUSH_TOKENS, LONGEST_S, Layout
from agent.engine.realtime.utterance import MAX_WAITING_S, RealtimeUtterance
from audio.rate import RATE, WIDE_RATE
from tests.agent.engine.realtime.hearing import tones

LAYOUT = Layout(token=1280, frame=1520, back=200, silence=32, delay=6, begin=1, pad=32, end=2)
WORD = 1300


on_both_lines = pytest.mark.parametrize("rate", [RATE, WIDE_RATE])


def utterance(pcm: bytes = b"", rate: int = RATE) -> RealtimeUtterance:
    made = RealtimeUtterance(0, "call", LAYOUT, rate)
    made.add(pcm)
    return made


def run(item: RealtimeUtterance, token: int) -> int:
    """Steps until there is nothing to hear."""
    steps = 0
    while item.ready():
        item.push(token)
        steps += 1
    return steps


def test_the_layout_leaves_one_token_of_silence_that_hears_the_beginning() -> None:
    assert (LAYOUT.prefix, LAYOUT.lead, LAYOUT.flush) == (31, 1480, 17)
    assert LAYOUT.prompt == [1] + [32] * 38


@on_both_lines
def test_a_step_every_80_ms(rate: int) -> None:
    item = utterance(rate=rate)
    steps = []
    for _ in range(20):
        item.add(bytes(2 * rate // 50))  # 20 ms
        steps.append(run(item, WORD))
    assert steps == [1, 0, 0, 0] * 5


@on_both_lines
def test_frames_overlap_and_follow_each_other(rate: int) -> None:
    item = utterance(tones(1, 0.5, rate), rate)
    frames = []
    while item.ready():
        frames.append(item.frame())
        item.push(WORD)
    assert {len(frame) for frame in frames} == {1520}
    for one, other in pairwise(frames):
        assert np.array_equal(one[1280:], other[:240])


def test_16_khz_is_heard_as_it_is() -> None:
    pcm = tones(1, 0.5, WIDE_RATE)
    item = utterance(pcm, WIDE_RATE)
    assert item.ready()
    expected = np.concatenate((np.zeros(LAYOUT.lead), np.frombuffer(pcm, "<i2") / 32768))[: LAYOUT.frame]
    np.testing.assert_allclose(item.frame(), expected, atol=1e-7)


def test_the_prompt_goes_first_and_then_what_was_said() -> None:
    item = utterance(bytes(16000))
    given = []
    while item.ready():
        given.append(item.token())
        item.push(1000 + len(given))
    assert given[:8] == LAYOUT.prompt[31:] == [32] * 8
    assert given[8:] == item.tokens[:-1] == [1000 + number for number in range(8, len(given))]


@on_both_lines
@pytest.mark.parametrize(("said", "beyond"), [(WORD, 1 + 6 + FLUSH_TOKENS), (LAYOUT.pad, 1 + 6)])
def test_silence_is_heard_until_the_last_word_is_out(said: int, beyond: int, rate: int) -> None:
    item = utterance(bytes(2 * rate), rate)  # 1 s, and perhaps the filter's 2 ms: 13 tokens
    item.end()
    steps = run(item, said)
    assert item.at_end()
    item.add_silence()
    assert not item.at_end()
    steps += run(item, said)
    assert item.over()
    assert steps == 13 + beyond


def test_a_word_under_way_is_finished_first() -> None:
    item = utterance(bytes(16000))
    item.end()
    run(item, WORD)
    item.add_silence()
    said = [WORD] * 10 + [LAYOUT.pad] * 10
    steps = 0
    while item.ready():
        item.push(said[steps])
        steps += 1
    assert item.over()
    assert item.tokens[-4:] == [WORD, *[LAYOUT.pad] * 3]


@on_both_lines
def test_what_is_too_much_is_dropped(rate: int) -> None:
    most = 2 * rate * MAX_WAITING_S
    item = utterance(bytes(most + 1000), rate)
    assert run(item, WORD) == MAX_WAITING_S * 12.5
    item.add(bytes(most))
    assert run(item, WORD) == (LONGEST_S - MAX_WAITING_S) * 12.5


def test_half_a_sample_is_no_sample() -> None:
    item = utterance(bytes(81))
    assert item.ready()
    assert not utterance(bytes(39)).ready()


@on_both_lines
def test_the_caller_goes_on(rate: int) -> None:
    pcm = tones(2, 0.97, rate)
    item = utterance(pcm, rate)
    item.slot = 3
    item.end()
    run(item, WORD)
    item.add_silence()
    run(item, LAYOUT.pad)
    longer = item.goes_on(7, pcm + pcm, rate)
    whole = utterance(pcm + pcm, rate)
    assert longer is not None
    assert (longer.slot, longer.number, longer.marked) == (3, 7, False)
    assert set(longer.tokens) == {WORD}
    for _ in range(13):
        assert whole.ready()
        whole.push(WORD)
    while whole.ready():
        assert longer.ready()
        assert (longer.token(), longer.tokens) == (whole.token(), whole.tokens)
        np.testing.assert_allclose(longer.frame(), whole.frame(), atol=1e-7)
        longer.push(WORD)
        whole.push(WORD)
    assert not longer.ready()


def test_other_audio_is_another_utterance() -> None:
    item = utterance(tones(2, 1))
    assert item.goes_on(1, tones(2, 1)) is None  # it is not over yet
    item.end()
    run(item, WORD)
    item.add_silence()
    assert item.goes_on(1, tones(3, 2)) is None
    assert item.goes_on(1, tones(2, 1)[:-2]) is None
    assert item.goes_on(1, tones(2, 1), WIDE_RATE) is None
    assert item.goes_on(1, tones(2, 1)) is not None
