"""The page about one call: one HTML file with everything in it, which needs no network."""

import base64
import hashlib
import zlib
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from agent.tape.format import Header
from audio.rate import SAMPLES_PER_MS
from config import private
from config.exceptions import TapeError
from config.streaming import TargetsSettings
from telephony.report import bundle
from telephony.report.figures import Figure, figures, notices
from telephony.report.lanes import latencies, states, ticks
from telephony.report.replies import Span
from telephony.report.rows import rows
from telephony.report.sound import caller_track, ear_track
from telephony.report.speed import judge, speed_figures
from telephony.report.story import Story
from telephony.report.tape import Tape, read_tape
from telephony.report.transcript import transcript

INERT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class CallReport(msgspec.Struct, frozen=True):
    """What the page about a call says at a glance."""

    header: Header
    figures: list[Figure]
    problems: list[str]  # worth a look, each in a few words


def write_report(tape: Path, out: Path) -> CallReport:
    """Write the page about a tape. Raises TapeError when the file is no tape, or the page cannot be written."""
    read = read_tape(tape)
    story = Story(read)
    write(out, render(read, story))
    shown = figures(read, story)
    problems = [f"{figure.label.lower()}: {figure.value}" for figure in shown if figure.bad]
    problems += ["breaks off before its end"] * (read.end is None)
    return CallReport(read.header, shown, problems)


def write(out: Path, page: str) -> None:
    """Write a page; TapeError where it cannot be."""
    try:
        private.write_bytes(out, page.encode())
    except OSError as error:
        raise TapeError(f"{out}: {error.strerror}") from None


def render(tape: Tape, story: Story) -> str:
    """The page as text."""
    style, script = bundle.style(), bundle.script()
    data, audio = call_data(tape, story)
    return Template(bundle.read("page.html")).substitute(
        title=escape(f"Call {tape.header.call}"),
        script_hash=hash_of(script),
        style_hash=hash_of(style),
        style=style,
        script=script,
        call=bundle.read("call.html"),
        data=inert(data),
        audio=audio,
    )


def call_json(path: Path, targets: TargetsSettings) -> bytes:
    """What the page draws of a tape, as one JSON object, for pages that are no file; beside it, which targets were met.
    Raises TapeError."""
    tape = read_tape(path)
    story = Story(tape)
    data, audio = call_data(tape, story)
    data["figures"] += speed_figures(story, targets)
    judge(data["transcript"], story, targets)
    return msgspec.json.encode({"data": data, "audio": audio})


def call_data(tape: Tape, story: Story) -> tuple[dict[str, Any], str]:
    """What the page draws, and both tracks of audio one after the other: mu-law, deflated, in base64."""
    caller, agent = caller_track(tape), ear_track(tape, story)
    audio = base64.b64encode(zlib.compress(caller + agent, 9)).decode() if caller or agent else ""
    return _data(tape, story, len(caller), len(agent)), audio


def inert(value: Any) -> str:
    """JSON that may stand within a script element whatever its texts are."""
    return msgspec.json.encode(value).decode().translate(INERT)


def hash_of(text: str) -> str:
    """A text's hash for the policy that lets it be run, or be the page's style."""
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
        "notices": notices(tape),
        "figures": figures(tape, story),
        "states": states(tape),
        "speech": {
            "at": story.speech.ends_ms,
            "value": [round(value, 3) for value in story.speech.values],
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
