"""A call at a glance: its figures, and warnings about its tape."""

from statistics import median

import msgspec

from telephony.report.rows import unknown_types
from telephony.report.story import Story
from telephony.report.tape import Tape
from telephony.report.transcript import gaps_ms


class Figure(msgspec.Struct, frozen=True):
    """A figure at a glance. `bad`: it is worth a look."""

    label: str
    value: str
    hint: str
    bad: bool = False


def notices(tape: Tape) -> list[str]:
    """What a reader must know about the tape itself."""
    notices = []
    if tape.end is None:
        notices.append("The tape breaks off before the call's end.")
    if tape.header.mode == "metadata":
        notices.append("The tape holds no audio and no words: only what happened, and when.")
    if unknown := unknown_types(tape):
        names = ", ".join(f"{name} ({count})" for name, count in unknown.items())
        notices.append(f"Written by another version of voxline; not understood here: {names}.")
    return notices


def figures(tape: Tape, story: Story) -> list[Figure]:
    """All of them, in the order they are shown in."""
    gaps, cut_offs = gaps_ms(story), len(story.speech.cut_offs)
    barge_ins = sum(b.over_ms is not None and not b.resumed for b in story.breaks)
    reactions = [b.pause_ms - b.onset_ms for b in story.breaks if b.pause_ms is not None and b.onset_ms is not None]
    failures = sum(bool(reply.failed) for reply in story.replies.values())
    missing_ms = sum(line.wire.ms for line in tape.lines if line.wire and line.wire.into == "gap")
    end = tape.end or {}
    underruns = end["underruns"] if isinstance(end.get("underruns"), int) else len(story.holes)
    return [
        Figure("Length", f"{tape.end_ms / 1000:.1f} s", "Media time from the call's begin to its end"),
        Figure("Turns", str(sum(1 for _ in story.turns())), "Turns of the caller that were answered"),
        Figure("Median gap", _ms(median(gaps) if gaps else None), "The caller fell silent → the agent was heard"),
        Figure("Longest gap", _ms(max(gaps, default=None)), "The caller fell silent → the agent was heard"),
        Figure("Cut off", str(cut_offs), "Turns that were decided while the caller only paused", cut_offs > 0),
        Figure("Barge-ins", str(barge_ins), "Times the agent gave way to the caller"),
        Figure("Resumes", str(sum(b.resumed for b in story.breaks)), "Times it fell silent for nothing and went on"),
        Figure("Onset → pause", _ms(median(reactions) if reactions else None), "Median, in media time"),
        Figure("Underruns", str(underruns), "Times the ear ran dry within a reply", underruns > 0),
        Figure("Failures", str(failures), "Replies that the engine gave up", failures > 0),
        Figure("Lost audio", _ms(missing_ms), "Of the caller's, missing on its way here", missing_ms > 0),
    ]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"
