"""A Voxtral Mini checkpoint in transformers' format, from the hub or a folder, and whether it fits into memory."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mistral_common.exceptions import MistralCommonException
from mistral_common.tokens.tokenizers.instruct import InstructTokenizerV7
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from safetensors import SafetensorError
from transformers import PretrainedConfig, VoxtralConfig, VoxtralForConditionalGeneration
from transformers.utils.logging import disable_progress_bar

from agent.engine.host import find_folder, require_gpu
from agent.engine.voxtral.gpu_memory import memory_needed
from agent.exceptions import EngineError
from config.engine import VoxtralSettings

GIB = 1 << 30
FILES = ["config.json", "generation_config.json", "tekken.json", "model*.safetensors", "model.safetensors.index.json"]
# What layers.py assumes about the language model.
GENUINE = {"attention_bias": False, "mlp_bias": False, "hidden_act": "silu"}


class Checkpoint(NamedTuple):
    """A model on its device, ready to run, and its tokenizer."""

    model: VoxtralForConditionalGeneration
    tokenizer: InstructTokenizerV7
    device: torch.device


def load(settings: VoxtralSettings) -> Checkpoint:
    """Load it: bfloat16 on a GPU, float32 on a CPU. Raises EngineError with the reason when that is impossible."""
    require_gpu(settings.device, "engine.voxtral")
    folder = find_folder(settings.model, "engine.voxtral", FILES)
    config = _config(folder)
    tokenizer = _tokenizer(folder)
    device = torch.device(settings.device)
    dtype = torch.bfloat16 if settings.device == "cuda" else torch.float32
    _refuse_too_little_memory(config, settings, dtype)
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it would stand among the log's JSON lines
    try:
        loaded: Any = VoxtralForConditionalGeneration.from_pretrained(folder, dtype=dtype, output_loading_info=True)
        model, report = loaded
        if missing := sorted(report["missing_keys"]):  # they would be initialized at random
            raise EngineError(f"{folder}: its weights lack {missing[0]} and {len(missing) - 1} more")
        model.train(mode=False)
        return Checkpoint(model.to(device), tokenizer, device)
    except torch.OutOfMemoryError as error:
        raise EngineError(f"the weights of {settings.model} do not fit on the GPU: {error}") from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # RuntimeError: tensors of other sizes
        raise EngineError(f"{folder}: its weights cannot be loaded: {error}") from error


def _refuse_too_little_memory(config: VoxtralConfig, settings: VoxtralSettings, dtype: torch.dtype) -> None:
    if settings.device == "cuda":
        free = torch.cuda.mem_get_info()[0]
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = memory_needed(config, settings, dtype)
    if sum(needed.values()) > free:
        parts = " + ".join(f"{what} {size / GIB:.1f}" for what, size in needed.items())
        raise EngineError(
            f"{settings.model} needs {sum(needed.values()) / GIB:.1f} GiB ({parts}), and {free / GIB:.1f} are free on "
            f"{settings.device}: lower engine.voxtral.slots or engine.voxtral.context"
        )


def _config(folder: Path) -> VoxtralConfig:
    if not (folder / "config.json").is_file():
        raise EngineError(f"{folder} holds no config.json: a checkpoint in transformers' format is needed")
    try:
        kind = PretrainedConfig.get_config_dict(folder)[0].get("model_type")
        if kind != "voxtral":
            raise EngineError(f"{folder} holds a {kind!r} model; a 'voxtral' one is needed, such as Voxtral Mini 3B")
        config = VoxtralConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise EngineError(f"{folder}/config.json cannot be read: {error}") from error
    text: Any = config.text_config
    found = {name: getattr(text, name, None) for name in GENUINE} | {"rope_type": text.rope_parameters["rope_type"]}
    if other := [f"{name} {value!r}" for name, value in found.items() if value != GENUINE.get(name, "default")]:
        raise EngineError(f"{folder} holds a Voxtral with other layers than voxline knows: {', '.join(other)}")
    return config


def _tokenizer(folder: Path) -> InstructTokenizerV7:
    path = folder / "tekken.json"
    if not path.is_file():
        raise EngineError(f"{folder} holds no tekken.json: the tokenizer is missing")
    try:
        tokenizer = MistralTokenizer.from_file(path).instruct_tokenizer
    except (OSError, ValueError, KeyError, TypeError, AssertionError, MistralCommonException) as error:
        raise EngineError(f"{path} cannot be read: {error!r}") from error
    if not isinstance(tokenizer, InstructTokenizerV7) or tokenizer.audio_encoder is None:
        raise EngineError(f"{path} is not the tokenizer of a model that hears")
    return tokenizer
