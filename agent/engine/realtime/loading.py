"""Loads a Voxtral Realtime checkpoint from the hub or a folder, ready to listen."""

import json
import os
from pathlib import Path

import torch
from transformers import (
    VoxtralRealtimeConfig,
    VoxtralRealtimeForConditionalGeneration,
    VoxtralRealtimeProcessor,
)
from transformers.utils import logging

from agent.engine.host import find_folder, require_gpu
from agent.engine.realtime.layout import Layout
from agent.engine.realtime.model import RealtimeModel, shapes
from agent.exceptions import EngineError
from config.engine import RealtimeSettings

GIB = 2**30
WORKSPACE = 2 * GIB  # bytes on a GPU for the largest step, besides weights and slots
TOKEN_MS = 80
FILES = ["*.json", "model*.safetensors"]  # to fetch from the hub
KIND = "voxtral_realtime"  # `model_type` in config.json


def load_model(settings: RealtimeSettings) -> tuple[RealtimeModel, VoxtralRealtimeProcessor]:
    """The model and its processor, warmed up; raises EngineError that says what to do."""
    if settings.delay_ms % TOKEN_MS:
        raise EngineError(f"engine.realtime.delay_ms is {settings.delay_ms}: it must be a multiple of {TOKEN_MS}")
    require_gpu(settings.device, "engine.realtime")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # they are no log lines
    try:
        return _load(settings)
    except EngineError:
        raise
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"not enough memory for {settings.model} and {settings.streams} streams: lower engine.realtime.streams"
        ) from error
    except Exception as error:  # whatever the libraries raise for a broken checkpoint
        raise EngineError(f"cannot load {settings.model} (engine.realtime.model): {error}") from error


def _load(settings: RealtimeSettings) -> tuple[RealtimeModel, VoxtralRealtimeProcessor]:
    folder = find_folder(settings.model, "engine.realtime", FILES)
    _check_folder(folder)
    device = torch.device(settings.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    config = VoxtralRealtimeConfig.from_pretrained(folder)
    processor = VoxtralRealtimeProcessor.from_pretrained(folder)
    layout = layout_of(processor, settings.delay_ms)
    _check_memory(config, layout, settings, dtype)
    network = VoxtralRealtimeForConditionalGeneration.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    network = network.to(device).eval()  # type: ignore[arg-type]
    return RealtimeModel(network, processor.feature_extractor, layout, settings.streams), processor


def layout_of(processor: VoxtralRealtimeProcessor, delay_ms: int) -> Layout:
    """The numbers that a checkpoint's processor carries, with another delay."""
    features = processor.feature_extractor
    encoder = processor.tokenizer.tokenizer.instruct_tokenizer.audio_encoder
    return Layout(
        token=processor.raw_audio_length_per_tok,
        frame=(processor.audio_length_per_tok - 1) * features.hop_length + features.win_length,
        back=features.win_length // 2,
        silence=encoder.audio_config.n_left_pad_tokens,
        delay=delay_ms // TOKEN_MS,
        begin=processor.tokenizer.bos_token_id,
        pad=encoder.streaming_pad,
        end=processor.tokenizer.eos_token_id,
    )


def _check_folder(folder: Path) -> None:
    """Check that it holds what is needed."""
    config = folder / "config.json"
    if not config.exists():
        raise EngineError(
            f"{folder} has no config.json: engine.realtime.model needs Voxtral Realtime in the format of transformers "
            "(config.json, model.safetensors, tekken.json)"
        )
    kind = json.loads(config.read_text()).get("model_type")
    if kind != KIND:
        raise EngineError(f"{folder} holds a {kind!r} model: engine.realtime.model needs {KIND!r} (Voxtral Realtime)")
    if not (folder / "tekken.json").exists():
        raise EngineError(f"{folder} has no tekken.json, the tokenizer: download the whole checkpoint")


def _check_memory(
    config: VoxtralRealtimeConfig, layout: Layout, settings: RealtimeSettings, dtype: torch.dtype
) -> None:
    """Refuse before anything is loaded, and say how much is needed."""
    with torch.device("meta"):
        weights = VoxtralRealtimeForConditionalGeneration(config).num_parameters() * dtype.itemsize
    stream = sum(shape.numbers for shape in shapes(config, layout)) * dtype.itemsize
    slots = (settings.streams + 1) * stream
    if settings.device == "cuda":
        free, workspace = torch.cuda.mem_get_info()[0], WORKSPACE
    else:
        free, workspace = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), 0
    if weights + slots + workspace > free:
        raise EngineError(
            f"{settings.model} needs {(weights + slots + workspace) / GIB:.1f} GiB on {settings.device}: "
            f"{weights / GIB:.1f} for the weights and {slots / GIB:.1f} for {settings.streams} + 1 streams of "
            f"{stream / GIB:.2f}; {free / GIB:.1f} are there: lower engine.realtime.streams"
        )
