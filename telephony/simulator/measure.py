"""The figures of a call, taken from the record of the conversation. Sans-I/O."""

from collections.abc import Sequence

from audio.rate import SAMPLES_PER_MS
from telephony.simulator.ear import JOIN, Talkspurt
from telephony.simulator.playback import Underrun
from telephony.simulator.report import CallReport, Dry, Interruption, Summary, Traffic, TurnReport, distribution
from telephony.simulator.script_runner import ScriptedUtterance
from telephony.simulator.talk import Talk


def measure(report: CallReport, talk: Talk, now: int) -> None:
    """Fill in the report from the talk, which ended at `now`."""
    said = talk.runner.said
    report.steps_done = talk.runner.steps_done
    report.duration_ms = _ms(now)
    report.start_to_first_audio_ms = None if talk.first_media is None else _ms(talk.first_media)
    heard = [_interruption(item, said, talk, now) for item in said]
    report.interruptions = [item for item in heard if item is not None]
    report.turns = [_turn(item, cut, said, talk) for item, cut in zip(said, heard, strict=True) if item.answer]
    report.underruns = [Dry(_ms(gap.at), _ms(gap.length)) for gap in talk.playback.underruns if not _answers(gap, said)]
    report.keys_heard = talk.keys
    report.traffic = _traffic(talk, now)
    report.summary = _summary(report, waited=bool(talk.runner.error))


def _ms(samples: int) -> float:
    return round(samples / SAMPLES_PER_MS, 1)


def _answers(gap: Underrun, said: Sequence[ScriptedUtterance]) -> bool:
    """Where the caller finished a turn while the buffer was empty, what came next was an answer."""
    return any(gap.at <= item.end <= gap.at + gap.length for item in said if item.answer)


def _next_onset(item: ScriptedUtterance, said: Sequence[ScriptedUtterance]) -> float:
    """When the caller next begins to speak."""
    return next((other.onset for other in said if other.onset > item.onset and not other.noise), float("inf"))


def _interruption(
    item: ScriptedUtterance, said: Sequence[ScriptedUtterance], talk: Talk, now: int
) -> Interruption | None:
    """How the agent reacted to a sound of the caller; None when the agent was not speaking."""
    onset, until = item.onset, _next_onset(item, said)
    spurt = next((spurt for spurt in reversed(talk.ear.spurts) if spurt.start < onset), None)
    clear = next((clear for clear in talk.clears if onset <= clear.at < until), None)
    # The agent may be in a pause within its talkspurt, with more to come.
    pausing = spurt is not None and onset - spurt.end <= JOIN and clear is not None and clear.dropped > 0
    if spurt is None or not (spurt.end > onset or pausing):
        return None
    if clear is None and now < item.end:
        return None  # the call was over before the agent could know
    return Interruption(
        step=item.step,
        text=item.text,
        noise=item.noise,
        onset_ms=_ms(onset),
        clear_ms=None if clear is None else _ms(clear.at - onset),
        clear_audio_ms=None if clear is None else _ms(clear.audio_at - onset),
        heard_ms=_ms(max(0, spurt.end - onset)),
        stray_ms=0.0 if clear is None else _ms(clear.stray),
    )


def _turn(
    item: ScriptedUtterance, interruption: Interruption | None, said: Sequence[ScriptedUtterance], talk: Talk
) -> TurnReport:
    after = item.onset
    if interruption is not None:  # going on speaking is no answer
        cleared = interruption.clear_ms
        after = item.end if cleared is None else item.onset + round(cleared * SAMPLES_PER_MS)
    answer = _first_after(after, talk.ear.spurts)
    if answer is not None and answer.start > _next_onset(item, said):
        answer = None
    return TurnReport(
        step=item.step,
        text=item.text,
        onset_ms=_ms(item.onset),
        speech_end_ms=_ms(item.end),
        answer_ms=None if answer is None else _ms(answer.start),
        voice_to_voice_ms=None if answer is None else _ms(answer.start - item.end),
    )


def _first_after(after: int, spurts: Sequence[Talkspurt]) -> Talkspurt | None:
    return next((spurt for spurt in spurts if spurt.start > after), None)


def _traffic(talk: Talk, now: int) -> Traffic:
    return Traffic(
        frames_sent=talk.frames_sent,
        frames_late=talk.frames_late,
        latest_frame_ms=_ms(talk.latest),
        media_received=talk.media_received,
        audio_received_ms=_ms(talk.playback.received),
        audio_played_ms=_ms(talk.playback.played(now)),
        audio_cut_off_ms=_ms(talk.unplayed),
        marks_received=talk.marks_received,
        clears_received=len(talk.clears),
        arrival_gap_ms=distribution(talk.arrivals),
        rejected=talk.error_count,
        rejected_examples=tuple(talk.errors),
    )


def _summary(report: CallReport, *, waited: bool) -> Summary:
    gaps = [turn.voice_to_voice_ms for turn in report.turns if turn.voice_to_voice_ms is not None]
    wanted = {(turn.step, turn.onset_ms) for turn in report.turns}
    barge_ins = [item for item in report.interruptions if (item.step, item.onset_ms) in wanted]
    return Summary(
        voice_to_voice_ms=distribution(gap for gap in gaps if gap >= 0),
        barge_in_to_clear_ms=distribution(item.clear_ms for item in barge_ins if item.clear_ms is not None),
        barge_in_to_clear_audio_ms=distribution(
            item.clear_audio_ms for item in barge_ins if item.clear_audio_ms is not None
        ),
        unheard_barge_ins=sum(item.clear_ms is None for item in barge_ins),
        early_answers=sum(gap < 0 for gap in gaps),
        # Callers who hang up after their last words want no answer.
        missing_answers=sum(turn.voice_to_voice_ms is None for turn in report.turns[: None if waited else -1]),
        stray_ms=round(sum(item.stray_ms for item in report.interruptions), 1),
        underruns=len(report.underruns),
        underrun_ms=round(sum(dry.length_ms for dry in report.underruns), 1),
    )
