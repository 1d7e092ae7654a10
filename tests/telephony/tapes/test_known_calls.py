"""`voxline sweep` and `replay --set` over calls of which the right figures are known, since they were made so."""

from pathlib import Path

import pytest

from telephony.cli.main import main
from tests.known_calls import PAUSES_MS, PHRASES, THINKING_MS, made_calls

SILENCES_MS = (200, 400, 600)
KEYED = 4  # calls with a turn of keys


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty tapes, made at the usual settings."""
    folder = tmp_path_factory.mktemp("tapes")
    for call in made_calls():
        (folder / f"{call.name}.jsonl").write_bytes(call.tape())
    return folder


def rightly_cut_off(silence_ms: int) -> int:
    """Callers whose pause is longer than the silence that ends a turn."""
    return len(PHRASES) * sum(pause > silence_ms for pause in PAUSES_MS)


def test_a_sweep_counts_those_who_went_on_and_nobody_else(tapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ranges = ["--set", "turn.endpoint_ms=200:600:200", "--set", "turn.endpoint_min_ms=50"]
    assert main(["sweep", str(tapes), *ranges]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:-1]]
    found = {int(row[0]): int(row[5]) for row in rows}
    assert found == {silence: rightly_cut_off(silence) for silence in SILENCES_MS}
    for row in rows:
        silence, turns, gap = int(row[0]), int(row[2]), int(row[3])
        assert turns == 2 * len(PAUSES_MS) * len(PHRASES) + KEYED + rightly_cut_off(silence)
        assert silence <= gap <= silence + 2 * THINKING_MS


def test_a_comparison_counts_the_same_and_takes_no_key_for_a_gap(
    tapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ["--set", "turn.endpoint_ms=200", "--set", "turn.endpoint_min_ms=200"]
    assert main(["replay", str(tapes), *changes]) == 0
    total = next(line for line in capsys.readouterr().out.splitlines() if line.split()[0] == "all")
    _, turns, gap, p95, cut_off, *_ = [part.strip() for part in total.replace(" → ", "→").split()]
    assert cut_off == f"{rightly_cut_off(400)}→{rightly_cut_off(200)}"
    assert turns == f"{44 + rightly_cut_off(400)}→{44 + rightly_cut_off(200)}"
    assert all(int(value) < 700 for value in (*gap.split("→"), *p95.split("→")))
