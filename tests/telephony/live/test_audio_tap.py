"""Listening in: both sides in step, what was taken back is not heard, and who reads slowly loses the oldest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telephony.live.audio_tap import AGENT, BEHIND_MS, BLOCK_MS, CALLER, AudioTap, Listening

FRAME = 320  # bytes of 20 ms


def sound(ms: int, value: int = 1000) -> bytes:
    return np.full(8 * ms, value, "<i2").tobytes()


def tap(*, private: bool = False) -> tuple[AudioTap, Listening]:
    found, listening = AudioTap(8000, private=private), Listening()
    found.listeners.add(listening)
    return found, listening


def tracks(frames: list[bytes]) -> tuple[bytes, bytes]:
    """Both tracks of frames without a hole."""
    found = {CALLER: b"", AGENT: b""}
    for frame in frames:
        assert int.from_bytes(frame[1:5], "big") == len(found[frame[0]]) // 2
        found[frame[0]] += frame[5:]
    return found[CALLER], found[AGENT]


def test_both_sides_are_in_step() -> None:
    one, listening = tap()
    one.agent(sound(60, 7), 40, None)
    for _ in range(8):
        one.caller(sound(20, 5))
    caller, agent = tracks(listening.take())
    assert caller == sound(160, 5)
    assert agent == bytes(16 * 40) + sound(60, 7) + bytes(16 * 60)


def test_what_was_taken_back_is_not_heard() -> None:
    one, listening = tap()
    one.agent(sound(200, 7), 0, None)
    for _ in range(4):
        one.caller(sound(20))
    one.taken_back(120)
    for _ in range(8):
        one.caller(sound(20))
    assert tracks(listening.take())[1] == sound(80, 7) + bytes(16 * 160)


def test_while_the_call_is_private_both_sides_are_silent() -> None:
    one, listening = tap(private=True)
    one.agent(sound(1000, 7), 0, None)
    frames = []
    for step in range(20):
        if step in (5, 10):
            one.switch(on=step == 5)
        one.caller(sound(20, 5))
        frames += listening.take()
    for pcm, value in zip(tracks(frames), (5, 7), strict=True):
        assert pcm == bytes(16 * 100) + sound(100, value) + bytes(16 * 200)


def test_who_reads_slowly_loses_the_oldest_and_sees_the_hole() -> None:
    one, listening = tap()
    for number in range(50):
        one.caller(sound(20, number))
    frames = listening.take()
    assert len(frames) == 2 * BEHIND_MS // BLOCK_MS
    assert int.from_bytes(frames[0][1:5], "big") == 8 * (1000 - BEHIND_MS)
    assert listening.dropped == 2 * (1000 - BEHIND_MS) // BLOCK_MS
    assert listening.take() == []


def test_the_place_starts_again_from_0_when_its_four_bytes_are_full() -> None:
    listening = Listening()
    listening.put((AGENT, 2**32 + 5, b"\1\0"))
    assert listening.take() == [b"\1\0\0\0\5\1\0"]


@given(st.lists(st.tuples(st.sampled_from(["caller", "agent", "back", "on", "off"]), st.integers(0, 300))))
def test_whatever_comes_the_tracks_have_no_hole(steps: list[tuple[str, int]]) -> None:
    one, listening = tap()
    frames: list[bytes] = []
    for what, ms in steps:
        match what:
            case "caller":
                one.caller(sound(20 * (ms % 3)))
            case "agent":
                one.agent(sound(ms), ms, None if ms % 2 else 0.0)
            case "back":
                one.taken_back(ms)
            case _:
                one.switch(on=what == "on")
        frames += listening.take()
    caller, agent = tracks(frames)
    assert len(caller) == len(agent)
