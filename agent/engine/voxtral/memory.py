"""What Voxtral takes of a device's memory, from the shapes of its tensors, before anything is loaded."""

from typing import Any

import torch
from transformers import LlamaConfig, VoxtralConfig, VoxtralForConditionalGeneration
from transformers.integrations import sdpa_attention

from agent.engine.voxtral.mel import FRAMES
from agent.engine.voxtral.prompt import AUDIO_TOKENS
from agent.engine.voxtral.slots import MIN_ROWS, cache_shape, sizes
from config.engine import VoxtralSettings

# The sizes that the decoder works in.
MIN_LENGTH = 512  # positions looked at
PREFILL, MAX_PREFILL = 128, 1024  # tokens read at once are a multiple of this, and at most so many
KEPT_AUDIO = 16  # turns; what a reply has heard, the transcriber wants as well

# What follows from no shape: CUDA's kernels, the workspaces of its libraries, and the graphs' own descriptions.
LIBRARIES = 1 << 30
FLOAT = 4  # bytes


def memory_needed(config: VoxtralConfig, settings: VoxtralSettings, dtype: torch.dtype) -> dict[str, int]:
    """Bytes of the weights, of the slots' keys and values, and of what a step needs besides."""
    layers, heads, size = cache_shape(config)
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in VoxtralForConditionalGeneration(config).parameters())
    per_token = 2 * layers * heads * size * dtype.itemsize
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
    text: Any = config.text_config
    vocabulary, width, item = int(text.vocab_size), int(text.hidden_size), dtype.itemsize
    longest = min(MAX_PREFILL, context)
    largest = max(
        hearing(config, item),
        reading(config, longest, context, item),
        writing(config, slots, context, item) + choosing(vocabulary, slots, item),
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
    """A prompt of so many tokens, with `length` positions to look at: its own states, the slot's keys and values once
    as they are and once repeated for all query heads, and the mask, as it is made and as SDPA adds it."""
    heads, groups, size = _heads(config)
    seen = length * 2 * (heads + groups) * size * item
    return _states(config, tokens, item) + seen + tokens * length * (1 + item)


def writing(config: VoxtralConfig, rows: int, length: int, item: int) -> int:
    """One token of each row. Older versions of transformers repeat all keys and values for the query heads."""
    heads, _, size = _heads(config)
    repeated = 0 if hasattr(sdpa_attention, "pack_gqa") else rows * length * 2 * heads * size * item
    text: Any = config.text_config
    return _states(config, rows, item) + repeated + rows * (length * (1 + item) + int(text.vocab_size) * item)


def choosing(vocabulary: int, rows: int, item: int) -> int:
    """Logits, and as floats: themselves, by the temperature, and twice more within logsumexp and topk."""
    return rows * vocabulary * (item + 4 * FLOAT)


def _states(config: VoxtralConfig, tokens: int, item: int) -> int:
    """A layer's input, norm, queries and result, and three times what is within the feed-forward."""
    text: Any = config.text_config
    return tokens * (4 * int(text.hidden_size) + 3 * int(text.intermediate_size)) * item


def _heads(config: VoxtralConfig) -> tuple[int, int, int]:
    """Query heads, heads of keys and values, and the size of one."""
    text = config.text_config
    assert isinstance(text, LlamaConfig)
    _, groups, size = cache_shape(config)
    return text.num_attention_heads, groups, size
