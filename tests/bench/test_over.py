"""The benchmark of speech over the agent, with one voice."""

import json
from pathlib import Path

import pytest

from bench import machine, over
from telephony.simulator.voices import FOLDER


def test_it_tells_what_ends_a_reply_and_what_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = list(over.nobody())
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    monkeypatch.setattr(over, "LINES", over.LINES[:1])
    monkeypatch.setattr(over, "nobody", lambda: [sounds[0], sounds[-1]])
    voice = next(path for path in sorted(FOLDER.iterdir()) if path.is_dir() and over.is_seen(path.name))
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / voice.name).symlink_to(voice)
    over.main([str(tmp_path / "voices")])
    [file] = tmp_path.glob("over-*.json")
    found = json.loads(file.read_text())
    assert found["half"] == "seen"
    assert {name: (times, ended) for name, times, ended in found["rows"]} == {
        "No.": (1, 1),
        "No, wait, that is not what I meant.": (1, 1),
        "I'd like to book an appointment.": (1, 1),
        "What's your address?": (1, 1),
        "cough of 200 ms": (1, 0),
        "echo": (1, 0),
    }


@pytest.mark.parametrize("half", ["seen", "unseen"])
def test_the_halves_are_about_as_large(half: str) -> None:
    names = [f"{kind}_{number}" for kind in ("af", "am", "bf", "bm") for number in range(20)]
    share = sum(over.is_seen(name) == (half == "seen") for name in names) / len(names)
    assert 0.3 < share < 0.7
