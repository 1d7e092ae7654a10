"""What is said when Kokoro cannot be loaded."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from agent.engine.kokoro.batching import most_phonemes
from agent.engine.kokoro.forward import Forward, SynthesisInput
from agent.engine.kokoro.loading import (
    CONFIG,
    FRAMES_A_PHONEME,
    MIB,
    VOICES,
    WEIGHTS,
    Voices,
    check_memory,
    load_model,
    run_bytes,
)
from agent.exceptions import EngineError
from bench.checkpoints.kokoro import GENUINE_RATES, _config, build
from tests.agent.engine.live import Live


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(EngineError, match=f"is no Kokoro model: {name} is missing"):
        load_model(copy, "cpu")


@pytest.mark.parametrize(
    ("name", "content"), [("config.json", b"{}"), ("config.json", b"noise"), (WEIGHTS, b""), (WEIGHTS, b"noise")]
)
def test_a_file_of_another_format(copy: Path, name: str, content: bytes) -> None:
    (copy / name).write_bytes(content)
    with pytest.raises(EngineError, match="is no Kokoro model that can be read"):
        load_model(copy, "cpu")


def test_weights_of_another_model(copy: Path) -> None:
    parts = torch.load(copy / WEIGHTS, weights_only=True)
    parts["decoder"] = {f"other.{name}": tensor for name, tensor in parts["decoder"].items()}
    torch.save(parts, copy / WEIGHTS)
    with pytest.raises(EngineError, match=r"of the \d+ tensors of decoder, most are missing"):
        load_model(copy, "cpu")


def test_weights_as_they_are_published(copy: Path) -> None:
    """With the prefix of a parallel model, and without the scales that the normalizations have only since."""
    parts = torch.load(copy / WEIGHTS, weights_only=True)
    published = {
        part: {f"module.{name}": tensor for name, tensor in tensors.items() if ".norm." not in name}
        for part, tensors in parts.items()
    }
    torch.save(published, copy / WEIGHTS)
    model = load_model(copy, "cpu")
    for part, name in (("bert_encoder", "weight"), ("predictor", "F0_proj.bias"), ("decoder", "asr_res.0.bias")):
        assert torch.equal(getattr(model, part).state_dict()[name], parts[part][name])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"engine\.kokoro\.device is cuda, but torch finds no GPU"):
        load_model(folder, "cuda")


def test_too_little_gpu_memory() -> None:
    weights = 330 * MIB
    check_memory(3330 * MIB, weights, 3000 * MIB)
    with pytest.raises(EngineError, match=r"needs 3330 MiB .*330 for its weights, 3000 to speak.* and 2000 are free"):
        check_memory(2000 * MIB, weights, 3000 * MIB)


@pytest.mark.parametrize(
    ("full", "rows"),
    [
        (False, (15,)),
        pytest.param(False, (60,), marks=pytest.mark.slow),
        pytest.param(False, (30, 20, 25), marks=pytest.mark.slow),
        pytest.param(True, (6,), marks=pytest.mark.slow),
        pytest.param(True, (6, 5), marks=pytest.mark.slow),
    ],
)
def test_a_run_takes_no_more_memory_than_was_counted(tmp_path: Path, full: bool, rows: tuple[int, ...]) -> None:
    """Beside the bytes of all tensors that live at once; with padding and without."""
    model = load_model(build(tmp_path, full=full, voices=()), "cpu")
    forward = Forward(model)
    with Live(*model.parameters(), *model.buffers()) as live:
        spoken = forward([SynthesisInput((5,) * count, torch.randn(1, 256) * 0.1) for count in rows])
    frames = max(int(each.durations.sum()) for each in spoken) * len(rows)
    bound = run_bytes(json.loads((tmp_path / CONFIG).read_text()), frames)
    assert live.peak <= bound < 3 * live.peak


def test_the_largest_run_of_the_genuine_model() -> None:
    frames = round(most_phonemes(8) * FRAMES_A_PHONEME)
    assert frames == 1536 * 3.5
    assert run_bytes(_config(True, GENUINE_RATES), frames) == pytest.approx(3.6e9, rel=0.1)
    assert most_phonemes(1) == 510


def test_voices(folder: Path) -> None:
    voices = Voices(folder, "cpu")
    assert voices.get("hm_omega").shape == (510, 1, 256)
    assert voices.get("hm_omega") is voices.get("hm_omega")
    with pytest.raises(EngineError, match=r"no voice 'klingon' .* it has af_heart, bf_emma, hf_alpha, hm_omega"):
        voices.get("klingon")
    with pytest.raises(EngineError, match=r"no voice '\.\./config'"):
        voices.get("../config")


def test_a_voice_of_another_format(copy: Path) -> None:
    (copy / VOICES / "bad.pt").write_bytes(b"noise")
    torch.save(torch.zeros(3), copy / VOICES / "small.pt")
    voices = Voices(copy, "cpu")
    for name in ("bad", "small"):
        with pytest.raises(EngineError, match=f"{name}.pt is no voice of Kokoro's"):
            voices.get(name)
