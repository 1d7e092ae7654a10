"""What goes wrong when a model is loaded, and what the operator is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from agent.engine.realtime.loading import load_model
from agent.exceptions import EngineError
from config.engine import RealtimeSettings


@pytest.fixture
def copied(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "model"))


def refused(model: object, **settings: object) -> str:
    values = {"model": str(model), "device": "cpu", "streams": 2, **settings}
    with pytest.raises(EngineError) as caught:
        load_model(RealtimeSettings.model_validate(values))
    return str(caught.value)


def change(path: Path, edit: Callable[[dict], None]) -> None:
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_it_loads(checkpoint: Path) -> None:
    model, processor = load_model(RealtimeSettings(model=str(checkpoint), device="cpu", streams=2, delay_ms=960))
    assert model.layout.delay == 12
    assert processor.tokenizer.decode([1000 + ord("x")]) == "x"


def test_no_folder(tmp_path: Path) -> None:
    assert "there is no folder" in refused(tmp_path / "nothing")


def test_a_name_that_is_not_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refused("example/voxtral-realtime-that-nobody-has")
    assert "hf download example/voxtral-realtime-that-nobody-has" in message


def test_another_format(copied: Path) -> None:
    (copied / "config.json").rename(copied / "params.json")
    assert "no config.json" in refused(copied)


def test_another_model(copied: Path) -> None:
    change(copied / "config.json", lambda values: values.update(model_type="voxtral"))
    assert "holds a 'voxtral' model" in refused(copied)


def test_no_tokenizer(copied: Path) -> None:
    (copied / "tekken.json").unlink()
    assert "no tekken.json" in refused(copied)


def test_a_tokenizer_for_whole_recordings(copied: Path) -> None:
    def edit(values: dict) -> None:
        audio = values["audio"]
        for key in [key for key in audio if key.startswith(("streaming", "transcription"))]:
            del audio[key]

    change(copied / "tekken.json", edit)
    assert "cannot load" in refused(copied)


def test_weights_cut_short(copied: Path) -> None:
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "cannot load" in refused(copied)


def test_broken_json(copied: Path) -> None:
    (copied / "config.json").write_text("{")
    assert "cannot load" in refused(copied)


def test_a_delay_between_two_tokens(checkpoint: Path) -> None:
    assert "multiple of 80" in refused(checkpoint, delay_ms=500)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(checkpoint: Path) -> None:
    assert "finds no GPU" in refused(checkpoint, device="cuda")


def test_too_little_memory_is_told_with_the_sum_before_anything_is_loaded(copied: Path) -> None:
    change(copied / "config.json", lambda values: values["audio_config"].update(sliding_window=10**10))
    (copied / "model.safetensors").unlink()
    message = refused(copied)
    assert "for 2 + 1 streams" in message
    assert "lower engine.realtime.streams" in message
