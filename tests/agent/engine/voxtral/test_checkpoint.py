import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from agent.engine.voxtral.checkpoint import load
from agent.exceptions import EngineError
from bench.checkpoints.voxtral import FULL_VOCABULARY, _pieces, build
from config.engine import VoxtralSettings


def settings(model: Path | str, **values: object) -> VoxtralSettings:
    return VoxtralSettings.model_validate({"model": str(model), "device": "cpu", "slots": 2, "context": 512, **values})


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def test_a_checkpoint_is_loaded(tiny: Path) -> None:
    model, tokenizer, device = load(settings(tiny))
    assert model.dtype is torch.float32
    assert not model.training
    assert device.type == "cpu"
    assert tokenizer.audio_encoder is not None
    assert tokenizer.TRANSCRIBE == 34


def test_a_narrow_one_of_any_depth_can_be_built(tmp_path: Path) -> None:
    model = load(settings(build(tmp_path, depth=5, width=32))).model
    assert len(model.model.language_model.layers) == len(model.model.audio_tower.layers) == 5


def test_what_a_checkpoint_says_must_be_unambiguous(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="followed by two"):
        build(tmp_path, says={"[/INST]": ["a", "b", "a", "c"]})


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None  # type: ignore[return-value]


def other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size"] = 128
    (folder / "config.json").write_text(json.dumps(config))


def no_audio(folder: Path) -> None:
    tokenizer = json.loads((folder / "tekken.json").read_text())
    del tokenizer["audio"]
    (folder / "tekken.json").write_text(json.dumps(tokenizer))


def no_head(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if "lm_head" in name)]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def text(**values: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config["text_config"] |= values
        (folder / "config.json").write_text(json.dumps(config))

    return damage


ROPE = {"rope_type": "linear", "rope_theta": 1e8, "factor": 2.0}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("config.json"), "holds no config.json"),
        (write("config.json", "{"), "config.json cannot be read"),
        (write("config.json", '{"model_type": "llama"}'), "holds a 'llama' model"),
        (remove("tekken.json"), "holds no tekken.json"),
        (write("tekken.json", "{"), "tekken.json cannot be read"),
        (write("tekken.json", "{}"), "tekken.json cannot be read"),
        (no_audio, "not the tokenizer of a model that hears"),
        (remove("model.safetensors"), "weights cannot be loaded"),
        (write("model.safetensors", "no weights"), "weights cannot be loaded"),
        (other_width, "weights cannot be loaded"),
        (text(attention_bias=True), "other layers than voxline knows: attention_bias True"),
        (text(hidden_act="gelu", mlp_bias=True), "knows: mlp_bias True, hidden_act 'gelu'"),
        (text(rope_parameters=ROPE), "knows: rope_type 'linear'"),
        (no_head, "its weights lack lm_head.weight"),
    ],
)
def test_what_is_wrong_is_said(copy: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(copy)
    with pytest.raises(EngineError, match=message):
        load(settings(copy))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="there is no folder"):
        load(settings(tmp_path / "nowhere"))


def test_a_name_that_the_hub_does_not_give() -> None:
    with pytest.raises(EngineError, match="hf download nobody/nothing"):
        load(settings("nobody/nothing"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(tiny: Path) -> None:
    with pytest.raises(EngineError, match="torch finds no GPU"):
        load(settings(tiny, device="cuda"))


def test_too_little_memory_is_said_with_the_sum(tmp_path: Path) -> None:
    wide = build(tmp_path, depth=2, width=4096 // 16)
    config = json.loads((wide / "config.json").read_text())
    config["text_config"]["head_dim"] = 65_536
    (wide / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match=r"64 slots x 32768 tokens x \d+ bytes.*lower engine.voxtral.slots"):
        load(settings(wide, slots=64, context=32_768))


def test_the_real_vocabulary_is_filled_with_short_words() -> None:
    pieces = _pieces(["hello"], FULL_VOCABULARY - 1000)
    assert len(set(pieces)) == len(pieces) == FULL_VOCABULARY - 1000
