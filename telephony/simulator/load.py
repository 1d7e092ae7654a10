"""Many simulated calls at once, from one event loop and one clock."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from config.exceptions import SettingsError
from telephony.simulator.carrier import Carrier, carrier_of
from telephony.simulator.clip import Speak, line_noise, render
from telephony.simulator.identity import Identity
from telephony.simulator.phone import Caller, PhoneCall
from telephony.simulator.report import CallReport, Distribution, Outcome, distribution
from telephony.simulator.script import Script
from telephony.simulator.ticker import Ticker
from telephony.simulator.voices import CallerVoice

PAUSE_S = 0.5  # between two calls of one caller
MOST_GAPS = 5_000_000
BUSY_SHARE = 0.01  # share of late frames above which the figures say more about this machine than about the server


class Generator(msgspec.Struct, frozen=True):
    """How well the callers kept time themselves."""

    cpu_s: float
    cpu_s_per_call_minute: float
    frames_sent: int
    frames_late: int  # sent more than 10 ms late
    latest_frame_ms: float
    kept_up: bool  # False: do not blame the server for these figures


class LoadReport(msgspec.Struct, kw_only=True):
    """All calls together. Times are ms."""

    script: str
    url: str
    callers: int
    wall_s: float
    most_at_once: int  # streams open at the same time
    calls: int  # originated, in total
    succeeded: int
    cut_short: int  # of these: hung up because the load was over
    failed: int
    failures: dict[str, int]  # reason → how often
    call_minutes: float
    start_to_first_audio_ms: Distribution
    voice_to_voice_ms: Distribution
    barge_in_to_clear_ms: Distribution
    barge_in_to_clear_audio_ms: Distribution
    arrival_gap_ms: Distribution  # between messages of one talkspurt, or packets, of all calls
    longest_arrival_gap_ms: Distribution  # of each call
    unheard_barge_ins: int
    early_answers: int
    missing_answers: int
    underruns: int
    underrun_ms: float
    calls_with_underruns: int
    stray_ms: float
    generator: Generator

    @property
    def ok(self) -> bool:
        """No call failed, and the callers kept up."""
        return not self.failed and self.succeeded > 0 and self.generator.kept_up


class Load:
    """The callers of one load test."""

    def __init__(self, carrier: Carrier, caller: Caller, on_line: Callable[[str], None] | None) -> None:
        self.reports: list[CallReport] = []
        self.gaps = array("f")  # ms between arrivals, of all calls
        self.most_at_once = 0
        self._carrier, self._caller, self._on_line = carrier, caller, on_line
        self._calls: set[PhoneCall] = set()
        self._over = False

    async def run(self, callers: int, ramp_s: float, duration_s: float | None) -> None:
        """Run the callers: once each, or again and again until `duration_s` is over."""
        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(self._call_again(ramp_s * number / callers, once=duration_s is None))
            if duration_s is not None:
                await asyncio.sleep(duration_s)
                self._over = True
                for call in tuple(self._calls):
                    call.hang_up()

    async def _call_again(self, delay_s: float, *, once: bool) -> None:
        await asyncio.sleep(delay_s)
        while not self._over:
            await self._call()
            if once:
                return
            await asyncio.sleep(PAUSE_S)

    async def _call(self) -> None:
        call = self._carrier.call(self._caller)
        self._calls.add(call)
        self.most_at_once = max(self.most_at_once, len(self._calls))
        try:
            report = await call.run()
        finally:
            self._calls.discard(call)
        self.reports.append(report)
        if call.talk is not None and len(self.gaps) < MOST_GAPS:
            self.gaps.extend(call.talk.arrivals)
        if self._on_line is not None and not report.ok:
            self._on_line(f"{report.call_sid}: {failure(report)}")


def failure(report: CallReport) -> str:
    """Why a call failed, without the details that differ between calls."""
    if report.error:
        return report.error.replace(report.call_sid, "…") if report.call_sid else report.error
    said = "; ".join([*report.said_by_line, *report.notes])
    if report.outcome is Outcome.REFUSED:
        return f"refused: {said or 'no reason'}"
    return f"{report.outcome} after step {report.steps_done} of {report.steps}"


async def run_load(
    url: str,
    script: Script,
    *,
    calls: int,
    speak: Speak | None = None,
    auth_token: str | None = None,
    public_url: str | None = None,
    user: str = "",
    password: str = "",
    codec: str = "",
    line: str = "",
    control_token: str = "",
    ramp_s: float = 0.0,
    duration_s: float | None = None,
    on_line: Callable[[str], None] | None = None,
) -> LoadReport:
    """Run `calls` callers at once, the first `ramp_s` seconds before the last, and report them together.

    Without `duration_s` each makes one call; with it each calls again until the time is up, and calls still running
    then are hung up. `on_line` is given a line for every call that fails. Best run under uvloop.

    Raises ScriptError when a sound of the script cannot be made, and SettingsError for an address that is none.
    """
    if calls < 1:
        raise SettingsError(f"{calls} calls: at least one is needed")
    identity = Identity(
        auth_token=auth_token,
        public_url=public_url,
        user=user,
        password=password,
        codec=codec,
        control_token=control_token,
    )
    carrier = carrier_of(url, identity, line)
    clips = await asyncio.to_thread(render, script, speak or CallerVoice())
    caller = Caller(script, clips, line_noise(script.noise_floor_dbfs), Ticker())
    load = Load(carrier, caller, on_line)
    await carrier.open()
    try:
        cpu, wall = time.process_time(), time.monotonic()
        await load.run(calls, ramp_s, duration_s)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    finally:
        await carrier.close()
    return _report(carrier.url, script, calls, load, cpu=cpu, wall=wall)


def _report(url: str, script: Script, callers: int, load: Load, *, cpu: float, wall: float) -> LoadReport:
    reports = load.reports
    minutes = sum(report.duration_ms for report in reports) / 60_000
    failures = Counter(failure(report) for report in reports if not report.ok)
    return LoadReport(
        script=script.name,
        url=url,
        callers=callers,
        wall_s=round(wall, 1),
        most_at_once=load.most_at_once,
        calls=len(reports),
        succeeded=sum(report.ok for report in reports),
        cut_short=sum(report.cut_short for report in reports),
        failed=failures.total(),
        failures=dict(failures.most_common(20)),
        call_minutes=round(minutes, 2),
        start_to_first_audio_ms=_over(report.start_to_first_audio_ms for report in reports),
        voice_to_voice_ms=_over(
            turn.voice_to_voice_ms
            for report in reports
            for turn in report.turns
            if turn.voice_to_voice_ms is None or turn.voice_to_voice_ms >= 0
        ),
        barge_in_to_clear_ms=_over(item.clear_ms for report in reports for item in report.interruptions),
        barge_in_to_clear_audio_ms=_over(item.clear_audio_ms for report in reports for item in report.interruptions),
        arrival_gap_ms=distribution(load.gaps),
        longest_arrival_gap_ms=_over(report.traffic.arrival_gap_ms.max for report in reports),
        unheard_barge_ins=sum(report.summary.unheard_barge_ins for report in reports),
        early_answers=sum(report.summary.early_answers for report in reports),
        missing_answers=sum(report.summary.missing_answers for report in reports),
        underruns=sum(report.summary.underruns for report in reports),
        underrun_ms=round(sum(report.summary.underrun_ms for report in reports), 1),
        calls_with_underruns=sum(report.summary.underruns > 0 for report in reports),
        stray_ms=round(sum(report.summary.stray_ms for report in reports), 1),
        generator=_generator(reports, cpu, minutes),
    )


def _over(values: Iterable[float | None]) -> Distribution:
    return distribution(value for value in values if value is not None)


def _generator(reports: Sequence[CallReport], cpu: float, minutes: float) -> Generator:
    sent = sum(report.traffic.frames_sent for report in reports)
    late = sum(report.traffic.frames_late for report in reports)
    return Generator(
        cpu_s=round(cpu, 3),
        cpu_s_per_call_minute=round(cpu / minutes, 4) if minutes else 0.0,
        frames_sent=sent,
        frames_late=late,
        latest_frame_ms=max((report.traffic.latest_frame_ms for report in reports), default=0.0),
        kept_up=late <= BUSY_SHARE * sent,
    )
