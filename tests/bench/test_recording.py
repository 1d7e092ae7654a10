"""The benchmark of recordings, in small."""

import json
from pathlib import Path

import pytest

from bench import recording


@pytest.mark.slow
def test_every_format_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.main(["--seconds", "2", "--calls", "1", "--results", str(tmp_path)])
    assert "opus, 8000" in capsys.readouterr().out
    (path,) = tmp_path.iterdir()
    runs = json.loads(path.read_text())["runs"]
    measured = [(run["format"], run["rate"]) for run in runs]
    assert measured == [("opus", 8000), ("opus", 16_000), ("wav", 8000), ("wav", 16_000)]
    assert runs[2]["mb_per_hour"] == pytest.approx(115.2, abs=0.2)
