"""How much device memory Voxtral will take, computed from its tensors' shapes before anything is loaded."""

from typing import Any

import torch
from transformers import LlamaConfig, VoxtralConfig, VoxtralForConditionalGeneration

from agent.engine.voxtral.mel import FRAMES
from agent.engine.voxtral.prompt import AUDIO_TOKENS
from agent.engine.voxtral.slots import MIN_ROWS, shape_of, sizes
from config.engine import VoxtralSettings

# The sizes the decoder works with.
MIN_LENGTH = 512  # positions attended to
PREFILL, MAX_PREFILL = 128, 1024  # tokens read at once: a multiple of the first, at most the second
PART = 128  # positions of a row that one GPU program attends to
KEPT_AUDIO = 16  # turns: the transcriber wants what a reply has already heard

# What no shape tells: CUDA's kernels, its libraries' workspaces, and the graphs' own descriptions.
LIBRARIES = 1 << 30
FLOAT = 4  # bytes


def memory_needed(config: VoxtralConfig, settings: VoxtralSettings, dtype: torch.dtype) -> dict[str, int]:
    """Bytes for the weights, the slots' keys and values, and whatever else a step needs."""
    shape = shape_of(config)
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in VoxtralForConditionalGeneration(config).parameters())
    per_token = 2 * shape.layers * shape.groups * shape.size * dtype.itemsize
    slots = settings.slots * (settings.context + 1) * per_token
    needed = {
        "weights": weights * dtype.itemsize,
        f"{settings.slots} slots x {settings.context} tokens x {per_token} bytes": slots,
    }
    if settings.device == "cuda":
        needed |= {"a step": step_bytes(config, settings.slots, settings.context, dtype), "CUDA": LIBRARIES}
    return needed


def step_bytes(config: VoxtralConfig, slots: int, context: int, dtype: torch.dtype) -> int:
    """What hearing, reading and writing need at most besides weights and cache: the largest of them twice, since
    graphs have a pool of their own; the graphs' inputs and results; the turns whose hearing is kept."""
    text, item = _text(config), dtype.itemsize
    vocabulary, width = text.vocab_size, text.hidden_size
    longest = min(MAX_PREFILL, context)
    largest = max(
        hearing(config, item),
        reading(config, longest, context, item),
        writing(config, slots, context, item) + attending(config, slots, context) + choosing(vocabulary, slots, item),
    )
    lengths = sizes(MIN_LENGTH, context)
    inputs = len(lengths) * sum(range(PREFILL, longest + 1, PREFILL)) * width * item
    logits = sum(sizes(MIN_ROWS, slots)) * (1 + len(lengths)) + len(lengths) * longest // PREFILL
    return 2 * largest + inputs + logits * vocabulary * item + KEPT_AUDIO * AUDIO_TOKENS * width * item


def hearing(config: VoxtralConfig, item: int) -> int:
    """The encoder on 30 s. A layer holds its input, its norm, queries, keys and values, and twice what is within the
    feed-forward; the first convolution works on every frame, before and after its activation."""
    audio: Any = config.audio_config
    positions = FRAMES // 2
    width, inner = int(audio.hidden_size), int(audio.intermediate_size)
    return item * max(positions * (5 * width + 2 * inner), 3 * FRAMES * width)


def reading(config: VoxtralConfig, tokens: int, length: int, item: int) -> int:
    """A prompt of so many tokens, with `length` positions to look at: its own states, the slot's keys and values, and
    the mask."""
    shape = shape_of(config)
    seen = length * 2 * shape.groups * shape.size * item
    return _states(config, tokens, item) + seen + tokens * length * (1 + item)


def writing(config: VoxtralConfig, rows: int, length: int, item: int) -> int:
    """One token of each row, and the mask."""
    return _states(config, rows, item) + rows * (length * (1 + item) + _text(config).vocab_size * item)


def attending(config: VoxtralConfig, rows: int, length: int) -> int:
    """What the kernel has found in each part of each row: floats, and the weight of each."""
    shape = shape_of(config)
    return rows * -(-length // PART) * shape.heads * (shape.size + 1) * FLOAT


def choosing(vocabulary: int, rows: int, item: int) -> int:
    """Logits, and as floats: by the temperature, and their shares."""
    return rows * vocabulary * (item + 2 * FLOAT)


def _states(config: VoxtralConfig, tokens: int, item: int) -> int:
    """A layer's input, norm and change, its queries and keys, and four times what is within the feed-forward."""
    text, shape = _text(config), shape_of(config)
    queries = (shape.heads + shape.groups) * shape.size
    return tokens * (3 * text.hidden_size + queries + 4 * text.intermediate_size) * item


def _text(config: VoxtralConfig) -> LlamaConfig:
    text = config.text_config
    assert isinstance(text, LlamaConfig)
    return text
