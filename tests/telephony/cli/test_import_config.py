"""`voxline import-config`: what is written can be served with."""

from pathlib import Path

import pytest

from config.settings import load_settings
from telephony.cli.main import main

THEIRS = """
speech_to_speech:
  streaming: {words_trigger_threshold: 3, first_word_target_ms: 90, colour: blue}
"""


def test_what_is_written_is_what_the_server_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, ours = tmp_path / "theirs.yaml", tmp_path / "ours.yaml"
    theirs.write_text(THEIRS)
    assert main(["import-config", str(theirs), "--out", str(ours)]) == 0
    settings = load_settings(ours)
    assert (settings.reply.words_trigger_threshold, settings.targets.first_word_ms) == (3, 90)
    assert "left out: speech_to_speech.streaming.colour" in capsys.readouterr().err
    assert main(["import-config", str(theirs)]) == 0
    assert capsys.readouterr().out == ours.read_text()


def test_a_value_out_of_bounds_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, ours = tmp_path / "theirs.yaml", tmp_path / "ours.yaml"
    theirs.write_text(THEIRS.replace("3", "300"))
    assert main(["import-config", str(theirs), "--out", str(ours)]) == 2
    assert "reply.words_trigger_threshold" in capsys.readouterr().err
    assert not ours.exists()
    assert main(["import-config", str(theirs.with_name("none.yaml"))]) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tmp_path / "theirs.yaml"
    theirs.write_text(THEIRS)
    assert main(["import-config", str(theirs), "--out", str(theirs / "ours.yaml")]) == 2
    assert "cannot write" in capsys.readouterr().err
