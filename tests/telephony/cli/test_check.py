"""`voxline check` as people run it."""

from pathlib import Path

import pytest

from telephony.cli.main import main

AGENT = """\
name: desk
dialogue:
  texts: {greeting: Hello.}
  intents:
    hours: {phrases: [opening hours], answer: Nine.}
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An agent's file in order."""
    file = tmp_path / "desk.yaml"
    file.write_text(AGENT)
    return file


def check(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    status = main(["check", *map(str, arguments)])
    return status, capsys.readouterr().out.splitlines()


def test_agents_are_named_by_name_or_file_and_are_all_that_there_are_by_default(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = "agents: {}, problems: 0, warnings: 0"
    assert check(capsys) == (0, [fine.format(1)])
    assert check(capsys, "front_desk", desk) == (0, [fine.format(2)])
    assert check(capsys, "--set", f"agents={desk.parent}") == (0, [fine.format(1)])
    assert check(capsys, "desk", "--set", f"agents={desk.parent}") == (0, [fine.format(1)])
    assert main(["check", "nobody"]) == 2
    assert "holds no agent 'nobody'; there are front_desk" in capsys.readouterr().err
    desk.unlink()
    assert check(capsys, "--set", f"agents={desk.parent}") == (1, ["agents: 0, problems: 0, warnings: 0"])


def test_every_finding_is_one_line_with_file_key_and_advice(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write_text(AGENT.replace("answer: Nine.", 'answer: "Nine \\e."'))
    assert check(capsys, desk) == (
        0,
        [
            f"{desk}: warning: dialogue.intents.hours.answer: "
            "voices for en-us cannot say '\\x1b' (a control character); write it as words",
            "agents: 1, problems: 0, warnings: 1",
        ],
    )
    desk.write_text(AGENT + "    open: {phrases: [the opening hours, opening hours], answer: Ten.}\n")
    status, lines = check(capsys, desk)
    assert status == 1
    assert lines == [
        f"{desk}: problem: dialogue.intents.open.phrases[1]: cannot be reached by this phrase: "
        '"opening hours" is understood as hours; leave it out, or reword it',
        f"{desk}: problem: dialogue.intents.hours.phrases: \"opening hours\" is a phrase of 'open' too, and is "
        "understood as 'hours'; take them out of one of the two, or add a word that tells them apart",
        "agents: 1, problems: 2, warnings: 0",
    ]


def test_a_file_that_cannot_be_loaded_does_not_hide_the_others(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = desk.with_name("wrong.yaml")
    wrong.write_text("name: wrong\nspeed: 9\nvoize: bob\n")
    status, lines = check(capsys, wrong, desk)
    assert status == 1
    assert lines == [
        f"{wrong}: problem: speed: 9: Input should be less than or equal to 2 (line 2)",
        f"{wrong}: problem: voize: there is no such key (line 3)",
        "agents: 2, problems: 2, warnings: 0",
    ]


@pytest.mark.parametrize(
    ("agent", "profile", "told"),
    [
        ("language: es\n", "embedded", "problem: language: 'es': the embedded recognizer, which hears the callers"),
        ("voice: bob\n", "embedded", "problem: espeak-ng has no voice 'bob'"),
        ("language: es\n", "openai", "warning: language: 'es' is not understood without the models"),
    ],
)
def test_languages_and_voices(
    desk: Path, capsys: pytest.CaptureFixture[str], agent: str, profile: str, told: str
) -> None:
    desk.write_text(AGENT + agent)
    status, lines = check(capsys, desk, "--set", f"engine.profile={profile}")
    assert lines[0].startswith(f"{desk}: {told}")
    assert status == ("problem" in told)


def test_what_the_engine_does_not_need_is_not_asked_for(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk.write_text(AGENT.replace("opening", "xyzzyx"))
    assert "the recognizer cannot pronounce 'xyzzyx'" in check(capsys, desk)[1][0]
    assert check(capsys, desk, "--set", "engine.embedded.recognizer=moonshine")[0] == 0
    desk.write_text("name: desk\n")
    assert "problem: dialogue: is missing" in check(capsys, desk)[1][0]
    assert check(capsys, desk, "--set", "engine.profile=simulated")[0] == 0
