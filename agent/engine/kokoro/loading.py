"""Loads a model from Kokoro's files, or says why that is impossible."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from kokoro import KModel  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.utils import remove_weight_norm
from torch.nn.utils.weight_norm import WeightNorm

from agent.engine.host import require_gpu
from agent.exceptions import EngineError

CONFIG, WEIGHTS, VOICES = "config.json", "kokoro-v1_0.pth", "voices"
FILES = [CONFIG, WEIGHTS, f"{VOICES}/*.pt"]
PARTS = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")
MIN_SHARE = 0.5  # of a part's tensors must be in the file: genuine files lack the scales of the normalizations
VOICE_SHAPE = (510, 1, 256)
MIB = 2**20
FRAMES_A_PHONEME = 3.5  # a person's pace


def load_model(folder: Path, device: str, phonemes: int = 0) -> Any:
    """A KModel, ready to run on `device`, where there must be room to speak so many phonemes in one run; raises
    EngineError when there is not, a file is missing, or is no Kokoro."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise EngineError(f"{folder} is no Kokoro model: {name} is missing")
    require_gpu(device, "engine.kokoro")
    if device == "cuda":
        config = json.loads((folder / CONFIG).read_text())
        check_memory(
            torch.cuda.mem_get_info()[0],
            (folder / WEIGHTS).stat().st_size,
            run_bytes(config, round(phonemes * FRAMES_A_PHONEME)),
        )
    try:
        with warnings.catch_warnings():
            # torch about how Kokoro's own classes are written: weight_norm is old, dropout of a single layer is idle.
            warnings.simplefilter("ignore")
            model = KModel(repo_id="hexgrad/Kokoro-82M", config=str(folder / CONFIG), model=str(folder / WEIGHTS))
    except Exception as error:  # whatever a bad file leads to
        raise EngineError(f"{folder} is no Kokoro model that can be read: {_brief(error)}") from error
    _check_parts(model, folder / WEIGHTS)
    _fold_weight_norm(model)
    try:
        return model.to(device).eval()
    except torch.cuda.OutOfMemoryError as error:
        raise EngineError(f"the GPU has no room for Kokoro: {_brief(error)}") from error


def run_bytes(config: dict[str, Any], frames: int) -> int:
    """What a run takes besides the weights, for so many frames of 25 ms in all rows, padding included.

    The decoder goes through stages, each of which makes the sound finer by its rate and has half the channels of the
    one before; two steps a frame come in. At the largest stage ten such tensors live at once: what comes in, the sum
    over the kernels, and within a residual block its input, norm, activation and result, with masks for the padding.
    In addition there are eight copies of the features before the first stage, of 1024 channels.
    """
    sound = config["istftnet"]
    steps, channels, largest = 2, int(sound["upsample_initial_channel"]), 0
    for rate in sound["upsample_rates"]:
        steps, channels = steps * int(rate), channels // 2
        largest = max(largest, steps * channels)
    return 4 * frames * (10 * largest + 8 * 2 * 1024)


def check_memory(free: int, weights: int, run: int) -> None:
    """Raises EngineError when a GPU with so many free bytes cannot hold the weights and one run."""
    needed = weights + run
    if free < needed:
        raise EngineError(
            f"Kokoro needs {needed // MIB} MiB of GPU memory ({weights // MIB} for its weights, {run // MIB} to speak)"
            f", and {free // MIB} are free: give the other models less, lower engine.kokoro.batch, or set "
            "engine.kokoro.device to cpu"
        )


def _check_parts(model: Any, path: Path) -> None:
    """KModel ignores missing tensors, and would then speak noise."""
    stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    for part in PARTS:
        wanted = set(getattr(model, part).state_dict())
        names = {name.removeprefix("module.") for name in stored.get(part, {})}
        if len(wanted & names) < MIN_SHARE * len(wanted):
            raise EngineError(f"{path} is no Kokoro model: of the {len(wanted)} tensors of {part}, most are missing")


def _fold_weight_norm(model: Any) -> None:
    """Compute each weight once instead of at every run: the same numbers, and 10 % faster."""
    for module in model.modules():
        if any(isinstance(hook, WeightNorm) for hook in module._forward_pre_hooks.values()):
            remove_weight_norm(module)


class Voices:
    """The voices in a model's folder, each read when it is first asked for."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder / VOICES
        self._device = device
        self._loaded: dict[str, Tensor] = {}

    def get(self, name: str) -> Tensor:
        """[510, 1, 256]: a style for every number of phonemes. Raises EngineError."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Tensor:
        known = sorted(path.stem for path in self._folder.glob("*.pt"))
        if name not in known:
            raise EngineError(f"Kokoro has no voice {name!r} in {self._folder}; it has {', '.join(known) or 'none'}")
        path = self._folder / f"{name}.pt"
        try:
            voice = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a bad file leads to
            raise EngineError(f"{path} is no voice of Kokoro's: {_brief(error)}") from error
        if not isinstance(voice, Tensor) or voice.shape != VOICE_SHAPE:
            raise EngineError(f"{path} is no voice of Kokoro's: not a tensor of {list(VOICE_SHAPE)}")
        return voice.float().to(self._device)


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}"
