"""bench.records in small: every query is asked, and its figures are kept."""

import json
from pathlib import Path

from bench.records import main


def test_figures_are_printed_and_kept(tmp_path: Path) -> None:
    main(["--calls", "450", "--out", str(tmp_path)])
    [path] = tmp_path.iterdir()
    found = json.loads(path.read_text())
    assert (found["calls"], found["database"], found["words"]) == (450, "SQLite", True)
    assert found["queries"]["the latest"]["rows"] == 201
    assert found["queries"]["an unknown word"]["rows"] == 0
    assert found["queries"]["a common word"]["rows"] == 201
