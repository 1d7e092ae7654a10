"""`voxline demo`: what it prints is in order, and what it records lets a barge-in be heard."""

import json
import re
import wave
from pathlib import Path

import numpy as np
import pytest

from telephony.cli.demo import demo
from telephony.cli.options import SCRIPTS

RATE = 8000
LOUD_DBFS = -35.0


def level(samples: np.ndarray) -> float:
    """In dBFS."""
    return float(20 * np.log10(max(1.0, np.sqrt((samples.astype(float) ** 2).mean())) / 32768))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_agent_is_heard_to_stop_in_mid_word_and_all_is_told_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo(tmp_path, SCRIPTS / "demo.yaml")
    printed = capsys.readouterr().out
    times = [float(found[1]) for found in re.finditer(r"^ +(\d+\.\d\d)  \w+ +▸", printed, re.MULTILINE)]
    assert len(times) > 15
    assert times == sorted(times)
    [barge_in] = json.loads((tmp_path / "report.json").read_text())["interruptions"]
    with wave.open(str(tmp_path / "call.wav")) as file:
        agent = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)[:, 1]
    onset = round(barge_in["onset_ms"] / 1000 * RATE)
    assert level(agent[onset - RATE // 20 : onset]) > LOUD_DBFS  # 50 ms before: in the middle of a word
    stopped = onset + round(barge_in["heard_ms"] / 1000 * RATE)
    assert level(agent[stopped + 10 : stopped + RATE // 5]) < -60
