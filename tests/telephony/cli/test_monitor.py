"""`voxline monitor` and `voxline test`, as a person types them, with a real server."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from telephony.cli.main import main
from telephony.cli.monitor import misses
from telephony.lines.outbound_call import TOKEN_FILE
from telephony.timing.figures import Spread, Target
from telephony.timing.status import Status
from tests.conftest import Server


def test_the_median_of_the_last_minutes_is_what_counts() -> None:
    targets = {kind: Target(100, 9, 9) for kind in ("first_word", "perceived", "word_to_audio")}
    recent = {
        "first_word": Spread(3, 99, 100, 300, 300, 300),
        "perceived": Spread(1, 101, 101),
        "word_to_audio": Spread(),
    }
    status = Status(False, {}, {}, {}, {}, targets, {}, recent, None, None)
    assert misses(status) == ["perceived"]


@pytest.mark.slow
def test_a_test_call_and_what_the_monitor_shows_of_it(
    serve: Callable[..., Server], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, report, seen = serve(), tmp_path / "report.json", tmp_path / "seen.json"
    where = [server.url, "--set", f"server.data={server.data}"]
    found = main(["test", *where, "--mode", "response", "--output", str(report)])
    told = capsys.readouterr().out
    assert found == (0 if json.loads(report.read_text())["ok"] else 1)
    assert told.rstrip().endswith("ok")
    assert "interruption response   not tried" in told
    assert json.loads(report.read_text())["times"]["perceived"]["count"] == 2
    missed = main(["monitor", *where, "--monitor", "1.2", "--output", str(seen)])
    shown = json.loads(seen.read_text())
    assert missed == (0 if shown["ok"] else 1)
    assert shown["status"]["last_5_minutes"]["perceived"]["count"] == 2
    assert "perceived" in capsys.readouterr().out
    headers = {"Authorization": f"Bearer {(server.data / TOKEN_FILE).read_text().strip()}"}
    hard = {"settings": {"targets.perceived_ms": 1}}
    assert httpx.post(f"{server.url}/api/streaming/configure", json=hard, headers=headers).status_code == 200
    assert main(["monitor", *where, "--check"]) == 1
    assert "missed: perceived" in capsys.readouterr().out


def test_without_a_server_both_say_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("test", "monitor"):
        assert main([command, "http://127.0.0.1:9", "--set", f"server.data={tmp_path}"]) == 2
        assert "cannot read" in capsys.readouterr().err
    (tmp_path / TOKEN_FILE).write_text("x")
    for command in ("test", "monitor"):
        assert main([command, "http://127.0.0.1:9", "--set", f"server.data={tmp_path}"]) == 2
        assert "no answer from http://127.0.0.1:9" in capsys.readouterr().err
