"""`voxline reload` without a server; with one it is tried in tests/telephony/server/test_reload.py."""

from pathlib import Path

import pytest

from telephony.cli.main import main
from telephony.lines.outbound_call import TOKEN_FILE


def test_without_a_server_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["reload", "--url", "http://127.0.0.1:9", "--data", str(tmp_path)]
    assert main(command) == 1
    assert "which a running server writes" in capsys.readouterr().err
    (tmp_path / TOKEN_FILE).write_text("token\n")
    assert main(command) == 1
    assert "no answer from http://127.0.0.1:9" in capsys.readouterr().err
