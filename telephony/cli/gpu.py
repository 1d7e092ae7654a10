"""What the GPUs of this machine do, as nvidia-smi tells it."""

import shutil
import subprocess
from typing import Any

QUERY = "name,utilization.gpu,memory.used,memory.total"
FIELDS = ("name", "load", "used_mb", "total_mb")  # load in percent
WAIT_S = 5.0


def gpus() -> list[dict[str, Any]]:
    """Each with its FIELDS; empty where there is none, or where its driver does not answer."""
    if (command := shutil.which("nvidia-smi")) is None:
        return []
    asked = [command, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=WAIT_S, check=True)  # noqa: S603 (found in PATH)
    except (OSError, subprocess.SubprocessError):
        return []
    return parsed(done.stdout)


def parsed(text: str) -> list[dict[str, Any]]:
    """What nvidia-smi has written, a line for each GPU; what it does not know stays as it wrote it."""
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines()]
    return [dict(zip(FIELDS, map(_number, row), strict=True)) for row in rows if len(row) == len(FIELDS)]


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
