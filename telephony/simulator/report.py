"""The result of one call: its figures, for programs (JSON) and for people. All times are ms."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec
import numpy as np


class Outcome(StrEnum):
    """How a call ended."""

    HUNG_UP_BY_CALLER = "hung_up_by_caller"
    HUNG_UP_BY_AGENT = "hung_up_by_agent"
    TRANSFERRED = "transferred"
    REFUSED = "refused"  # no talk: the agent's side rejected the call or only said something, such as "busy"
    FAILED = "failed"  # see `error`


class Distribution(msgspec.Struct, frozen=True):
    """Statistics of some figures; None where there were none."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class TurnReport(msgspec.Struct, frozen=True):
    """A turn of the caller that calls for an answer, and how soon the answer was heard."""

    step: int
    text: str
    onset_ms: float
    speech_end_ms: float  # the last loud sample of the caller's speech
    answer_ms: float | None  # the first loud sample of the answer; None: none came
    voice_to_voice_ms: float | None  # negative: the agent spoke before the caller had finished


class Interruption(msgspec.Struct, frozen=True):
    """A sound of the caller while the agent spoke.

    SIP has no `clear`: its place is taken by the agent's last audible sample before it fell silent under the caller's
    words, as heard through the caller's jitter buffer; `clear_ms` and `heard_ms` are then the same.
    """

    step: int
    text: str
    noise: bool
    onset_ms: float
    clear_ms: float | None  # onset → `clear` arrived; None: the agent spoke on
    clear_audio_ms: float | None  # the same in audio that the agent had been sent
    heard_ms: float  # onset → last sample heard of the agent's utterance
    stray_ms: float  # media of the same utterance that came after `clear`, a fade-out included


class Dry(msgspec.Struct, frozen=True):
    """The playback ran dry in the middle of the agent's speech."""

    at_ms: float
    length_ms: float


class Summary(msgspec.Struct, frozen=True):
    """The figures of one call."""

    voice_to_voice_ms: Distribution = Distribution()
    barge_in_to_clear_ms: Distribution = Distribution()  # of speech that calls for an answer; on the wire
    barge_in_to_clear_audio_ms: Distribution = Distribution()
    unheard_barge_ins: int = 0  # no `clear` came
    early_answers: int = 0  # before the caller had finished
    missing_answers: int = 0
    stray_ms: float = 0.0
    underruns: int = 0
    underrun_ms: float = 0.0


class Traffic(msgspec.Struct, frozen=True):
    """What went over the line."""

    frames_sent: int = 0
    frames_late: int = 0  # by more than 10 ms: the caller's machine was busy
    latest_frame_ms: float = 0.0
    media_received: int = 0  # messages, or packets
    audio_received_ms: float = 0.0
    audio_played_ms: float = 0.0
    audio_cut_off_ms: float = 0.0  # not yet played when the stream ended
    marks_received: int = 0
    clears_received: int = 0
    arrival_gap_ms: Distribution = Distribution()  # between media messages of one talkspurt, or packets
    rejected: int = 0  # messages that Twilio would have rejected
    rejected_examples: tuple[str, ...] = ()


class CallReport(msgspec.Struct, kw_only=True):
    """One call."""

    script: str
    url: str
    call_sid: str  # over SIP the Call-ID, once it is answered
    outcome: Outcome = Outcome.FAILED
    error: str = ""  # empty: nothing went wrong on the line
    expected: str = ""  # what the script expects as outcome; empty: anything
    steps: int = 0
    steps_done: int = 0
    cut_short: bool = False  # the caller was told to hang up before the script's end
    transferred_to: str = ""
    said_by_line: list[str] = []  # <Say>: spoken by Twilio itself
    notes: list[str] = []  # oddities that did not end the call
    stream_sid: str = ""
    close_code: int | None = None
    close_reason: str = ""
    duration_ms: float = 0.0  # of the stream
    start_to_first_audio_ms: float | None = None
    turns: list[TurnReport] = []
    interruptions: list[Interruption] = []
    underruns: list[Dry] = []
    summary: Summary = Summary()
    traffic: Traffic = Traffic()
    keys_heard: str = ""  # pressed by the agent, as RTP events; tones in the audio are not detected
    recording: str = ""  # the stereo WAV: caller left, agent right

    @property
    def ok(self) -> bool:
        """The line held, the script ran to its end (unless cut short), and the call ended as expected."""
        if self.cut_short and self.outcome is Outcome.HUNG_UP_BY_CALLER:
            return True
        expected = self.expected in ("", self.outcome)
        return not self.error and expected and self.steps_done == self.steps


def distribution(values: Iterable[float]) -> Distribution:
    """Count, median, 95th and 99th percentile and maximum, to 0.1."""
    data = np.fromiter(values, np.float64)
    if not data.size:
        return Distribution()
    p50, p95, p99 = (round(float(value), 1) for value in np.percentile(data, [50, 95, 99]))
    return Distribution(count=int(data.size), p50=p50, p95=p95, p99=p99, max=round(float(data.max()), 1))


def describe(report: CallReport) -> list[str]:
    """The report in a few lines for a person."""
    summary, traffic = report.summary, report.traffic
    ending = f"{report.outcome}" + (f" to {report.transferred_to}" if report.transferred_to else "")
    lines = [
        f"outcome          {ending}{': ' + report.error if report.error else ''}",
        f"script           {report.steps_done} of {report.steps} steps, {report.duration_ms / 1000:.1f} s on the line",
        f"first audio      {_text(report.start_to_first_audio_ms)} after start",
        f"voice to voice   {_spread(summary.voice_to_voice_ms)}",
        f"barge-in→clear   {_spread(summary.barge_in_to_clear_ms)}",
        f"underruns        {summary.underruns} ({summary.underrun_ms:.0f} ms)",
        f"stray audio      {summary.stray_ms:.0f} ms after clear, fades included",
        f"frames           {traffic.frames_sent} sent ({traffic.frames_late} late), {traffic.media_received} received",
    ]
    if report.keys_heard:
        lines.append(f"keys heard       {report.keys_heard}")
    if report.recording:
        lines.append(f"recording        {report.recording}")
    return lines


def _text(value: float | None) -> str:
    return "none" if value is None else f"{value:.0f} ms"


def _spread(values: Distribution) -> str:
    return f"p50 {_text(values.p50)}, p95 {_text(values.p95)}, max {_text(values.max)} (of {values.count})"
