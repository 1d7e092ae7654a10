"""The agent's audio on the tape: half as many samples, each in its place, however it was cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio import g711
from telephony.lines.browser.taped_audio import TapedAudio


@given(st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_pieces_of_any_length_give_the_same_tape(lengths: list[int]) -> None:
    whole = (np.sin(np.arange(sum(lengths)) * 0.05) * 9000).astype("<i2").tobytes()
    _, at_once = TapedAudio().encode(0, whole)
    taped, out, at = TapedAudio(), b"", 0
    for count in lengths:
        place, ulaw = taped.encode(at, whole[2 * at : 2 * (at + count)])
        assert place == len(out)
        out += ulaw
        at += count
    assert out == at_once
    assert len(out) == sum(lengths) // 2


def test_after_a_pause_at_an_odd_sample_it_goes_on_at_an_even_one() -> None:
    taped = TapedAudio()
    taped.encode(0, bytes(400))
    place, ulaw = taped.encode(151, bytes(200))
    assert (place, len(ulaw)) == (75, 50)
    assert set(g711.decode(ulaw)) == {0}
