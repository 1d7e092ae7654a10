"""Files of scripted calls: mistakes are named."""

from pathlib import Path

import pytest

from config.call_script import load_calls
from config.exceptions import SettingsError

GOOD = 'calls: [{name: a, at: 2026-12-01 10:00, turns: [{says: hello, agent: Hi}, {keys: "12"}, {silent: true}]}]'


def test_calls_are_read(tmp_path: Path) -> None:
    path = tmp_path / "calls.yaml"
    path.write_text(GOOD)
    [call] = load_calls(path)
    assert (call.name, call.at.hour, call.ends) == ("a", 10, "listening")
    assert [turn.agent for turn in call.turns] == [("Hi",), (), ()]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("calls: []", "calls: "),
        (GOOD.replace("2026-12-01 10:00", "noon"), "calls.0.at"),
        (GOOD.replace("says: hello, agent: Hi", "agent: Hi"), "a turn is one of"),
        (GOOD.replace("silent: true", "silent: true, unreached: true"), "a turn is one of"),
        (GOOD.replace("agent: Hi", "agnet: Hi"), "calls.0.turns.0.agnet"),
        ("calls: [", "cannot be read"),
        ("calls: 1\ncalls: 2", "stands twice"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "calls.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_calls(path)
    assert named in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_calls(tmp_path / "none.yaml")
