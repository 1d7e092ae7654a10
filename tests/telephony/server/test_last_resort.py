"""Whatever hangs, SIGTERM ends the server: real processes with parts that hang forever."""

import signal
from pathlib import Path

import pytest

from agent.tape.file import read_lines
from tests.forked import Forked
from tests.telephony import hanging

LONGEST_S = 50


@pytest.mark.parametrize(
    ("hangs", "sign", "status", "said"),
    [
        ("loading", "loading", 1, "ended by force"),
        ("closing", "ready", 1, "ended by force"),
        ("awaiting", "ready", 0, "Model did not close within 0.75 s"),
        ("failing", "ready", 0, "Model failed to close"),
        ("log", "full", 1, ""),  # where it could be said is what hangs
    ],
)
def test_the_server_ends(tmp_path: Path, hangs: str, sign: str, status: int, said: str) -> None:
    server = Forked([hangs, str(tmp_path)], main=hanging.main, output=True)
    assert server.stdout
    assert server.stderr
    try:
        assert server.stdout.readline() == f"{sign}\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait(LONGEST_S) == status
        log = server.stderr.read()
        assert said in log
        if hangs == "closing":
            assert '"stuck_0"' in log  # who it was
        if sign == "ready":  # and what else there was to end has ended
            (tape,) = (tmp_path / "tapes").glob("*.jsonl.gz")
            assert list(read_lines(tape)) == [b"{}\n"]
    finally:
        server.close()
