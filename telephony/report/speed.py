"""How a past call did by the targets of now. Times are ms of media time, so that they are exact to a frame only."""

from collections.abc import Iterator
from statistics import median

from config.streaming import TargetsSettings
from telephony.report.figures import Figure
from telephony.report.replies import ReplyStory
from telephony.report.story import Story
from telephony.report.transcript import TranscriptEntry

NAMES = {
    "first_word": ("Decision → first word", "From the turn's decision to the first word of its answer"),
    "word_to_audio": ("Word → audio", "From the first word to the first audio on its way to the caller"),
    "perceived": ("Decision → audio", "From the turn's decision to the first audio on its way to the caller"),
    "interruption_response": ("Onset → silence", "From the caller's first sound over the agent to its falling silent"),
}


def speed_figures(story: Story, targets: TargetsSettings) -> list[Figure]:
    """The median of each time that has a target, and whether that was met; what did not occur is left out."""
    found: dict[str, list[float]] = {kind: [] for kind in NAMES}
    for kind, ms in _times(story):
        found[kind].append(ms)
    return [_figure(kind, values, getattr(targets, f"{kind}_ms")) for kind, values in found.items() if values]


def judge(entries: list[TranscriptEntry], story: Story, targets: TargetsSettings) -> None:
    """Tell at each turn of the caller whether its answer came in time."""
    for entry in entries:
        reply = story.replies.get(entry.reply) if entry.who == "caller" and entry.reply is not None else None
        if reply is None or (ms := dict(_answer(reply)).get("perceived")) is None:
            continue
        met = ms <= targets.perceived_ms
        entry.facts.append(f"decision to audio {ms:.0f} ms, target {targets.perceived_ms} ms {_word(met)}")
        entry.tags.extend([] if met else ["target missed"])


def _times(story: Story) -> Iterator[tuple[str, float]]:
    for reply in story.turns():
        yield from _answer(reply)
    for one in story.breaks:
        if one.pause_ms is not None and one.onset_ms is not None:
            yield "interruption_response", one.pause_ms - one.onset_ms


def _answer(reply: ReplyStory) -> Iterator[tuple[str, float]]:
    """What was there before the turn's decision took no time (telephony/timing/call_timing.py)."""
    decided, text, played = reply.decided_at, reply.text_at, reply.played_at
    if decided is None or text is None or played is None:
        return
    text = max(text, decided)
    yield "first_word", text - decided
    yield "word_to_audio", max(0.0, played - text)
    yield "perceived", max(0.0, played - decided)


def _figure(kind: str, values: list[float], target_ms: int) -> Figure:
    name, hint = NAMES[kind]
    middle, missed = median(values), sum(ms > target_ms for ms in values)
    met = middle <= target_ms
    hint = f"{hint}: the median; target {target_ms} ms, missed by {missed} of {len(values)}"
    return Figure(name, f"{middle:.0f} ms, {_word(met)}", hint, not met)


def _word(met: bool) -> str:
    return "met" if met else "missed"
