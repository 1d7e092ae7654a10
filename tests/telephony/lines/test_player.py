"""The playout with its own clock: exact frames, marks when their sample leaves, pauses that lose nothing."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio import g711
from audio.rate import NARROW, WIDE, Rate
from telephony.lines.player import Player

FRAME = 160
RATES = pytest.mark.parametrize("rate", [NARROW, WIDE], ids=["8 kHz", "16 kHz"])


def ramp(samples: int, start: int = 1) -> bytes:
    """Samples that are told apart."""
    return ((np.arange(samples) + start) % 30_000).astype("<i2").tobytes()


def numbers(pcm: bytes) -> list[int]:
    return np.frombuffer(pcm, "<i2").tolist()


class Ear:
    """A player and who is told."""

    def __init__(self, rate: Rate = NARROW) -> None:
        self.played: list[tuple[int, float]] = []
        self.began: list[int] = []
        self.player = Player(lambda reply, ms: self.played.append((reply, ms)), self.began.append)
        self.player.settle(rate)

    def frames(self, count: int) -> list[bytes | None]:
        return [self.player.frame() for _ in range(count)]


@RATES
@given(
    pieces=st.lists(st.integers(1, 2000), min_size=1, max_size=8),
    marks=st.lists(st.floats(1, 1500), max_size=6),
)
def test_every_sample_leaves_once_and_without_a_gap(rate: Rate, pieces: list[int], marks: list[float]) -> None:
    ear, per_ms, frame = Ear(rate), rate.per_ms, 2 * rate.frame
    whole = ramp(sum(pieces))
    at = 0
    for count in pieces:
        ear.player.add(1, whole[2 * at : 2 * (at + count)], sorted(marks) if at == 0 else [])
        at += count
    frames = ear.frames(len(whole) // frame + 1)
    heard = b"".join(frame for frame in frames if frame)
    assert heard[: len(whole)] == whole
    assert not any(heard[len(whole) :])
    assert all(piece is None or len(piece) == frame for piece in frames)
    assert ear.player.frame() is None
    assert ear.began == [1]
    length_ms = sum(pieces) / per_ms
    ends = [min(round(ms * per_ms) / per_ms, length_ms) for ms in sorted(marks)]
    assert [ms for _, ms in ear.played] == pytest.approx(ends)
    assert ear.player.playout.underruns == 0


def test_a_mark_is_played_with_its_sample() -> None:
    ear = Ear()
    ear.player.add(1, ramp(1600), [20, 20.125, 100])
    told = []
    for _ in range(10):
        ear.player.frame()
        told.append([ms for _, ms in ear.played])
    assert told[0] == [20]
    assert told[1] == told[3] == [20, 20.125]
    assert told[4] == [20, 20.125, 100]


@RATES
@pytest.mark.parametrize("before", [1, 2, 7])
def test_pause_is_silent_after_one_frame_and_resume_goes_on_with_the_very_sample(before: int, rate: Rate) -> None:
    ear = Ear(rate)
    whole = np.full(20 * rate.frame, 10_000, "<i2")
    ear.player.add(1, whole.tobytes(), [350.0])
    ear.frames(before)
    assert ear.player.pause() == before * 20
    fade, *silence = ear.frames(5)
    assert fade is not None
    assert all(a > b for a, b in pairwise(numbers(fade)))
    assert silence == [None] * 4
    ear.player.resume()
    after = ear.frames(20 - before)
    assert np.frombuffer(fade, "<i2")[1:].max() < 10_000
    assert numbers(after[0] or b"")[1] > 0  # fades in
    summed = np.frombuffer(fade, "<i2") + np.frombuffer(after[0] or b"", "<i2")
    assert (summed == 10_000).all()
    assert b"".join(frame or b"" for frame in after[1:]) == whole[(before + 1) * rate.frame :].tobytes()
    assert ear.player.frame() is None
    assert ear.played == [(1, 350.0)]
    assert ear.began == [1]


@RATES
@pytest.mark.parametrize("before", [1, 2, 7])
def test_where_no_frame_leaves_there_is_no_fade_and_nothing_is_heard_of_the_pause(before: int, rate: Rate) -> None:
    ear = Ear(rate)
    whole = ramp(20 * rate.frame)
    ear.player.add(1, whole, [350.0])
    heard = ear.frames(before)
    for _ in range(2):
        assert ear.player.pause(leaving=False) == before * 20
        ear.player.resume()
    heard += ear.frames(20 - before)
    assert b"".join(frame or b"" for frame in heard) == whole
    assert ear.played == [(1, 350.0)]


def test_dropped_reply_gives_way_to_the_next() -> None:
    ear = Ear()
    ear.player.add(1, ramp(3200), [400])
    ear.frames(3)
    ear.player.pause()
    ear.player.drop()
    ear.player.add(2, ramp(800, start=9000), [100])
    fade, *frames = ear.frames(6)
    assert fade is not None
    assert max(numbers(fade)) < 1000
    assert b"".join(frame or b"" for frame in frames) == ramp(800, start=9000)
    assert ear.played == [(2, 100)]
    assert ear.began == [1, 2]


def test_the_position_of_a_pause_counts_from_its_own_reply() -> None:
    """The rest of the reply before is not taken for the next one's."""
    ear = Ear()
    ear.player.add(1, ramp(1000), [125])
    ear.frames(5)
    ear.player.add(2, ramp(3200), [])
    ear.frames(2)  # 25 ms are left of the first reply: a frame, and a part of one that is filled with silence
    assert ear.player.pause() == 0
    ear.player.drop()
    ear.player.add(3, ramp(3200), [])
    ear.frames(4)
    assert ear.player.pause() == 60  # the fade of the second was the first frame


def test_running_dry_is_counted_and_taped() -> None:
    ear = Ear()
    notes: list[dict[str, Any]] = []
    ear.player.note = lambda **fields: notes.append(fields)
    ear.player.add(1, ramp(320), [])
    assert ear.frames(4)[2:] == [None, None]
    ear.player.add(1, ramp(320), [])
    assert ear.player.frame() == ramp(160)
    assert ear.player.playout.underruns == 1
    assert [note["ms"] for note in notes if note.get("out") == "underrun"] == [40]


def test_the_tape_is_told_all() -> None:
    ear = Ear()
    notes: list[dict[str, Any]] = []
    ear.player.note = lambda **fields: notes.append(fields)
    ear.player.add(1, ramp(1600), [50])
    ear.frames(4)
    ear.player.pause()
    outs = [note.get("out", note.get("in")) for note in notes]
    assert outs[-2:] == ["clear", "media"]
    assert outs.count("mark") == 2  # sent and returned
    media = [note for note in notes if note.get("out") == "media"]
    for one, other in pairwise(media[:-1]):
        assert other["position"] == one["position"] + len(one["ulaw"])
    assert media[-1]["position"] == 640
    assert all(0 <= note["in_ms"] <= 60 for note in media)


def test_the_tape_of_a_wide_band_line_is_at_8_khz() -> None:
    """Positions, names of marks and audio, also of pieces and marks at odd samples, as if the line had been narrow."""
    time = np.arange(16 * 300) / 16_000
    sound = (8000 * np.sin(2 * np.pi * 440 * time)).astype("<i2")
    taped = {}
    for rate in (NARROW, WIDE):
        ear, notes = Ear(rate), []
        ear.player.note = lambda notes=notes, **fields: notes.append(fields)
        pcm = sound[:: 16 // rate.per_ms].tobytes()
        cut = 2 * (41 * rate.per_ms + rate.per_ms // 16)  # an odd number of samples of 16 kHz
        ear.player.add(1, pcm[:cut], [20.0625, 41])
        ear.player.add(1, pcm[cut:], [150.1875, 300])
        ear.frames(6)
        ear.player.pause()
        ear.frames(2)
        ear.player.resume()
        ear.frames(12)
        taped[rate] = notes
    wide, narrow = taped[WIDE], taped[NARROW]
    media = [note for note in wide if note.get("out") == "media"]
    assert {"out": "clear"} in wide
    places = [note["position"] for note in media]
    fade = places.index(960)
    for one, other in pairwise(media[:fade]):
        assert other["position"] == one["position"] + len(one["ulaw"])
    assert media[-1]["position"] + len(media[-1]["ulaw"]) == 2400
    for notes, third in ((wide, "1201"), (narrow, "1202")):
        assert {note["name"].split(".")[2] for note in notes if "name" in note} == {"160", "328", third, "2400"}
    heard = [np.zeros(2400), np.zeros(2400)]
    for track, notes in zip(heard, (wide, narrow), strict=True):
        for note in notes:
            if note.get("out") == "media":
                piece = np.frombuffer(g711.decode(note["ulaw"]), "<i2")
                track[note["position"] : note["position"] + len(piece)] = piece
    assert np.corrcoef(heard[0][9:2200], heard[1][: 2200 - 9])[0, 1] > 0.98  # the filter is 9 samples late


@RATES
def test_whoever_records_is_told_of_each_frame_that_leaves(rate: Rate) -> None:
    ear = Ear(rate)
    told: list[bytes] = []
    ear.player.sent = told.append
    ear.player.add(1, ramp(3 * rate.frame // 2), [])
    ear.frames(1)
    ear.player.pause()
    ear.frames(4)
    ear.player.resume()
    frames = [frame for frame in ear.frames(4) if frame]
    assert len(told) == 2 + len(frames)  # the first, the fade, and the rest
    assert b"".join(told[2:]) == b"".join(frames)[: len(b"".join(told[2:]))]
