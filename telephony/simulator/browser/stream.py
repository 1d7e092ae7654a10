"""The caller's end of one call from a web page: what the page's worklet and worker do between the socket and the ear.

Sans-I/O: given the time in samples (8 kHz) since the call began, it returns messages to send. What goes over the line
is at 16 kHz, and every sample of it is accounted for.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from audio import g711
from audio.rate import FRAME_MS, SAMPLES_PER_MS, WIDE
from audio.resample import Downsampler, Upsampler
from telephony.lines.browser import messages
from telephony.lines.browser.messages import Block, Heard, pack
from telephony.simulator.clip import Clip
from telephony.simulator.playback import Overflow
from telephony.simulator.script import Script
from telephony.simulator.talk import Cleared, Talk

FADE = FRAME_MS * WIDE.per_ms
DRY_MS = 500  # a longer pause within a reply is meant
STRAY_WINDOW = 300 * SAMPLES_PER_MS
WIDER = 2  # samples of 16 kHz in one of 8


class Told(msgspec.Struct, frozen=True):
    """What a server says as text. Fields of other messages than these are ignored."""

    type: str
    call: str = ""
    key: str = ""
    epoch: int = 0
    reason: str = ""
    rate: int = WIDE.hz


class BrowserTalk(Talk):
    """One call. `played` has the agent's audio, sample by sample as it was heard, the fades of pauses included."""

    def __init__(
        self, script: Script, clips: Sequence[Clip | None], floor: Sequence[bytes], *, keep_audio: bool
    ) -> None:
        super().__init__(script, clips, floor, keep_audio=keep_audio)
        self.call = ""
        self.key = ""
        self.epoch = 0
        self.resuming = False  # on another socket: what comes is told anew
        self.played: list[tuple[int, bytes]] = []  # position, PCM16; where audio is kept
        self.said: list[dict[str, object]] = []  # everything that was shown
        self.answers: list[str] = []  # to the last `clear`s, to be sent again on another socket
        self._queue = bytearray()  # PCM16 not yet heard
        self._heard = 0
        self._clock = 0  # samples of 8 kHz up to which the ear has heard
        self._dry = 0
        self._dry_since: int | None = None
        self._reply = -1
        self._upsampler, self._downsampler = Upsampler(), Downsampler()
        self._last_media = 0

    @property
    def heard(self) -> Heard:
        """How far the ear is."""
        return Heard(self.epoch, self._heard, self._heard + len(self._queue) // 2, self._dry & 0xFFFF)

    def tick(self, now: int) -> list[str | bytes]:
        """The frames that are due."""
        out: list[str | bytes] = []
        for position, frame, keys in self.due(now):
            self._listen(min(now, position + len(frame)))
            out += [messages.text("key", key=key) for key in keys]
            out.append(pack(WIDER * position, self._upsampler.upsample(g711.decode(frame)), self.heard))
        self.ear.listen(now + 1)
        return out

    def text(self, message: bytes, now: int) -> list[str | bytes]:
        """Take what the server says; returns the answers."""
        try:
            told = msgspec.json.decode(message, type=Told)
        except msgspec.DecodeError as error:
            self.rejected(f"{error}: {message[:120]!r}")
            return []
        if told.type == "welcome":
            self.call, self.key, self.epoch = told.call, told.key, told.epoch
        elif told.type == "clear":
            return [self._clear(told.epoch, now)]
        else:
            self.said.append(msgspec.json.decode(message))
        return []

    def audio(self, message: bytes, now: int) -> None:
        """Take the agent's audio."""
        try:
            block = messages.unpack(message)
        except ValueError as error:
            self.rejected(str(error))
            return
        if block.epoch != self.epoch:
            return
        self._listen(now)
        if block.position != self._heard + len(self._queue) // 2:
            self.rejected(f"audio from {block.position}, not {self._heard + len(self._queue) // 2}")
            return
        self._arrived(block, now)
        self._queue += block.pcm
        self._schedule(block.pcm, now)

    def _arrived(self, block: Block, now: int) -> None:
        if self.first_media is None:
            self.first_media = now
        elif now <= self.playback.end + STRAY_WINDOW:
            self.arrived((now - self._last_media) / SAMPLES_PER_MS)
        if self._dry_since is not None and block.reply == self._reply:
            self._dry += now - self._dry_since <= DRY_MS * SAMPLES_PER_MS
        self._dry_since, self._reply = None, block.reply
        self.media_received += 1
        self._last_media = now
        if self.clears and now - self.clears[-1].at <= STRAY_WINDOW and self.caller_speaks(now):
            self.clears[-1].stray += len(block.pcm) // 2 // WIDER

    def _listen(self, now: int) -> None:
        """Hear what is played until now."""
        samples = WIDER * max(0, now - self._clock)
        begin, self._clock = self._clock, max(self._clock, now)
        pcm = bytes(self._queue[: 2 * samples])
        if pcm:
            del self._queue[: len(pcm)]
            self._keep(pcm)
            self._heard += len(pcm) // 2
            if not self._queue:
                self._dry_since = begin + len(pcm) // 2 // WIDER

    def _keep(self, pcm: bytes) -> None:
        if self._keep_audio:
            self.played.append((self._heard, pcm))

    def _schedule(self, pcm: bytes, at: int) -> None:
        payload = g711.encode(self._downsampler.downsample(pcm[: len(pcm) // 4 * 4]))
        try:
            self.ear.schedule(self.playback.play(payload, at), payload)
        except Overflow as error:
            self.rejected(str(error))

    def _clear(self, epoch: int, now: int) -> str:
        """Fade out and forget the rest."""
        self._listen(now)
        count = min(FADE, len(self._queue) // 2)
        whole = np.frombuffer(bytes(self._queue[: 2 * count]), "<i2")
        fade = (whole * np.linspace(1, 0, count, endpoint=False)).astype("<i2").tobytes()
        dropped = len(self._queue) // 2 // WIDER
        self._queue.clear()
        self._dry_since = None
        self.playback.clear(now)
        self.ear.clear(now)
        if fade:
            self._keep(fade)
            self._schedule(fade, now)
        self.epoch = epoch
        if not self.resuming:  # then the same utterance goes on
            self.runner.cleared(now)
            self.clears.append(Cleared(at=now, audio_at=self.frames_sent * FRAME_MS * SAMPLES_PER_MS, dropped=dropped))
        self.resuming = False
        self.answers = [*self.answers[-7:], messages.text("stopped", epoch=epoch, heard=self._heard, fade=count)]
        return self.answers[-1]
