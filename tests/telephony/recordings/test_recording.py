"""What a line tells a recording, and what is put aside for the writer."""

import logging

import pytest

from config.logging import Log
from telephony.files.backlog import Backlog
from telephony.recordings import recording as module
from telephony.recordings.recording import Piece, Recording

LOG = Log(logging.getLogger("voxline.call"), {"call": "CA1"})
MS = b"\1\0" * 8  # of audio


def recording(most: int = 10**6) -> Recording:
    return Recording("one", 8000, LOG, Backlog(most))


def test_pieces_have_their_places() -> None:
    one = recording()
    one.agent(MS * 10)
    one.caller(MS * 20)
    one.agent(MS * 10, ahead_ms=5)
    one.agent(MS * 10, hole_ms=2)
    one.take_back(3)
    assert [(piece.kind, piece.at, len(piece.pcm) // 16) for piece in one.take()] == [
        ("agent", 0, 10),
        ("caller", 0, 20),
        ("agent", 200, 10),
        ("agent", 296, 10),
        ("cut", 352, 0),
    ]
    assert one.take() == []
    assert one.ms == 20


def test_while_paused_nothing_of_the_caller_is_put_aside() -> None:
    one = recording()
    one.caller(MS)
    one.pause()
    one.pause()
    one.caller(MS)
    one.resume()
    one.resume()
    one.caller(MS)
    assert one.take() == [
        Piece("caller", 0, MS),
        Piece("pause", 8),
        Piece("caller", 8, bytes(16)),
        Piece("resume", 16),
        Piece("caller", 16, MS),
    ]


def test_what_does_not_fit_is_left_out_and_the_time_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BUFFER", 32)
    one = recording()
    for _ in range(4):
        one.caller(MS)
    one.pause()
    assert [(piece.kind, piece.at) for piece in one.take()] == [("caller", 0), ("caller", 8), ("pause", 32)]
    assert one.incomplete


def test_all_calls_together_hold_only_so_much() -> None:
    waiting = Backlog(40_000)
    calls = [Recording(str(number), 8000, LOG, waiting) for number in range(10)]
    for call in calls:
        call.caller(bytes(8000))
    assert waiting.bytes == 40_000
    assert [call.incomplete for call in calls] == [False] * 5 + [True] * 5
    for call in calls:
        call.take()
    assert waiting.bytes == 0
