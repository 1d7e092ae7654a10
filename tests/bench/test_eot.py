"""The benchmark of the end of a turn: our own set, and one in eot-bench's format, in small."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio import resample
from audio.rate import RATE
from bench import eot, machine
from telephony.simulator.voices import CallerVoice

LINE = {"id": "a", "language": "en", "audio": "a.wav"}


def test_a_set_in_eot_benchs_format_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    monkeypatch.setattr(eot, "WAITS_MS", (300, 700))
    parts = [resample.resample(*CallerVoice()(text, "af_heart", 1.0), RATE) for text in ("I'd like to book.", "Yes.")]
    pause = (len(parts[0]) / RATE, len(parts[0]) / RATE + 0.5)
    audio = np.concatenate([parts[0], np.zeros(RATE // 2, np.float32), parts[1]])
    soundfile.write(tmp_path / "a.wav", audio, RATE)
    spans = [dict(zip(("start", "end"), span, strict=True)) for span in (pause, (len(audio) / RATE,) * 2)]
    (tmp_path / "set.jsonl").write_text(json.dumps({**LINE, "silence_spans": spans}))
    eot.main(["--eot-bench", str(tmp_path)])
    [file] = tmp_path.glob("turns-eot-*.json")
    found = json.loads(file.read_text())["eot-bench"]
    assert (found["turns"], found["made"]) == (1, [])
    rules = {row["rule"]: row for row in found["eot-bench"]}
    assert list(rules) == list(eot.RULES)
    for row in rules.values():  # a pause of 500 ms is outlasted, and no more than that
        assert 480 <= row["5%"] == row["10%"] <= 760
    assert re.search(r"LiveKit v1 \(published, its own set\)\s+543\s+295", capsys.readouterr().out)


def test_a_folder_that_is_no_set_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text(json.dumps(LINE))
    with pytest.raises(SystemExit, match=r"set\.jsonl, row 1: it has no silence_spans"):
        eot.main(["--eot-bench", str(tmp_path)])


def test_every_rule_is_tried_with_its_usual_settings_or_nearly_so() -> None:
    for rule, usual in eot.RULES.items():
        waits = [(each.endpoint_ms, each.endpoint_max_ms) for each in eot.sweep(rule)]
        assert (380, 380 if rule == "silence alone" else 1000) in waits
        assert len(set(waits)) > 100
        assert all(each.adapt_transcript is usual.adapt_transcript for each in eot.sweep(rule))
