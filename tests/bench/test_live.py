"""bench.live in small: its figures are kept."""

import json
from pathlib import Path

from bench.live import main


def test_figures_are_printed_and_kept(tmp_path: Path) -> None:
    main(["--calls", "5", "--seconds", "0.6", "--out", str(tmp_path)])
    [path] = tmp_path.iterdir()
    found = json.loads(path.read_text())
    assert found["calls"] == 5
    assert set(found["viewers"]) == {"0", "1", "10"}
    assert found["viewers"]["0"]["behind_ms"] == 0
