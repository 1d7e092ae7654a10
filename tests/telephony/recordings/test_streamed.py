"""A carrier that buffers audio, in virtual time: what is recorded of the agent is what its caller has heard."""

import logging
from collections import deque
from math import inf

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio import g711
from config.logging import Log
from config.settings import PlayoutSettings
from telephony.files.backlog import Backlog
from telephony.lines.line import Listener
from telephony.lines.playout import FADE_MS, Mark, Playout
from telephony.lines.stream.sent_audio import SentAudio
from telephony.recordings.recording import Recording
from telephony.recordings.tracks import Tracks

STEP_MS, FRAME_MS = 10, 20
PER_MS = 8
Track = NDArray[np.int16]
LOG = Log(logging.getLogger("voxline.call"), {"call": "CA1"})


class Recorded(Listener):
    """A listener that has nothing but a recording."""

    taping = False
    recording = True

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def sent(self, pcm: bytes, in_ms: float = 0.0, hole_ms: float | None = None) -> None:
        self._recording.agent(pcm, in_ms, hole_ms)

    def taken_back(self, ms: float) -> None:
        self._recording.take_back(ms)

    async def closed(self) -> None: ...


class Carrier:
    """Plays what it is sent, one after another, and returns the marks between."""

    def __init__(self) -> None:
        self.ear = bytearray()  # mu-law
        self._queue: deque[bytes | str] = deque()

    @property
    def playing(self) -> bool:
        return bool(self._queue)

    def send(self, item: bytes | str) -> None:
        self._queue.append(item)

    def clear(self) -> list[str]:
        marks = [item for item in self._queue if isinstance(item, str)]
        self._queue.clear()
        return marks

    def play(self, ms: int) -> list[str]:
        end, marks = len(self.ear) + ms * PER_MS, []
        while self._queue:
            item = self._queue[0]
            if isinstance(item, str):
                marks.append(item)
                self._queue.popleft()
                continue
            room = end - len(self.ear)
            if not room:
                break
            self.ear += item[:room]
            self._queue.popleft()
            if item[room:]:
                self._queue.appendleft(item[room:])
        self.ear += g711.SILENCE * (end - len(self.ear))
        return marks


class StreamedCall:
    """A line that streams to the carrier, as StreamCall does."""

    def __init__(self) -> None:
        playout = PlayoutSettings()
        self.now = 0
        self.carrier, self.playout = Carrier(), Playout(playout)
        self.recording = Recording("one", 8000, LOG, Backlog(10**9), takes_back_ms=playout.lead_ms + 3000)
        self._sent = SentAudio(Recorded(self.recording))
        self._reply, self._made_ms = 0, 0.0
        self._random = np.random.default_rng(1)

    def time(self, ms: int) -> None:
        for _ in range(ms // STEP_MS):
            if self.now % FRAME_MS == 0 and self.now:
                self.recording.caller(bytes(2 * FRAME_MS * PER_MS))
            if self.playout.due_ms <= self.now:
                self._send()
            for mark in self.carrier.play(STEP_MS):
                self.playout.returned(mark, self.now + STEP_MS)
            self.now += STEP_MS

    def _send(self) -> None:
        position, plays_ms = self.playout.next_at
        items = self.playout.take(self.now)
        dry_ms = self.playout.dry_ms
        for item in items:
            if isinstance(item, Mark):
                self.carrier.send(item.name)
                continue
            ulaw = g711.encode(item)
            self._sent.block(self.playout.reply, ulaw, position, max(0.0, plays_ms - self.now), dry_ms)
            dry_ms = 0.0
            self.carrier.send(ulaw)
            position += len(ulaw)
            plays_ms = max(plays_ms, self.now) + len(ulaw) / PER_MS

    def reply(self, ms: int, *, more: bool = False) -> None:
        """Audio of a new reply, once the last one was heard, or more of this one."""
        if not more:
            while self.playout.due_ms < inf or self.carrier.playing:
                self.time(STEP_MS)
            self._reply, self._made_ms = self._reply + 1, 0.0
        self._made_ms += ms
        sound = self._random.integers(2000, 20_000, ms * PER_MS) * self._random.choice([-1, 1], ms * PER_MS)
        self.playout.add(self._reply, sound.astype("<i2").tobytes(), [self._made_ms])

    def pause(self) -> None:
        fade, heard_ms = self.playout.pause(self.now)
        for mark in self.carrier.clear():
            self.playout.returned(mark, self.now)
        ulaw = g711.encode(fade)
        self._sent.paused(self.playout.reply, heard_ms, ulaw)
        if ulaw:
            self.carrier.send(ulaw)

    def recorded(self) -> Track:
        """The agent's side."""
        tracks = Tracks(8000, self.recording.settle)
        for piece in self.recording.take():
            if piece.kind == "caller":
                tracks.caller(piece.at, piece.pcm)
            elif piece.kind == "agent":
                tracks.agent(piece.at, piece.pcm)
            else:
                tracks.cut(piece.at)
        return tracks.take(rest=True)[:, 1]

    def heard(self) -> Track:
        """What has reached the ear."""
        return np.frombuffer(g711.decode(bytes(self.carrier.ear)), "<i2")


def run(steps: list[tuple[str, int]]) -> StreamedCall:
    """What happens in a call, in this order, each time with so much time after it."""
    call, paused, begun = StreamedCall(), False, False
    for what, ms in steps:
        if what == "reply" and not paused:
            call.reply(10 + ms)
            begun = True
        elif what == "more" and begun:
            call.reply(10 + ms, more=True)
        elif what == "pause" and begun and not paused:
            call.pause()
            paused = True
        elif what == "resume" and paused:
            call.playout.resume(call.now)
            paused = False
        elif what == "drop" and paused:
            call.playout.drop()
            paused = begun = False
        call.time(ms // STEP_MS * STEP_MS)
    call.time(FRAME_MS)
    return call


def test_a_reply_that_is_cut_off_stops_where_it_was_cut_off() -> None:
    call = run([("reply", 500), ("more", 2000), ("pause", 500), ("drop", 500), ("reply", 400), ("wait", 200)])
    recorded, heard = call.recorded(), call.heard()
    shift = np.flatnonzero(heard)[0] - np.flatnonzero(recorded)[0]
    assert abs(shift) <= FRAME_MS * PER_MS
    assert np.array_equal(recorded[recorded != 0], heard[heard != 0])


def test_a_reply_that_is_paused_is_silent_and_then_goes_on() -> None:
    call = run([("reply", 1000), ("pause", 700), ("resume", 2000)])
    recorded, heard = call.recorded(), call.heard()
    assert np.array_equal(recorded[recorded != 0], heard[heard != 0])
    breaks = [np.diff(np.flatnonzero(track)).max() for track in (recorded, heard)]
    assert breaks[1] > (700 - 2 * FADE_MS) * PER_MS
    assert abs(breaks[0] - breaks[1]) <= FRAME_MS * PER_MS


@example([("reply", 11), ("reply", 0), ("pause", 0)])  # paused before any of the second reply was sent
@example([("reply", 0), ("resume", 40), ("more", 0), ("pause", 0)])
@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["reply", "more", "pause", "resume", "drop", "wait"]), st.integers(0, 900)),
        max_size=14,
    )
)
def test_the_recording_is_what_was_heard_however_it_is_played(steps: list[tuple[str, int]]) -> None:
    """Sample by sample, each within a frame of its time: the time moves on in frames."""
    call = run(steps)
    kept, told = call.recorded(), call.heard()
    recorded, heard = np.flatnonzero(kept), np.flatnonzero(told)
    count = min(len(recorded), len(heard))
    assert abs(len(recorded) - len(heard)) <= FRAME_MS * PER_MS  # at the very end of the call
    assert np.array_equal(kept[recorded[:count]], told[heard[:count]])
    assert np.all(np.abs(recorded[:count] - heard[:count]) <= FRAME_MS * PER_MS)
