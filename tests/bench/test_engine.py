"""The benchmark of the models, on tiny ones: the same code that a GPU runs."""

import json
from pathlib import Path

import pytest

pytest.importorskip("kokoro")
pytestmark = [pytest.mark.alone, pytest.mark.slow]


@pytest.mark.timeout(300)  # two processes load the models; what they take on a busy machine is no matter
def test_it_measures_every_part_and_keeps_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench import engine, machine

    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    engine.main(["--device", "cpu", "--size", "tiny", "--calls", "1", "--seconds", "0.5"])
    [file] = tmp_path.glob("engine-*.json")
    found = json.loads(file.read_text())
    assert found["size"] == "tiny"
    assert found["steps"].pop("operations") == "Plain"
    assert all(value > 0 for value in found["steps"].values())
    assert found["steps"]["graphs say what the model says without them"] is True
    assert found["own process"] == found["this process"] == "all of them"
    assert found["stock generate"][0]["tokens/s"] > 0
    assert len(found["conversations"]) == 4  # models in this process and in one of their own, in turns and at once
    for row in found["conversations"]:
        assert row["failed"] == 0
        assert 0 < row["two words p50"] < row["both p50"]
    assert "Turn decided" in capsys.readouterr().out


@pytest.mark.timeout(300)
def test_what_fails_costs_no_other_part_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import engine
    from bench.checkpoints import kokoro

    def broken(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("kokoro is not installed")

    monkeypatch.setattr(kokoro, "build", broken)
    arguments = ["--device", "cpu", "--size", "tiny", "--calls", "1", "--seconds", "0.5", "--results", str(tmp_path)]
    with pytest.raises(SystemExit, match="failed: kokoro, own process, this process, stock speech"):
        engine.main(arguments)
    [file] = tmp_path.glob("engine-*.json")
    found = json.loads(file.read_text())
    assert "kokoro is not installed" in found["kokoro"]["error"]
    assert found["steps"]["write 1"] > 0
    assert found["stock generate"][0]["tokens/s"] > 0


def test_what_no_time_is_left_for_is_left_out(tmp_path: Path) -> None:
    from bench import engine

    engine.main(["--device", "cpu", "--size", "tiny", "--limit", "-1", "--results", str(tmp_path)])
    [file] = tmp_path.glob("engine-*.json")
    assert json.loads(file.read_text())["steps"] == "left out: no time was left"
