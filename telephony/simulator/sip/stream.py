"""The caller's end of one call's audio over RTP: frames out, and the audio that a phone would have played.

Sans-I/O: given the time in samples (8 kHz) since the talk began, it returns datagrams to send. The agent is heard
through the jitter buffer, in media time: 40 ms or more after its packets arrived, as on any phone.
"""

from collections.abc import Sequence

from audio import g711
from audio.rate import FRAME, NARROW, SAMPLES_PER_MS
from telephony.lines.rtp.media import Media
from telephony.lines.rtp.parameters import Parameters, SocketAddress
from telephony.simulator.clip import Clip
from telephony.simulator.ear import JOIN, QUIET
from telephony.simulator.playback import Underrun
from telephony.simulator.script import Script
from telephony.simulator.script_runner import ScriptedUtterance
from telephony.simulator.sip.arrivals import Arrivals
from telephony.simulator.talk import Cleared, Talk

MS = SAMPLES_PER_MS
LATE_STOP = 200 * MS  # an agent that falls silent so soon after the caller's last word was interrupted by it
REACTION = 1000 * MS  # so soon after a sound of the caller, a break in the agent's voice is intended


class RtpTalk(Talk):
    """One talk over RTP.

    An agent on RTP has nothing to clear: it just stops sending its voice. So here a `clear` is the agent falling
    silent (for 300 ms at least) under the caller's words, and stands at its last audible sample: "barge-in to clear" is
    onset → last audible sample. An agent whose reply happens to end there counts as one that stopped. What it says
    after that while the caller goes on is stray.
    """

    def __init__(
        self,
        script: Script,
        clips: Sequence[Clip | None],
        floor: Sequence[bytes],
        parameters: Parameters,
        *,
        keep_audio: bool,
    ) -> None:
        super().__init__(script, clips, floor, keep_audio=keep_audio)
        self._jitter = Arrivals(self.arrived, self._broke_off)
        # A telephone at 8 kHz: Opus is used at that rate too.
        self.media = Media(parameters, self._next_frame, 0.0, rate=NARROW, jitter=self._jitter)
        self._frame = b""
        self._made_up = 0.0  # ms that the jitter buffer inserted for lack of packets
        self._concealed = 0.0  # of these, concealed from earlier audio
        self._dry: Underrun | None = None
        self._stopped: ScriptedUtterance | None = None  # that made the agent stop

    def tick(self, now: int) -> list[bytes]:
        """The packets that are due; one frame of the agent is heard for each. Raises CommandError for keys that the
        agent does not accept."""
        out = []
        for position, frame, keys in self.due(now):
            due = position + FRAME
            if keys:
                self.media.press(keys)
            self._frame = g711.decode(frame)
            packet = self.media.tick(due / MS)
            if packet is not None:
                out.append(packet)
            self._hear(self.media.hear(due / MS), due)
        return out

    def receive(self, data: bytes, source: SocketAddress, came: float) -> None:
        """Take a datagram from the agent's side that arrived at `came` ms of the talk."""
        if key := self.media.receive(data, source, max(0.0, came)):
            self.pressed(key)
        self.media_received = self.media.counters.received

    def _next_frame(self) -> bytes:
        return self._frame

    def _hear(self, pcm: bytes, at: int) -> None:
        self.ear.listen(at)
        payload = g711.encode(pcm)
        self.ear.schedule(self.playback.play(payload, at), payload)
        if self.first_media is None and self.ear.spurts:
            self.first_media = self.ear.spurts[0].start
        self._note_dry(at)
        self._note_stop(at)
        said = self.runner.said
        if self.clears and said and said[-1].onset <= self.clears[-1].at and self.caller_speaks(at):
            self.clears[-1].stray += len(payload.strip(QUIET))

    def _note_stop(self, now: int) -> None:
        """Whether the agent has fallen silent during the caller's last words, or earlier."""
        if not self.ear.spurts or now - self.ear.spurts[-1].end < JOIN:
            return
        spurt = self.ear.spurts[-1]
        for item in self.runner.said[-2:]:
            if item is not self._stopped and spurt.start < item.onset < spurt.end <= item.end + LATE_STOP:
                self._stopped = item
                self.runner.cleared(spurt.end)
                self.clears.append(Cleared(at=spurt.end, audio_at=spurt.end // FRAME * FRAME))

    def _note_dry(self, now: int) -> None:
        """Whether the jitter buffer ran dry while the agent spoke."""
        counters = self._jitter.counters
        made_up, concealed = counters.concealed_ms + counters.silence_ms, counters.concealed_ms
        missing = round((made_up - self._made_up) * MS)
        audible = concealed > self._concealed and bool(self.ear.spurts) and now - self.ear.spurts[-1].end <= JOIN
        self._made_up, self._concealed = made_up, concealed
        if missing and self._dry is not None:
            self._dry = Underrun(self._dry.at, self._dry.length + missing)
        elif missing and audible:
            self._dry = Underrun(now, missing)
        elif self._dry is not None:
            self.playback.underruns.append(self._dry)
            self._dry = None

    def _broke_off(self, at_ms: float, length_ms: float) -> None:
        """The agent's voice was not ready in time, unless the caller made it pause."""
        at, length = round(at_ms * MS), round(length_ms * MS)
        if not any(item.onset <= at + length and at <= item.end + REACTION for item in self.runner.said):
            self.playback.underruns.append(Underrun(at, length))
