"""The benchmark of the models, on tiny ones: the same code that a GPU runs."""

import json
from pathlib import Path

import pytest

pytest.importorskip("kokoro")


@pytest.mark.timeout(180)
def test_it_measures_every_part_and_keeps_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench import engine, machine

    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    engine.main(["--device", "cpu", "--size", "tiny", "--calls", "1", "--seconds", "0.5"])
    [file] = tmp_path.glob("engine-*.json")
    found = json.loads(file.read_text())
    assert found["size"] == "tiny"
    assert all(value > 0 for value in found["steps"].values())
    assert len(found["conversations"]) == 4  # models in this process and in one of their own, in turns and at once
    for row in found["conversations"]:
        assert row["failed"] == 0
        assert 0 < row["two words p50"] < row["both p50"]
    assert "Turn decided" in capsys.readouterr().out
