"""A few seconds of `make fuzz`; skipped if atheris is not installed (the extra `fuzz`)."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed (the extra `fuzz`)")
def test_parsers_stand_made_up_bytes(tmp_path: Path) -> None:
    root = Path(__file__).parents[4]
    command = [
        sys.executable,
        "-m",
        "tests.telephony.lines.sip.fuzz",
        "-max_total_time=5",
        f"-artifact_prefix={tmp_path}/",
    ]
    done = subprocess.run(command, check=False, cwd=root, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr
