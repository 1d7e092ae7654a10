"""`voxline try-dialogue` over pipes and on a terminal."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from telephony.cli.main import main

Try = Callable[..., tuple[int, list[str]]]

BOOKING = ["book an appointment on tuesday at ten", "yes please"]


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Try:
    """Give it lines; the exit status and the lines that it prints."""

    def run(*lines: str, arguments: tuple[str, ...] = ("front_desk",)) -> tuple[int, list[str]]:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        status = main(["try-dialogue", *arguments])
        return status, capsys.readouterr().out.splitlines()

    return run


def test_a_script_of_lines_gives_a_transcript(talk: Try) -> None:
    status, lines = talk(*BOOKING, "", "no that's all")
    assert status == 0
    assert lines == [
        "agent       Hello, this is Riverside Dental. How can I help you?",
        "caller      book an appointment on tuesday at ten",
        "understood  book, day = Tuesday, time = ten o'clock",
        "agent       So that's Tuesday at ten o'clock. Is that right?",
        "caller      yes please",
        "understood  yes",
        "tool        book_appointment(day = Tuesday, time = ten o'clock): not run, taken to work",
        "agent       You're all set for Tuesday at ten o'clock. Is there anything else I can do for you?",
        "caller      no that's all",
        "understood  no",
        "agent       Thank you for calling Riverside Dental. Goodbye!",
        "hang-up",
    ]


def test_keys_silence_and_transfers(talk: Try) -> None:
    status, lines = talk("cancel my appointment", "#1234", "/silence", "/digits 0", "/unreached")
    assert status == 0
    assert "understood  number = 1234" in lines
    assert "agent       Are you still there? Shall I cancel appointment 1 2 3 4, yes or no?" in lines
    assert "transfer    reception (+15550100199)" in lines
    assert lines[-1].startswith("agent       I'm sorry, nobody is answering just now.")


def test_a_turn_taken_back_is_said_again(talk: Try) -> None:
    status, lines = talk("book an appointment on tuesday", "at ten", "/back", "at two", "/quit", "at three")
    assert status == 0
    assert lines[-1] == "caller      /quit"
    assert lines[-2] == "agent       So that's Tuesday at two o'clock. Is that right?"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("goodbye", "hello"), "the agent has hung up"),
        (("operator", "hello"), "you are being put through to reception"),
        (("/unreached",), "the caller is not being put through"),
        (("/back",), "there is no turn to take back"),
        (("/hello you",), "/hello is no command"),
        (("#12a",), "#12a is no command, and no keys"),
    ],
)
def test_a_line_that_is_no_turn_is_said_and_gives_status_1(talk: Try, lines: tuple[str, ...], told: str) -> None:
    status, printed = talk(*lines)
    assert status == 1
    assert printed[-1].strip().startswith(told)


def test_tools_run_when_they_are_asked_for(talk: Try, tmp_path: Path) -> None:
    arguments = ("front_desk", "--set", f"server.data={tmp_path}")
    talk(*BOOKING, arguments=arguments)
    assert not list(tmp_path.iterdir())
    _, lines = talk(*BOOKING, arguments=(*arguments, "--tools"))
    assert "tool        book_appointment(day = Tuesday, time = ten o'clock): done" in lines
    [booking] = map(json.loads, (tmp_path / "bookings.jsonl").read_text().splitlines())
    assert booking["arguments"] == {"day": "Tuesday", "time": "ten o'clock"}
    assert booking["call"].startswith("text-")
    (tmp_path / "bookings.jsonl").unlink()
    (tmp_path / "bookings.jsonl").mkdir()
    _, lines = talk(*BOOKING, arguments=(*arguments, "--tools"))
    assert "cannot write bookings.jsonl" in next(line for line in lines if line.startswith("tool"))
    assert "I'm sorry, I couldn't book that just now." in "\n".join(lines)


def test_what_is_missing_is_named(talk: Try, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mute.yaml"
    file.write_text("name: mute\n")
    for agent, told in (
        (str(file), "the agent 'mute' has no `dialogue`"),
        ("nobody", "holds no agent 'nobody'; there are front_desk"),
        (str(tmp_path / "none.yaml"), "none.yaml: cannot be read"),
    ):
        assert main(["try-dialogue", agent]) == 2
        assert told in capsys.readouterr().err
    file.write_text(
        'name: mute\ndialogue:\n  texts: {greeting: "Hi \\e[2J."}\n  intents: {a: {phrases: [a], answer: b}}\n'
    )
    assert talk(arguments=(str(file),)) == (0, ["agent       Hi \\x1b[2J."])


@pytest.mark.timeout(60)
def test_on_a_terminal_it_prompts_and_forgives() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "telephony.cli", "try-dialogue", "front_desk"]
    told = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        for number, line in enumerate((b"/foo\n", b"where are you\n", b"\x04"), 1):
            while told.count(b"caller      ") < number:
                told += os.read(ours, 4096)
            os.write(ours, line)
        assert process.wait(20) == 0
    os.close(ours)
    assert b"/foo is no command" in told
    assert b"understood  address" in told


def test_a_file_of_calls_says_where_the_agent_answers_otherwise(talk: Try, tmp_path: Path) -> None:
    file = tmp_path / "calls.yaml"
    call = "{name: %s, at: 2026-12-01 10:00, turns: [{says: where are you, agent: %s}]}"
    file.write_text(f"calls: [{call % ('here', 'River Street')}]")
    arguments = ("front_desk", "--calls", str(file))
    assert talk(arguments=arguments) == (0, ["good: here", "1 calls, none of them failed"])
    file.write_text(f"calls: [{call % ('here', 'River Street')}, {call % ('there', 'Hill Road')}]")
    status, lines = talk(arguments=arguments)
    assert status == 1
    assert lines[:2] == ["good: here", "failed: there"]
    assert lines[3] == "  caller: where are you"
    assert "turn 1: 'Hill Road' is not in" in lines[5]
    assert lines[-1] == "2 calls, 1 of them failed"
