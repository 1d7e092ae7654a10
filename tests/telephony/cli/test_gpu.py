"""What nvidia-smi tells."""

from pathlib import Path

import pytest

from telephony.cli import gpu

WRITTEN = "NVIDIA H200, 37, 81234, 143771\nNVIDIA H200, [N/A], 5, 143771\nnonsense\n"


def test_each_gpu_is_a_row() -> None:
    assert gpu.parsed(WRITTEN) == [
        {"name": "NVIDIA H200", "load": 37, "used_mb": 81234, "total_mb": 143771},
        {"name": "NVIDIA H200", "load": "[N/A]", "used_mb": 5, "total_mb": 143771},
    ]


@pytest.mark.parametrize(("script", "found"), [(f"cat <<'E'\n{WRITTEN}E", 2), ("exit 9", 0)])
def test_the_program_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: int) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(gpu.gpus()) == found
    program.unlink()
    assert gpu.gpus() == []
