"""The caller's end of one media stream: what Twilio and the caller do between the socket and the ear.

Sans-I/O: told the time in samples (8 kHz) since the start of the stream, it answers with messages to send.
"""

from array import array
from collections.abc import Sequence

import msgspec

from telephony.audio import g711
from telephony.caller import messages
from telephony.caller.clip import FRAME, Clip
from telephony.caller.ear import Ear
from telephony.caller.messages import Clear, Mark, StreamMessages
from telephony.caller.performer import Performer
from telephony.caller.playback import Overflow, Playback
from telephony.caller.script import Script

LATE = 10 * g711.SAMPLES_PER_MS  # a frame sent later than this after its time is late
STRAY_WINDOW = 300 * g711.SAMPLES_PER_MS  # media so soon after `clear` belongs to what was cleared
MOST_ERRORS = 20  # kept; an agent that sends nothing but nonsense fills no memory
MOST_ARRIVALS = 200_000


class Cleared(msgspec.Struct):
    """A `clear` of the agent."""

    at: int  # arrived
    audio_at: int  # so much of the caller's audio had been sent by then
    dropped: int  # samples that were not heard because of it
    stray: int = 0  # samples of the same utterance that came after it all the same


class CallerStream:
    """One stream of one call; `now` never runs backwards."""

    def __init__(
        self,
        script: Script,
        clips: Sequence[Clip | None],
        floor: Sequence[bytes],
        out: StreamMessages,
        *,
        keep_audio: bool,
    ) -> None:
        self.out = out
        self.performer = Performer(script, clips, floor)
        self.playback = Playback(keep_audio=keep_audio)
        self.ear = Ear()
        self.clears: list[Cleared] = []
        self.errors: list[str] = []  # what Twilio would have rejected
        self.error_count = 0
        self.sent: list[bytes] = []  # the caller's frames in base64, where audio is kept
        self.frames_sent = 0
        self.frames_late = 0
        self.latest = 0  # samples by which the latest frame was late
        self.media_received = 0
        self.marks_received = 0
        self.unplayed = 0  # samples that were cut off by the end of the stream
        self.first_media: int | None = None
        self.arrivals = array("f")  # ms between media messages of one talkspurt
        self._keep_audio = keep_audio
        self._last_media = 0

    def open(self, parameters: dict[str, str]) -> list[bytes]:
        """The first messages; time begins here."""
        return [self.out.connected(), self.out.start(parameters)]

    @property
    def over(self) -> bool:
        """The caller hangs up or gives up."""
        return self.performer.hangs_up or bool(self.performer.error)

    def tick(self, now: int) -> list[bytes]:
        """Marks that are reached and frames that are due: one every 20 ms, more when the clock was held up."""
        out = [self.out.mark(name) for name in self.playback.advance(now)]
        self.ear.listen(now)
        performer = self.performer
        while (due := (self.frames_sent + 1) * FRAME) <= now and not self.over:
            position = due - FRAME
            frame = performer.next_frame(position, self.ear)
            if self.over:
                break
            if performer.keys:
                out += [self.out.dtmf(key) for key in performer.keys]
                performer.keys.clear()
            out.append(self.out.media(frame, position // g711.SAMPLES_PER_MS))
            self.frames_sent += 1
            if now - due > LATE:
                self.frames_late += 1
                self.latest = max(self.latest, now - due)
            if self._keep_audio:
                self.sent.append(frame)
        return out

    def receive(self, message: bytes, now: int) -> list[bytes]:
        """A message of the agent; returns the marks that go back at once."""
        try:
            parsed = messages.parse(message)
            if parsed.stream_sid != self.out.stream_sid:
                raise ValueError(f"a foreign streamSid: {parsed.stream_sid[:40]!r}")
            return self._play(parsed, now)
        except (ValueError, Overflow) as error:
            self.error_count += 1
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(f"{error}: {message[:120]!r}")
            return []

    def stop(self) -> list[bytes]:
        """The caller hangs up."""
        return [self.out.stop()]

    def end(self, now: int) -> None:
        """The stream is over. What is not played yet is lost: the line goes on to the next verb at once."""
        self.playback.advance(now)
        self.ear.clear(now)
        self.unplayed = self.playback.buffered(now)
        self.playback.clear(now)

    def _play(self, message: messages.Media | Mark | Clear, now: int) -> list[bytes]:
        if isinstance(message, Mark):
            self.marks_received += 1
            names = self.playback.mark(message.mark.name, now)
        elif isinstance(message, Clear):
            names = self._clear(now)
        else:
            names = self.playback.advance(now)
            self._media(message.media.payload, now)
        return [self.out.mark(name) for name in names]

    def _media(self, payload: bytes, now: int) -> None:
        follows = self.media_received > 0 and now <= self.playback.end + STRAY_WINDOW
        if follows and len(self.arrivals) < MOST_ARRIVALS:
            self.arrivals.append((now - self._last_media) / g711.SAMPLES_PER_MS)
        if self.first_media is None:
            self.first_media = now
        self.media_received += 1
        self._last_media = now
        self.ear.schedule(self.playback.play(payload, now), payload)
        if self.clears and now - self.clears[-1].at <= STRAY_WINDOW and self._caller_speaks(now):
            self.clears[-1].stray += len(payload)

    def _caller_speaks(self, now: int) -> bool:
        said = self.performer.said
        return bool(said) and now < said[-1].end

    def _clear(self, now: int) -> list[str]:
        dropped = self.playback.buffered(now)
        self.ear.clear(now)
        self.performer.cleared(now)
        self.clears.append(Cleared(at=now, audio_at=self.frames_sent * FRAME, dropped=dropped))
        return self.playback.clear(now)
