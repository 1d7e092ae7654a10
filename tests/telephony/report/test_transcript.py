"""What the page tells of operators."""

from pathlib import Path

import msgspec

from agent import events as e
from telephony.report import write_report
from telephony.report.story import Story
from telephony.report.tape import read_tape
from telephony.report.transcript import transcript
from tests.agent.phone import Call, frame


def test_who_takes_over_is_told_and_is_no_barge_in(tmp_path: Path) -> None:
    call = Call({})
    call.greet()
    call.speak()
    reply = call.answer("We are open until six.", heard="when are you open")
    call.send(e.Played(reply, 600), e.TakenOver(), e.OperatorAudio(frame(-20)), e.GivenBack())
    call.send(e.SayRequested("One moment."), e.HangUpRequested())
    path = tmp_path / "CA1.jsonl"
    path.write_bytes(msgspec.json.encode(call.header()) + b"\n" + b"".join(call.tape()))
    tape = read_tape(path)
    story = Story(tape)
    assert story.breaks == []
    notes = [entry.text for entry in transcript(tape, story) if entry.who == "note"]
    assert [note for note in notes if "perator" in note] == [
        "An operator took over",
        "The operator gave the call back",
        "An operator had the agent say something: One moment.",
        "An operator ended the call",
    ]
    assert write_report(path, tmp_path / "page.html")
