"""The caller's side of one talk over any carrier: what is said when, and the record of all that is sent and heard.

Sans-I/O. All times are in samples (8 kHz) since the talk began; `now` never runs backwards.
"""

from array import array
from collections.abc import Iterator, Sequence

import msgspec

from audio.rate import FRAME, SAMPLES_PER_MS
from telephony.simulator.clip import Clip
from telephony.simulator.ear import Ear
from telephony.simulator.playback import Playback
from telephony.simulator.script import Script
from telephony.simulator.script_runner import ScriptRunner

LATE = 10 * SAMPLES_PER_MS  # a frame sent more than this after its time is late
MOST_ERRORS = 20  # notes kept, so that an agent that sends only nonsense fills no memory
MOST_ARRIVALS = 200_000
MOST_KEYS = 1000


class Cleared(msgspec.Struct):
    """The agent gave up what it was saying."""

    at: int
    audio_at: int  # how much of the caller's audio had been sent by then
    dropped: int = 0  # samples not heard because of it, if the carrier tells
    stray: int = 0  # samples of the same utterance that came after it nevertheless


class Talk:
    """The record of one talk, and the script that runs in it. Each carrier has a subclass that fills it."""

    def __init__(
        self, script: Script, clips: Sequence[Clip | None], floor: Sequence[bytes], *, keep_audio: bool
    ) -> None:
        self.runner = ScriptRunner(script, clips, floor)
        self.playback = Playback(keep_audio=keep_audio)
        self.ear = Ear()
        self.clears: list[Cleared] = []
        self.errors: list[str] = []  # messages that the carrier would have rejected
        self.error_count = 0
        self.sent: list[bytes] = []  # the caller's frames in mu-law, where audio is kept
        self.frames_sent = 0
        self.frames_late = 0
        self.latest = 0  # samples by which the latest frame was late
        self.media_received = 0  # messages or packets
        self.marks_received = 0
        self.keys = ""  # keys pressed by the agent, as events beside the audio
        self.unplayed = 0  # samples cut off by the end of the talk
        self.first_media: int | None = None  # when the agent was first heard of
        self.arrivals = array("f")  # ms between messages of one talkspurt, or between packets
        self._keep_audio = keep_audio

    @property
    def over(self) -> bool:
        """Whether the caller hangs up or gives up."""
        return self.runner.hangs_up or bool(self.runner.error)

    def held_up(self, now: int) -> bool:
        """Whether frames are overdue because the loop was held up."""
        return now - (self.frames_sent + 1) * FRAME > LATE

    def end(self, now: int) -> None:
        """The talk is over. What is not yet played is lost, since the line closes at once."""
        self.playback.advance(now)
        self.ear.clear(now)
        self.unplayed = self.playback.buffered(now)
        self.playback.clear(now)

    def due(self, now: int) -> Iterator[tuple[int, bytes, str]]:
        """The caller's frames due until now: one every 20 ms, more when the clock was held up; each with the time at
        which it begins and the keys pressed with it."""
        runner = self.runner
        while (due := (self.frames_sent + 1) * FRAME) <= now and not self.over:
            position = due - FRAME
            frame = runner.next_frame(position, self.ear)
            if self.over:
                return
            keys = "".join(runner.keys)
            runner.keys.clear()
            self.frames_sent += 1
            if now - due > LATE:
                self.frames_late += 1
                self.latest = max(self.latest, now - due)
            if self._keep_audio:
                self.sent.append(frame)
            yield position, frame, keys

    def arrived(self, gap_ms: float) -> None:
        """Media arrived this long after the media before it."""
        if len(self.arrivals) < MOST_ARRIVALS:
            self.arrivals.append(gap_ms)

    def pressed(self, key: str) -> None:
        """The agent pressed a key."""
        if len(self.keys) < MOST_KEYS:
            self.keys += key

    def rejected(self, error: str) -> None:
        """The agent sent something that the carrier would have rejected."""
        self.error_count += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(error)

    def caller_speaks(self, now: int) -> bool:
        """Whether the caller is in the middle of a sound."""
        said = self.runner.said
        return bool(said) and now < said[-1].end
