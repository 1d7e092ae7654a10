"""What was said, by whom, and how it was heard; with notes on what happened in between. Times are ms of media time."""

from bisect import bisect_left
from collections.abc import Iterator

import msgspec

from telephony.report.lanes import HOLD_NOTES, tool_runs
from telephony.report.replies import Break, ReplyStory
from telephony.report.story import Story
from telephony.report.tape import Item, Tape

OPERATOR_NOTES = {
    "SayRequested": "An operator had the agent say something",
    "Instructed": "An operator told the model something",
    "TakenOver": "An operator took over",
    "GivenBack": "The operator gave the call back",
    "PressRequested": "An operator had keys pressed",
    "TransferRequested": "An operator had the caller transferred",
    "HangUpRequested": "An operator ended the call",
}
LINE_NOTES = {"HungUp": "The line is gone", "Shutdown": "The server shuts down", **HOLD_NOTES, **OPERATOR_NOTES}


class AgentWord(msgspec.Struct, frozen=True):
    """A word of the agent: when the ear began to hear it (None: the tape does not tell), and whether it did."""

    text: str
    at: float | None
    heard: bool


class TranscriptEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A turn of the caller or the agent, or a note."""

    who: str  # caller, agent, note
    start: float
    end: float
    text: str
    reply: int | None = None
    words: list[AgentWord] = []  # of the agent
    tags: list[str] = []
    facts: list[str] = []  # figures, each in a few words


def transcript(tape: Tape, story: Story) -> list[TranscriptEntry]:
    """All entries, in order."""
    entries = [*_caller_turns(story), *_agent_turns(story), *_notes(tape, story)]
    return sorted(entries, key=lambda entry: (entry.start, entry.end))


def gaps_ms(story: Story) -> list[float]:
    """For each answered turn of speech: from its end until the agent was heard."""
    return [
        reply.ear_at - reply.speech_end_ms
        for reply, start in turn_starts(story)
        if start is not None
        and reply.ear_at is not None
        and not story.speech.on_hold(reply.speech_end_ms, reply.ear_at)
    ]


def turn_starts(story: Story) -> Iterator[tuple[ReplyStory, float | None]]:
    """The turns of the caller, by the reply to each, and where its speech began (None: keys only, or unknown)."""
    since = 0.0
    settled = sorted([*story.forgotten, *(b.over_ms for b in story.breaks if b.resumed and b.over_ms is not None)])
    for reply in story.turns():
        before = bisect_left(settled, reply.speech_end_ms)
        since = max(since, settled[before - 1]) if before else since
        start = None if reply.keys_at else story.speech.before(reply.speech_end_ms, since)
        yield reply, start
        since = reply.speech_end_ms if reply.decided_at is None else reply.decided_at


def _caller_turns(story: Story) -> Iterator[TranscriptEntry]:
    for reply, start in turn_starts(story):
        keys = reply.keys_at or (reply.decided_at or 0.0,)
        begin, end = (keys[0], keys[-1]) if start is None else (start, reply.speech_end_ms)
        yield TranscriptEntry(
            who="caller",
            start=begin,
            end=end,
            text=reply.caller_text,
            reply=reply.number,
            tags=["cut off"] * story.speech.cut_off(begin, end),
            facts=_stages(reply, (reply.decided_at or 0.0) if start is None else end),
        )


def _stages(reply: ReplyStory, end_ms: float) -> list[str]:
    """Where the time until the answer went."""
    facts = [] if reply.ear_at is None else [f"answer heard after {reply.ear_at - end_ms:.0f} ms"]
    before = end_ms
    stages = [
        (at, name)
        for at, name in (
            (reply.transcript_at, "transcript"),
            (reply.text_at, "first words"),
            (reply.made_at, "first audio made"),
            (reply.decided_at, "turn decided"),
            (reply.ear_at, "at the ear"),
        )
        if at is not None
    ]
    for at, name in sorted(stages, key=lambda stage: stage[0]):  # an answer may be made before the turn is decided
        facts.append(f"{name} +{max(0.0, at - before):.0f}")
        before = max(before, at)
    return facts


def _agent_turns(story: Story) -> Iterator[TranscriptEntry]:
    for reply in story.replies.values():
        if reply.pressed_at is not None:
            yield _keys(reply, reply.pressed_at)
            continue
        if reply.ear_at is None:
            continue
        heard = reply.words_heard()
        words = [AgentWord(w.text, _ear_time(reply, w.start_ms), i < heard) for i, w in enumerate(reply.words)]
        yield TranscriptEntry(
            who="agent",
            start=reply.ear_at,
            end=reply.ear_end,
            text=reply.text.strip() or reply.heard_text or "",
            reply=reply.number,
            words=words,
            tags=_tags(reply, story),
            facts=_heard(reply),
        )


def _keys(reply: ReplyStory, at: float) -> TranscriptEntry:
    """Keys that the agent pressed: as tones they have been heard, as events they are only known to have been sent."""
    start, end = (at, at) if reply.ear_at is None else (reply.ear_at, reply.ear_end)
    text = f"Pressed {reply.text or 'keys'}"
    return TranscriptEntry(who="agent", start=start, end=end, text=text, reply=reply.number, tags=["keys"])


def _ear_time(reply: ReplyStory, ms: float) -> float | None:
    """When the ear heard this place of a reply, to 0.1 ms."""
    at = reply.ear_time(ms)
    return None if at is None else round(at, 1)


def _tags(reply: ReplyStory, story: Story) -> list[str]:
    resumed = reply.number in story.resumed
    tags = [] if reply.cue in ("", "answer") else [reply.cue]
    return tags + ["interrupted"] * reply.interrupted + ["resumed"] * resumed + ["failed"] * bool(reply.failed)


def _heard(reply: ReplyStory) -> list[str]:
    heard_ms = reply.at_the_ear
    if reply.audio_ms > heard_ms + 1:
        return [f"{heard_ms / 1000:.1f} s of {reply.audio_ms / 1000:.1f} s heard"]
    return [f"{heard_ms / 1000:.1f} s"]


def _notes(tape: Tape, story: Story) -> Iterator[TranscriptEntry]:
    yield from (_talk_over(b) for b in story.breaks if b.pause_ms is not None or b.over_ms is not None)
    yield from (_note(at, "A sound that was no speech: forgotten") for at in story.forgotten)
    for reply in story.replies.values():
        yield from _reply_notes(reply)
    for begun, ended, tools in tool_runs(tape):
        after = f"after {ended.at - begun.at:.0f} ms" if ended else "never finished"
        if not tools:
            yield _note(begun.at, f"Tools: {after}")
        for tool in tools:
            yield _note(begun.at, f"Tool {tool.name}: {f'failed: {tool.error}, ' if tool.error else ''}{after}")
    for line in tape.lines:
        for item in (line.event, *line.commands):
            if item and (text := _ending(item)):
                yield _note(line.at, text)


def _note(at: float, text: str, end: float | None = None, tags: list[str] | None = None) -> TranscriptEntry:
    return TranscriptEntry(who="note", start=at, end=at if end is None else end, text=text, tags=tags or [])


def _talk_over(talk_over: Break) -> TranscriptEntry:
    over, pause = talk_over.over_ms, talk_over.pause_ms
    start = next(at for at in (talk_over.onset_ms, pause, over) if at is not None)
    text = "Heard over the agent" + (f": “{talk_over.guess}”" if talk_over.guess else "")
    text += f" ({talk_over.meaning})" if talk_over.meaning else ""
    silent = over if pause is None else pause
    if silent is not None and talk_over.onset_ms is not None:
        text += f"; silent after {silent - talk_over.onset_ms:.0f} ms"
    if over is not None and pause is not None:
        text += f"; {'went on' if talk_over.resumed else 'gave way'} {over - pause:.0f} ms later"
    tags = [] if over is None else ["resume" if talk_over.resumed else "barge-in"]
    return _note(start, text, over, tags)


def _reply_notes(reply: ReplyStory) -> Iterator[TranscriptEntry]:
    if Story.taken_back(reply) and reply.cancelled_at is not None:
        text = f"Answer {reply.number} " + ("was taken back" if reply.cue else "was made early and not used")
        yield _note(reply.cancelled_at, text + (": the model wanted more of the turn" if reply.unfinished else ""))
    if reply.failed:
        at = reply.ear_end if reply.spans else reply.decided_at or 0.0
        yield _note(at, f"Answer {reply.number} failed: {reply.failed}", tags=["failed"])


def _ending(item: Item) -> str:
    match item.type:
        case "Dtmf":
            return f"Key {item.digit}"
        case "TransferFailed":
            return f"Nobody was reached: {item.reason}"
        case "HangUp":
            return "The agent hung up" + (", having failed" if item.failed else "")
        case "Record":
            return "The private part is over" if item.on else "What follows is private: it was not kept"
        case "Transfer":
            return f"Transfer to {item.number}"
    words = f": {item.text}" if item.text and item.type in OPERATOR_NOTES else ""
    return LINE_NOTES.get(item.type, "") + words
