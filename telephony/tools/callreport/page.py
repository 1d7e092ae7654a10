"""The page about one call: one HTML file with everything in it, which asks nothing of any network."""

import base64
import hashlib
import zlib
from html import escape
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

import msgspec

from config import private
from config.exceptions import TapeError
from telephony.audio.g711 import SAMPLES_PER_MS
from telephony.tools.callreport.rows import rows, unknown_types
from telephony.tools.callreport.sound import caller_track, ear_track
from telephony.tools.callreport.story import Span, Story
from telephony.tools.callreport.tape import Tape, read_tape
from telephony.tools.callreport.timeline import latencies, states, ticks
from telephony.tools.callreport.transcript import gaps_ms, transcript

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("format", "sound", "view", "lanes", "chart", "panels", "main")  # one module, in this order
INERT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class Figure(msgspec.Struct, frozen=True):
    """A figure at a glance. `bad`: it is worth a look."""

    label: str
    value: str
    hint: str
    bad: bool = False


def write_report(tape: Path, out: Path) -> None:
    """Write the page about a tape. Raises TapeError when the file is no tape, or the page cannot be written."""
    page = render(read_tape(tape))
    try:
        private.write_bytes(out, page.encode())
    except OSError as error:
        raise TapeError(f"{out}: {error.strerror}") from None


def render(tape: Tape) -> str:
    """The page as text."""
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    script = "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    story = Story(tape)
    caller, agent = caller_track(tape), ear_track(tape, story)
    return Template((ASSETS / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"Call {tape.header.call}"),
        script_hash=_hash(script),
        style_hash=_hash(style),
        style=style,
        script=script,
        data=inert(_data(tape, story, len(caller), len(agent))),
        audio=base64.b64encode(zlib.compress(caller + agent, 9)).decode() if caller or agent else "",
    )


def inert(value: Any) -> str:
    """JSON that may stand within a script element whatever its texts are."""
    return msgspec.json.encode(value).decode().translate(INERT)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data(tape: Tape, story: Story, caller: int, agent: int) -> dict[str, Any]:
    """What the page draws; all times are ms of media time, the tracks' lengths samples of mu-law at 8 kHz."""
    header = tape.header
    return {
        "call": {
            "id": header.call,
            "agent": header.agent,
            "started": header.started,
            "mode": header.mode,
            "voxline": header.voxline,
            "settings_hash": header.settings_hash,
            "settings": header.settings,
            "end": tape.end,
        },
        "duration": max([1.0, tape.end_ms, caller / SAMPLES_PER_MS, *(span.end_ms for span in story.spans)]),
        "notices": _notices(tape),
        "figures": _figures(tape, story),
        "states": states(tape),
        "speech": {
            "at": [at for at, _ in story.probabilities],
            "value": [round(value, 3) for _, value in story.probabilities],
            "onset": header.setting("turn", "onset_probability", 0.5),
            "offset": header.setting("turn", "offset_probability", 0.35),
        },
        "heard": [_heard(span) for span in story.stretches()],
        "transcript": transcript(tape, story),
        "latencies": latencies(story),
        "ticks": ticks(tape, story),
        "rows": rows(tape),
        "audio": {"caller": caller, "agent": agent} if caller or agent else None,
    }


def _heard(span: Span) -> dict[str, float]:
    return {"reply": span.reply, "start": span.start_ms, "end": span.end_ms}


def _notices(tape: Tape) -> list[str]:
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


def _figures(tape: Tape, story: Story) -> list[Figure]:
    gaps = gaps_ms(story)
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
        Figure("Cut off", str(len(story.cut_offs)), "Turns that were decided while the caller only paused"),
        Figure("Barge-ins", str(barge_ins), "Times the agent gave way to the caller"),
        Figure("Resumes", str(sum(b.resumed for b in story.breaks)), "Times it fell silent for nothing and went on"),
        Figure("Onset → pause", _ms(median(reactions) if reactions else None), "Median, in media time"),
        Figure("Underruns", str(underruns), "Times the ear ran dry within a reply", underruns > 0),
        Figure("Failures", str(failures), "Replies that the engine gave up", failures > 0),
        Figure("Lost audio", _ms(missing_ms), "Of the caller's, missing on its way here", missing_ms > 0),
    ]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"
