"""The page about a call: true to its tape, whole without a network, and unharmed by what the tape says."""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import numpy as np
import pytest

from audio import g711
from config.exceptions import TapeError, VoxlineError
from telephony.cli.main import main
from telephony.report import write_report
from tests import debian
from tests.known_calls import MadeCall
from tests.telephony.report.chromium import Chromium, started

FRAME_MS = 20
BLOCK_MS = 80
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028&amp;\"'"

Json = dict[str, Any]


def tone(ms: float, hertz: float = 440.0) -> bytes:
    """A tone as mu-law."""
    samples = 8000 * np.sin(2 * np.pi * hertz * np.arange(round(8 * ms)) / 8000)
    return g711.encode(samples.astype("<i2").tobytes())


def text(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


class Tape:
    """Builds a tape: the caller's audio moves the time, `speech` tells when the caller speaks."""

    def __init__(self, mode: str = "full", **header: Any) -> None:
        self.now = 0.0
        self.speech: list[tuple[float, float]] = []
        self._detected = 0  # ms; the last window's end
        self._metadata = mode == "metadata"
        self.lines: list[Json] = [
            {
                "tape": 1,
                "call": "CA1",
                "agent": "front_desk",
                "started": "2026-11-21T10:00:00Z",
                "mode": mode,
                "voxline": "0.1.0",
                "settings": {"turn": {"onset_probability": 0.5, "offset_probability": 0.35}, "call": {"max_s": 600}},
                "settings_hash": "ab" * 32,
            }
            | header
        ]

    def until(self, ms: float) -> None:
        """Caller audio and speech probabilities up to here."""
        while self.now < ms:
            self.now += FRAME_MS
            talking = self._talking(self.now)
            self.event("CallerAudio", ulaw=text(tone(FRAME_MS) if talking else g711.SILENCE * 160))
            while self._detected + 32 <= self.now:
                at = self._detected = self._detected + 32
                self.event("SpeechProbability", value=0.9 if self._talking(at) else 0.05, at_ms=at)

    def event(self, kind: str, *commands: Json, state: str = "", **fields: Any) -> None:
        line: Json = {"at": self.now, "event": self._kept({"type": kind, **fields})}
        if commands:
            line["commands"] = [self._kept(command) for command in commands]
        self.lines.append(line | ({"state": state} if state else {}))

    def wire(self, **fields: Any) -> None:
        self.lines.append({"at": self.now, **self._kept(fields)})

    def play(self, reply: int, position_ms: float, ms: float, plays_at: float) -> None:
        """Hand blocks over, and a mark at their end."""
        for start in range(0, round(ms), BLOCK_MS):
            audio = tone(min(BLOCK_MS, ms - start), 880)
            position = round(8 * (position_ms + start))
            self.wire(out="media", reply=reply, position=position, plays_at=plays_at + start, ulaw=text(audio))
        self.wire(out="mark", name=f"{reply}.1.{round(8 * (position_ms + ms))}")

    def end(self, **fields: Any) -> None:
        self.lines.append({"at": self.now, "end": {"reason": "hung up", "outcome": "caller", "frames": 9} | fields})

    def bytes(self) -> bytes:
        return b"".join(json.dumps(line).encode() + b"\n" for line in self.lines)

    def _talking(self, at: float) -> bool:
        return any(start < at <= end for start, end in self.speech)

    def _kept(self, fields: Json) -> Json:
        secret = {"ulaw", "text", "words", "heard"} if self._metadata else set()
        return {key: value for key, value in fields.items() if key not in secret}


def words(*spoken: str) -> list[Json]:
    """Words of 200 ms each."""
    return [{"text": word, "start_ms": 200 * i, "end_ms": 200 * (i + 1)} for i, word in enumerate(spoken)]


def command(kind: str, **fields: Any) -> Json:
    return {"type": kind, **fields}


def sample_call(mode: str = "full", *, said: str = "book me in please", **header: Any) -> Tape:
    """Greeting of 1000 ms heard from 40 ms on; a backchannel over it; a turn; an answer of 800 ms, interrupted."""
    tape = Tape(mode, **header)
    tape.speech = [(416, 544), (2016, 3008), (4320, 5000)]
    tape.until(20)
    tape.event("Start", command("TurnDecided", reply=1, cue="greet", at_ms=20, speech_end_ms=0), state="processing")
    greeting = words("Hello", "this", "is", "Riverside", "Dental.")
    tape.event("ReplyText", reply=1, text="Hello this is Riverside Dental.")
    play = command("Play", reply=1, marks=[1000], audio={"bytes": 16000, "crc32": 1})
    tape.event("ReplyAudio", play, reply=1, ulaw=text(tone(1000, 880)), words=greeting, state="speaking")
    tape.play(1, 0, 1000, 40)
    tape.until(480)
    tape.event("Dtmf", digit="5")
    tape.event("SpeechProbability", command("Pause", reply=1), value=0.9, at_ms=480, state="interrupted")
    tape.wire(out="clear")
    tape.event("Paused", reply=1, ms=440.0)
    tape.until(560)
    heard = {"utterance": 1, "text": "uh-huh", "meaning": "backchannel", "complete": None}
    tape.event("Partial", command("Resume", reply=1), **heard, state="speaking")
    tape.play(1, 440, 560, 580)
    tape.until(1160)
    tape.wire(**{"in": "mark", "name": "1.1.8000"})
    said_greeting = command("Said", role="agent", text="Hello this is Riverside Dental.", interrupted=False, at_ms=1160)
    tape.event("Played", said_greeting, reply=1, ms=1000.0, state="listening")
    tape.until(3408)
    tape.event(
        "SpeechProbability",
        command("TurnDecided", reply=2, cue="answer", at_ms=3408, speech_end_ms=3008),
        command("StartReply", reply=2, request={"cue": "answer", "digits": "", "history": []}, utterance=2),
        value=0.1,
        at_ms=3408,
        state="processing",
    )
    tape.until(3480)
    tape.event("CallerSaid", reply=2, text=said, meaning="turn")
    tape.event("ReplyDone", command("RunTools", reply=2, calls=[{"name": "book", "arguments": {}}]), reply=2, calls=[])
    tape.until(3500)
    tape.event("ToolsFinished", reply=2, results=[{"name": "book", "arguments": {}, "result": {}, "error": ""}])
    tape.event("ReplyText", reply=2, text=" You are booked in")
    tape.event(
        "ReplyAudio",
        command("Said", role="caller", text=said, interrupted=False, at_ms=3500),
        command("Play", reply=2, marks=[800], audio={"bytes": 12800, "crc32": 2}),
        reply=2,
        ulaw=text(tone(800, 880)),
        words=words("You", "are", "booked", "in"),
        state="speaking",
    )
    tape.play(2, 0, 800, 3540)
    tape.wire(**{"in": "gap", "ms": 40})
    tape.until(4020)
    tape.event("SpeechProbability", command("Pause", reply=2), value=0.9, at_ms=4020, state="interrupted")
    tape.wire(out="clear")
    tape.event(
        "Paused",
        command("Drop", reply=2),
        command("Interrupted", reply=2, at_ms=4020, onset_ms=3920, heard="You are"),
        command("Said", role="agent", text="You are", interrupted=True, at_ms=4020),
        reply=2,
        ms=480.0,
        state="listening",
    )
    tape.until(5000)
    tape.event("HungUp", state="ended")
    return tape


class Page(HTMLParser):
    """What a browser sees of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.within: dict[str, str] = {}  # an element's id, or else its tag: the text in it
        self._open = ""
        self.feed(html)
        self.close()
        self.data: Json = json.loads(self.within["data"])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") or tag

    def handle_data(self, data: str) -> None:
        self.within[self._open] = self.within.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def tracks(self) -> tuple[bytes, bytes]:
        """The caller's and the agent's mu-law."""
        audio = zlib.decompress(base64.b64decode(self.within["audio"]))
        length = self.data["audio"]["caller"]
        assert len(audio) == length + self.data["audio"]["agent"]
        return audio[:length], audio[length:]

    def entries(self, who: str) -> list[Json]:
        return [entry for entry in self.data["transcript"] if entry["who"] == who]

    def figure(self, label: str) -> str:
        return next(figure["value"] for figure in self.data["figures"] if figure["label"] == label)


@pytest.fixture
def report(tmp_path: Path) -> Any:
    """Gives the page about a tape."""

    def make(tape: Tape | bytes, name: str = "call.jsonl") -> Page:
        path = tmp_path / name
        path.write_bytes(tape if isinstance(tape, bytes) else tape.bytes())
        write_report(path, tmp_path / "new" / "call.html")
        return Page((tmp_path / "new" / "call.html").read_text(encoding="utf-8"))

    return make


def test_what_was_said_and_what_of_it_was_heard(report: Any) -> None:
    page = report(sample_call())
    (caller,) = page.entries("caller")
    assert (caller["text"], caller["start"], caller["end"]) == ("book me in please", 2016, 3008)
    assert "answer heard after 532 ms" in caller["facts"]
    assert caller["facts"][1:] == [
        *("turn decided +400", "transcript +72", "first words +20", "first audio made +0", "at the ear +40")
    ]
    greeting, answer = page.entries("agent")
    assert all(word["heard"] for word in greeting["words"])
    assert greeting["tags"] == ["greet", "resumed"]
    assert [word["heard"] for word in answer["words"]] == [True, True, False, False]
    assert answer["tags"] == ["interrupted"]
    assert (answer["start"], answer["end"]) == (3540, 4020)
    assert [word["at"] for word in answer["words"]] == [3540, 3740, 3940, None]


def test_words_after_a_pause_were_heard_later(report: Any) -> None:
    greeting = report(sample_call()).entries("agent")[0]
    assert [word["at"] for word in greeting["words"]] == [40, 240, 440, 740, 940]


def test_each_wait_has_its_bar(report: Any) -> None:
    waits = report(sample_call()).data["latencies"]
    found = [(wait["kind"], wait["start"], wait["end"], wait["total"]) for wait in waits]
    assert found == [
        ("answer", 20, 40, 20),
        ("pause", 416, 480, 64),
        ("resume", 480, 560, 80),
        ("decide", 3008, 3408, None),
        ("answer", 3408, 3540, 532),
        ("pause", 3920, 4020, 100),
        ("interrupt", 4020, 4020, 0),
    ]


def test_a_transfer_that_came_to_nothing_has_its_state_and_its_notes(report: Any) -> None:
    tape = Tape()
    tape.until(1000)
    tape.event("Played", command("Transfer", number="+15550100"), reply=1, ms=900.0, state="connecting")
    tape.until(3000)
    tape.event("TransferFailed", command("TurnDecided", reply=2, cue="unreached"), reason="busy", state="processing")
    tape.until(4000)
    page = report(tape)
    notes = [note["text"] for note in page.entries("note")]
    assert notes == ["Transfer to +15550100", "Nobody was reached: busy"]
    states = [(state["name"], state["start"], state["end"]) for state in page.data["states"]]
    assert ("connecting", 1000, 3000) in states


def test_a_hold_has_its_state_and_its_notes_and_is_no_barge_in(report: Any) -> None:
    tape = sample_call()
    now = tape.now
    tape.event("Held", command("Pause", reply=2, at_ms=now, onset_ms=None), state="hold")
    tape.event("Paused", reply=2, ms=300.0)
    tape.until(now + 20_000)
    tape.event("Retrieved", command("Resume", reply=2), state="speaking")
    tape.until(now + 21_000)
    page = report(tape)
    assert page.figure("Barge-ins") == "1"
    assert page.figure("Resumes") == "1"
    assert [note["start"] for note in page.entries("note") if "hold" in note["text"]] == [now, now + 20_000]
    states = [(state["name"], state["start"], state["end"]) for state in page.data["states"]]
    assert ("hold", now, now + 20_000) in states
    assert not [tick for tick in page.data["ticks"] if tick["kind"] == "hole"]


def test_key_figures_and_notes(report: Any) -> None:
    tape = sample_call()
    tape.end(underruns=3)
    page = report(tape)
    assert page.figure("Turns") == "1"
    assert page.figure("Median gap") == "532 ms"
    assert page.figure("Barge-ins") == "1"
    assert page.figure("Resumes") == "1"
    assert page.figure("Underruns") == "3"
    assert page.figure("Lost audio") == "40 ms"
    assert page.data["notices"] == []
    notes = [note["text"] for note in page.entries("note")]
    assert "Heard over the agent: “uh-huh” (backchannel); silent after 64 ms; went on 80 ms later" in notes
    assert "Tool book: after 20 ms" in notes
    assert "Key 5" in notes


def keys_after(tape: Tape, mode: str, *, tones: bool) -> Tape:
    """The greeting is heard, and the agent presses keys, heard as tones for 640 ms or sent as events."""
    tape.until(100)
    tape.play(1, 0, 400, 100)
    tape.until(600)
    said = command("Said", role="agent", text="OutboundCalls.", interrupted=False, at_ms=600)
    press = command("Press", reply=2) if mode == "metadata" else command("Press", reply=2, keys="104#")
    tape.event("Played", said, press, reply=1, ms=400.0)
    if tones:
        tape.play(2, 0, 640, 620)
    tape.until(1400)
    tape.event("Played", reply=2, ms=640.0, state="listening")
    return tape


THUMB = 44  # px
UNPACKED = "!document.getElementById('play').disabled"  # the audio is, and everything drawn
# What can be pressed, where it lies in the page, and whether it is what is hit there.
CONTROLS = """
[...document.querySelectorAll("button, a, input[type=search], summary, .choice label, canvas, ol, .scroll")]
  .filter((control) => control.checkVisibility())
  .map((control) => {
    control.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const box = control.getBoundingClientRect();
    const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const scrolled = control.parentElement.closest("ol, .scroll");
    const [x, y] = [scrolled?.scrollLeft ?? 0, scrolled?.scrollTop ?? 0];
    return {
      name: control.id || control.textContent.trim().slice(0, 30) || control.tagName,
      reached: control.contains(hit) || hit?.id === "cursor",
      width: box.width, height: box.height,
      left: box.left + scrollX + x, right: box.right + scrollX + x,
      top: box.top + scrollY + y, bottom: box.bottom + scrollY + y,
      within: scrolled?.tagName ?? "",
    };
  })"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser for all tests."""
    debian.require("chromium")
    with started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a call, and the index of it and of one that is broken."""
    folder = tmp_path_factory.mktemp("pages")
    tape = sample_call(call="CA0123456789abcdef0123456789abcdef")
    tape.end(underruns=3)
    (folder / "call.jsonl").write_bytes(tape.bytes())
    (folder / "second.jsonl").write_bytes(tape.bytes())
    (folder / "broken.jsonl").write_bytes(b'{"tape":1}\n{}\n')
    main(["report", str(folder)])
    return folder


@pytest.fixture(scope="module")
def made() -> list[tuple[MadeCall, bytes]]:
    """Calls of which everything is known: a short pause, keys later on, a caller cut off, an answer that runs dry."""
    calls = [MadeCall(0, 100), MadeCall(1, 300, keys="12#"), MadeCall(2, 700), MadeCall(3, 300, dry_ms=300)]
    return [(call, call.tape()) for call in calls]


def test_what_was_said_stands_where_it_was_said(report: Any, made: Any) -> None:
    for call, tape in made:
        page = report(tape)
        keys = [(call.keys_ms[0], call.keys_ms[1])] if call.keys_ms else []
        question = call.speech[:2] if call.number == 2 else [(call.speech[0][0], call.speech[1][1])]
        turns = [(entry["start"], entry["end"]) for entry in page.entries("caller")]
        assert turns == [pytest.approx(turn, abs=80) for turn in [*question, *keys, call.speech[2]]]
        assert [entry["tags"] for entry in page.entries("caller") if "tags" in entry] == [["cut off"]] * (
            call.number == 2
        )
        spoken = [entry for entry in page.data["transcript"] if entry["who"] != "note"]
        overlaps = [other["start"] - one["end"] for one, other in pairwise(spoken) if other["start"] < one["end"]]
        assert all(overlap > -200 for overlap in overlaps)  # a barge-in, until the agent fell silent
        assert len(overlaps) == (call.number == 2)


def test_underruns_are_those_that_the_line_has_counted(report: Any, made: Any) -> None:
    for call, tape in made:
        page = report(tape)
        holes = [tick for tick in page.data["ticks"] if tick["kind"] == "hole"]
        assert len(holes) == call.playout.underruns == (3 if call.dry_ms else 0)  # greeting and two answers
        assert page.figure("Underruns") == str(call.playout.underruns)
        assert all(0 < tick["end"] - tick["start"] <= call.dry_ms + 20 for tick in holes)


def test_keys_have_no_gap_and_no_bar(report: Any, made: Any) -> None:
    page = report(made[1][1])
    assert page.figure("Turns") == "3"
    waits = page.data["latencies"]
    assert sum(wait["kind"] == "decide" for wait in waits) == 2
    assert all(wait["end"] - wait["start"] < 700 for wait in waits)
    assert int(page.figure("Longest gap").split()[0]) < 700


def test_words_that_come_late_are_those_of_their_turn(report: Any) -> None:
    tape = Tape()
    for reply, at in ((1, 1000), (2, 3000)):
        tape.until(at)
        tape.event(
            "SpeechProbability",
            command("TurnDecided", reply=reply, cue="answer", at_ms=at, speech_end_ms=at - 400),
            command("StartReply", reply=reply, utterance=reply, request={"digits": ""}),
            value=0.1,
            at_ms=at,
        )
        tape.play(reply, 0, 800, at + 40)
    said = command("Said", role="caller", text="a leaking pipe", interrupted=False, at_ms=3000)
    tape.event("Transcribed", said, utterance=1, text="a leaking pipe")
    assert [entry["text"] for entry in report(tape).entries("caller")] == ["a leaking pipe", ""]


def test_what_the_caller_did_not_hear_for_having_hung_up_is_not_drawn(report: Any) -> None:
    tape = Tape()
    tape.until(100)
    tape.play(1, 0, 800, 100)
    tape.until(500)
    tape.event("HungUp", state="ended")
    assert report(tape).data["heard"] == [{"reply": 1, "start": 100, "end": 500}]


@pytest.mark.parametrize(("mode", "keys"), [("full", "104#"), ("metadata", "keys")])
@pytest.mark.parametrize(("tones", "span"), [(True, (620, 1260)), (False, (600, 600))])
def test_keys_of_the_agent_stand_among_what_was_said(
    report: Any, mode: str, keys: str, tones: bool, span: tuple[int, int]
) -> None:
    page = report(keys_after(Tape(mode), mode, tones=tones))
    entry = page.entries("agent")[-1]
    assert (entry["text"], entry["tags"], entry["reply"]) == (f"Pressed {keys}", ["keys"], 2)
    if mode == "full":
        assert (entry["start"], entry["end"]) == span
    (tick,) = [tick for tick in page.data["ticks"] if tick["kind"] == "press"]
    assert (tick["label"], tick["start"]) == (f"Pressed {keys} for the agent", 600)
    assert page.data["notices"] == (
        ["The tape breaks off before the call's end."]
        + ["The tape holds no audio and no words: only what happened, and when."] * (mode == "metadata")
    )
    assert page.figure("Turns") == "0"
    assert page.figure("Underruns") == "0"


def test_states_fill_the_whole_call(report: Any) -> None:
    states = report(sample_call()).data["states"]
    assert [state["name"] for state in states] == [
        *("idle", "speaking", "interrupted", "speaking", "listening"),
        *("processing", "speaking", "listening"),
    ]
    assert all(one["end"] == other["start"] for one, other in pairwise(states))


def test_the_agents_track_is_what_the_ear_heard(report: Any) -> None:
    caller, agent = report(sample_call()).tracks()
    assert caller[8 * 2100 : 8 * 2120] == tone(20)
    assert len(caller) == 8 * 5000

    def silent(start: int, end: int) -> bool:
        return set(agent[8 * start : 8 * end]) <= set(g711.SILENCE)

    assert silent(0, 40)
    assert agent[8 * 40 : 8 * 120] == tone(80, 880)
    assert silent(480, 580)  # from `clear` until it went on
    assert not silent(580, 1100)
    assert len(agent) == 8 * 4020  # cut off by the second `clear`


def test_a_hole_within_a_reply_is_an_underrun(report: Any) -> None:
    tape = Tape()
    tape.until(100)
    tape.play(1, 0, 80, 100)
    tape.wire(out="underrun", ms=70.0)
    tape.play(1, 80, 80, 250)
    page = report(tape)
    assert page.figure("Underruns") == "1"
    holes = [(tick["start"], tick["end"]) for tick in page.data["ticks"] if tick["kind"] == "hole"]
    assert holes == [(180, 250)]


def test_nothing_but_what_the_line_has_counted_is_an_underrun(report: Any) -> None:
    """The caller's audio, which is the clock of the tape, stands still for 200 ms and then comes all at once."""
    tape = Tape()
    tape.until(100)
    for position, plays_at in ((0, 100), (80, 120), (160, 140), (240, 500)):
        tape.play(1, position, 80, plays_at)
    page = report(tape)
    assert page.figure("Underruns") == "0"
    assert page.data["heard"] == [{"reply": 1, "start": 100, "end": 420}]


def test_blocks_that_the_tape_times_to_a_frame_only_are_played_without_a_break(report: Any) -> None:
    tape = Tape()
    tape.until(100)
    for position, plays_at in ((0, 100), (80, 190), (160, 250), (240, 341)):
        tape.play(1, position, 80, plays_at)
    page = report(tape)
    assert page.figure("Underruns") == "0"
    assert page.data["heard"] == [{"reply": 1, "start": 100, "end": 420}]
    assert page.tracks()[1][800:] == tone(80, 880) * 4


def test_the_fade_of_a_pause_is_heard_and_no_underrun(report: Any) -> None:
    tape = Tape()
    tape.until(100)
    tape.play(1, 0, 400, 100)
    tape.until(200)
    tape.event("SpeechProbability", command("Pause", reply=1, at_ms=200, onset_ms=160), value=0.9, at_ms=192)
    tape.wire(out="clear")
    tape.wire(out="media", reply=1, position=800, plays_at=200, ulaw=text(tone(20)))
    tape.event("Paused", reply=1, ms=100.0)
    tape.until(400)
    tape.event("Partial", command("Resume", reply=1), utterance=1, text="")
    tape.play(1, 100, 300, 400)
    page = report(tape)
    assert page.figure("Underruns") == "0"
    assert [(span["start"], span["end"]) for span in page.data["heard"]] == [(100, 220), (400, 700)]
    assert page.data["latencies"][0] | {"label": ""} == {
        **{"kind": "pause", "start": 160, "end": 200, "label": "", "total": 40}
    }


def test_an_answer_taken_back_is_no_turn(report: Any) -> None:
    tape = Tape()
    tape.until(500)
    decided = command("TurnDecided", reply=1, cue="answer", at_ms=500, speech_end_ms=200)
    tape.event("SpeechProbability", decided, value=0, at_ms=500)
    tape.until(600)
    tape.event("ReplyUnfinished", command("CancelReply", reply=1), reply=1)
    page = report(tape)
    assert page.figure("Turns") == "0"
    assert [note["text"] for note in page.entries("note")] == [
        "Answer 1 was taken back: the model wanted more of the turn"
    ]


def test_a_turn_whose_early_answer_was_dropped_begins_where_the_caller_began(report: Any) -> None:
    tape = Tape()
    tape.speech = [(32, 128), (320, 640)]
    tape.until(340)
    tape.event(
        "Partial", command("CancelReply", reply=1), command("ForgetUtterance", utterance=1), utterance=1, text=""
    )
    tape.until(1000)
    tape.event("Partial", command("TurnDecided", reply=2, cue="answer", at_ms=1000, speech_end_ms=640), text="")
    page = report(tape)
    assert [(turn["start"], turn["end"]) for turn in page.entries("caller")] == [(32, 640)]
    assert [note["text"] for note in page.entries("note")] == ["Answer 1 was made early and not used"]


def test_noise_that_was_forgotten_is_no_part_of_the_next_turn(report: Any) -> None:
    tape = Tape()
    tape.speech = [(32, 64), (704, 960)]
    tape.until(600)
    tape.event("Partial", command("ForgetUtterance", utterance=1), utterance=1, text="")
    tape.until(1400)
    tape.event("Partial", command("TurnDecided", reply=1, cue="answer", at_ms=1400, speech_end_ms=960), text="")
    page = report(tape)
    assert [turn["start"] for turn in page.entries("caller")] == [704]
    assert [note["text"] for note in page.entries("note")] == ["A sound that was no speech: forgotten"]


def test_the_table_leaves_out_what_is_drawn(report: Any) -> None:
    page = report(sample_call())
    names = [row[2] for row in page.data["rows"]]
    assert "CallerAudio" not in names
    assert names.count("SpeechProbability") == 3  # those that decided something
    made = next(row for row in page.data["rows"] if row[2] == "ReplyAudio")
    assert made[3:] == [1, "ulaw=8000 bytes words=Hello this is Riverside Dental."]


def test_gzip_is_read_and_so_is_one_whose_end_is_missing(report: Any) -> None:
    plain = report(sample_call())
    packed = gzip.compress(sample_call().bytes())
    assert report(packed, "call.jsonl.gz").data == plain.data
    cut = report(packed[: len(packed) * 3 // 4], "call.jsonl.gz")
    assert cut.data["rows"] == plain.data["rows"][: len(cut.data["rows"])]


def test_a_last_line_that_breaks_off_is_ignored(report: Any) -> None:
    whole = sample_call()
    broken = whole.bytes() + b'{"at":5000.0,"ev'
    page = report(broken)
    assert page.data["rows"] == report(whole).data["rows"]
    assert page.data["notices"] == ["The tape breaks off before the call's end."]


def test_a_tape_without_audio_and_words_still_tells_when(report: Any) -> None:
    page, full = report(sample_call("metadata")), report(sample_call())
    assert page.data["audio"] is None
    assert page.within.get("audio", "") == ""
    assert page.data["latencies"] == full.data["latencies"]
    assert page.data["heard"] == full.data["heard"]
    assert [e["start"] for e in page.entries("agent")] == [e["start"] for e in full.entries("agent")]


def test_types_of_a_newer_version_are_listed(report: Any) -> None:
    tape = sample_call()
    tape.event("Hologram", command("Beam", reply="nobody"), reply={"odd": True})
    tape.wire(out="smell", ms=1)
    tape.lines.append({"at": 5000.0, "something": "else"})
    page = report(tape)
    assert any("Hologram (1), Beam (1)" in notice for notice in page.data["notices"])
    assert [row[2] for row in page.data["rows"][-4:]] == ["Hologram", "Beam", "smell out", "unknown"]


def test_nothing_that_a_tape_says_becomes_part_of_the_page(report: Any) -> None:
    hostile = sample_call(
        call=EVIL, agent=EVIL, started=EVIL, said=EVIL, settings_hash=EVIL, settings={EVIL: {EVIL: EVIL}}
    )
    hostile.event(EVIL, command(EVIL))
    hostile.event("ReplyFailed", reply=2, reason=EVIL)
    hostile.end(outcome=EVIL)
    page, honest = report(hostile), report(sample_call())
    assert page.tags == honest.tags
    assert page.data["call"]["id"] == EVIL
    assert page.entries("caller")[0]["text"] == EVIL
    assert not re.search("[<>&\u2028]", page.within["data"])
    assert page.within["title"] == f"Call {EVIL}"


def test_the_page_may_not_load_anything_nor_run_another_script(report: Any) -> None:
    page = report(sample_call())
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"\b(src|href)=", re.sub(r"<(script|style).*?</\1>", "", page.html, flags=re.DOTALL))
    assert "http" not in re.sub(r"http-equiv", "", page.html)
    handlers = [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert handlers == []
    assert page.html.count("</script>") == 3


def test_a_browser_draws_it(report: Any, tmp_path: Path, chromium: Chromium) -> None:
    hostile = sample_call(call=EVIL, said=EVIL)
    hostile.event("ReplyFailed", reply=2, reason=EVIL)
    report(hostile)
    chromium.open((tmp_path / "new" / "call.html").as_uri(), width=1400, dark=False, until=UNPACKED)
    seen = Page(chromium.run("document.documentElement.outerHTML"))
    assert seen.within["call-id"] == EVIL
    assert [tag for tag, _ in seen.tags].count("s") == 1  # the words that were not heard
    assert sum(str(attrs.get("class", "")).startswith("entry") for _, attrs in seen.tags) >= 8
    assert "disabled" not in next(attrs for _, attrs in seen.tags if attrs.get("id") == "play")  # the audio is unpacked
    assert "img" not in [tag for tag, _ in seen.tags]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1400])
@pytest.mark.parametrize("which", ["call", "index"])
def test_everything_can_be_reached_and_nothing_lies_over_anything(
    which: str, width: int, dark: bool, pages: Path, chromium: Chromium
) -> None:
    """By thumb, where the screen is a phone's or a tablet's."""
    until = UNPACKED if which == "call" else "true"
    chromium.open((pages / f"{which}.html").as_uri(), width=width, dark=dark, until=until)
    assert chromium.run("document.documentElement.scrollWidth") <= width
    found = chromium.run(CONTROLS)
    assert len(found) >= (20 if which == "call" else 2)
    assert [control for control in found if not control["reached"]] == []
    small = [control for control in found if min(control["width"], control["height"]) < THUMB]
    assert width > 800 or small == []
    overlapping = [
        (one["name"], other["name"])
        for number, one in enumerate(found)
        for other in found[number + 1 :]
        if one["within"] == other["within"]
        and min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 1
    ]
    assert overlapping == []
    colors = chromium.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
    brightness = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in colors]
    assert (brightness[0] < brightness[1]) is dark


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is no tape"),
        (b"RIFF....WAVE", "this is no tape"),
        (b"[1]\n", "this is no tape"),
        (b"\x1f\x8b\x08rubbish", "this is no tape"),
        (b'{"tape":2}\n', "version 2"),
        (b'{"tape":1,"settings":3}\n', "line 1"),
        (b'{"tape":1}\n{"at":\n{"at":1}\n', "line 2"),
        (b'{"tape":1}\n{"event":{"type":"HungUp"}}\n', "line 2"),
        (b'{"tape":1}\n{"at":1e300,"out":"clear"}\n', "line 2"),
        (b'{"tape":1}\n{"at":1,"event":{"type":"Played","ms":"x"}}\n', "line 2"),
    ],
)
def test_a_file_that_is_no_tape_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "tape").write_bytes(content)
    with pytest.raises(TapeError, match=message) as caught:
        write_report(tmp_path / "tape", tmp_path / "out.html")
    assert isinstance(caught.value, VoxlineError)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.html").exists()


def test_a_missing_tape_and_a_bad_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="No such file"):
        write_report(tmp_path / "none", tmp_path / "out.html")
    (tmp_path / "tape").write_bytes(sample_call().bytes())
    with pytest.raises(TapeError, match="directory"):
        write_report(tmp_path / "tape", tmp_path)


def test_a_folder_has_an_index_with_problems_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for day in range(1, 4):
        tape = sample_call(call=f"CA{day}", started=f"2026-11-2{day}T10:00:00Z")
        tape.lines = [line for line in tape.lines if line.get("in") != "gap"]
        tape.end(underruns=2 if day == 2 else 0)
        (tmp_path / f"call {day}.jsonl").write_bytes(tape.bytes())
    (tmp_path / "evil.jsonl.gz").write_bytes(gzip.compress(sample_call(call=EVIL, agent=EVIL).bytes()))
    (tmp_path / "broken.jsonl").write_bytes(b'{"tape":1}\n{}\n')
    assert main(["report", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert printed == f"5 calls, 3 of them with problems; written to {tmp_path / 'index.html'}\n"
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr><td.*?</tr>", page, flags=re.DOTALL)
    links = [re.search('href="([^"]+)"', row) for row in rows]
    assert [link and link[1] for link in links] == [
        *("evil.html", "call%202.html", None, "call%203.html", "call%201.html"),
    ]
    assert all((tmp_path / unquote(link[1])).is_file() for link in links if link)
    assert "underruns: 2" in rows[1]
    assert "broken.jsonl: line 2: " in rows[2]
    assert "<script" not in page
    assert "<img" not in page
    assert 'data-name="median gap">532 ms<' in rows[1]


def test_an_empty_call_has_a_page_too(report: Any) -> None:
    page = report(b'{"tape":1}\n')
    assert page.data["transcript"] == []
    assert page.data["duration"] == 1


def test_three_minutes_stay_below_three_megabytes(tmp_path: Path) -> None:
    """Noise on the whole of the caller's side, speech-like sound on half of the agent's."""
    random = np.random.default_rng(1)
    tape = Tape()
    for second in range(180):
        tape.now = 1000.0 * (second + 1)
        noise = random.normal(0, 60, 8000).astype("<i2").tobytes()
        tape.event("CallerAudio", ulaw=text(g711.encode(noise)))
        if second % 2:
            voice = random.normal(0, 4000, 8000).astype("<i2").tobytes()
            tape.wire(out="media", reply=1, position=0, plays_at=tape.now, ulaw=text(g711.encode(voice)))
    (tmp_path / "tape.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(tape.lines))
    write_report(tmp_path / "tape.jsonl", tmp_path / "out.html")
    assert (tmp_path / "out.html").stat().st_size < 3_000_000
