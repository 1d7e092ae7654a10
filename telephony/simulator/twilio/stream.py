"""The caller's end of one media stream: what Twilio and the caller do between the socket and the ear.

Sans-I/O: given the time in samples (8 kHz) since the start of the stream, it returns messages to send.
"""

from collections.abc import Sequence

from audio.rate import FRAME, SAMPLES_PER_MS
from telephony.simulator.clip import Clip
from telephony.simulator.playback import Overflow
from telephony.simulator.script import Script
from telephony.simulator.talk import Cleared, Talk
from telephony.simulator.twilio import messages
from telephony.simulator.twilio.messages import Clear, Mark, StreamMessages

STRAY_WINDOW = 300 * SAMPLES_PER_MS  # media this soon after `clear` belongs to what was cleared


class TwilioTalk(Talk):
    """One stream of one call."""

    def __init__(
        self,
        script: Script,
        clips: Sequence[Clip | None],
        floor: Sequence[bytes],
        out: StreamMessages,
        *,
        keep_audio: bool,
    ) -> None:
        super().__init__(script, clips, floor, keep_audio=keep_audio)
        self.out = out
        self._last_media = 0

    def open(self, parameters: dict[str, str]) -> list[bytes]:
        """The first messages; time begins here."""
        return [self.out.connected(), self.out.start(parameters)]

    def tick(self, now: int) -> list[bytes]:
        """The marks reached and the frames due."""
        out = [self.out.mark(name) for name in self.playback.advance(now)]
        self.ear.listen(now + 1)  # what starts to play just now is heard too
        for position, frame, keys in self.due(now):
            out += [self.out.dtmf(key) for key in keys]
            out.append(self.out.media(frame, position // SAMPLES_PER_MS))
        return out

    def receive(self, message: bytes, now: int) -> list[bytes]:
        """Take a message from the agent; returns the marks that go back at once."""
        try:
            parsed = messages.parse(message)
            if parsed.stream_sid != self.out.stream_sid:
                raise ValueError(f"a foreign streamSid: {parsed.stream_sid[:40]!r}")
            return self._play(parsed, now)
        except (ValueError, Overflow) as error:
            self.rejected(f"{error}: {message[:120]!r}")
            return []

    def stop(self) -> list[bytes]:
        """The caller hangs up."""
        return [self.out.stop()]

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
        if self.media_received > 0 and now <= self.playback.end + STRAY_WINDOW:
            self.arrived((now - self._last_media) / SAMPLES_PER_MS)
        if self.first_media is None:
            self.first_media = now
        self.media_received += 1
        self._last_media = now
        self.ear.schedule(self.playback.play(payload, now), payload)
        if self.clears and now - self.clears[-1].at <= STRAY_WINDOW and self.caller_speaks(now):
            self.clears[-1].stray += len(payload)

    def _clear(self, now: int) -> list[str]:
        dropped = self.playback.buffered(now)
        self.ear.clear(now)
        self.runner.cleared(now)
        self.clears.append(Cleared(at=now, audio_at=self.frames_sent * FRAME, dropped=dropped))
        return self.playback.clear(now)
