"""The benchmark of the line, with few calls."""

import json
from pathlib import Path

import pytest

from bench import line, machine


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(180)
def test_it_loads_both_lines_and_keeps_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    monkeypatch.setattr(line, "frame_parts", dict)
    monkeypatch.setattr(line, "first_audio", dict)
    line.main(["--calls", "2", "--sip-calls", "2", "--seconds", "3", "--reps", "0"])
    [file] = tmp_path.glob("line-*.json")
    found = json.loads(file.read_text())
    for [run] in (found["load"], found["sip"], found["sip_in_silence"]):
        assert run["calls"] == 2
        assert 0 < run["cpu_share"] < 1
        assert run["cpu_us_per_frame"] > 0
        assert (run["report"]["failed"], run["report"]["most_at_once"]) == (0, 2)
    for [run] in (found["sip"], found["sip_in_silence"]):
        gaps = run["report"]["arrival_gap_ms"]
        assert gaps["count"] > 2 * 50  # RTP never pauses
        assert 15 < gaps["p50"] < 25
    said = capsys.readouterr().out
    assert "A real server on one core" in said
    assert "by SIP and RTP" in said
