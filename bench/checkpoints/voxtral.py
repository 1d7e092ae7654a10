"""Voxtral Mini checkpoints with random weights in the genuine format: tiny ones for tests, narrow ones of the real
depth and full-size ones for benchmarks. Measurements on them say how fast the model is, not how good."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import VoxtralConfig, VoxtralForConditionalGeneration

from bench.checkpoints import tekken
from bench.checkpoints.tekken import BOS, EOS, NAMES, PAD, SPECIAL, spell

WORDS = ("…", " the", " you", " call", " hello", " yes", " no")
FULL_VOCABULARY = 131_072


def build(
    folder: Path,
    *,
    full: bool = False,
    depth: int = 2,
    width: int = 64,
    says: Mapping[str, Sequence[str]] | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> Path:
    """Write a checkpoint into `folder` and return it: config, weights, tokenizer.

    `full` is the real size (9.4 GB in bf16; `device` may be a GPU, which draws the weights much faster), else `depth`
    layers of `width` in encoder and language model, float32. With `says` it pays no attention to anything but the last
    token and always says the same: {"[/INST]": ["Hello", " there."]} after a turn of the caller's, "[TRANSCRIBE]",
    "[/TOOL_RESULTS]" and others likewise. Each piece becomes one token, or is the name of a special one; every row of
    them ends with </s>, and no piece may stand in two places.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = [piece for row in (says or {}).values() for piece in row if piece not in NAMES.values()]
    pieces = _pieces([*WORDS, *said], FULL_VOCABULARY - SPECIAL if full else 0)
    vocabulary = len(pieces) + SPECIAL
    tekken.write(folder, pieces, audio={"chunk_length_s": 30.0})
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if full else torch.float32)
    try:
        with torch.device(device):
            model = VoxtralForConditionalGeneration(VoxtralConfig(**_sizes(vocabulary, depth, width, full=full)))
    finally:
        torch.set_default_dtype(before)
    if not full:
        with torch.no_grad():
            model.lm_head.weight[:SPECIAL] *= 0.1  # so that it writes text most of the time
    if says:
        ids = {piece: SPECIAL + rank for rank, piece in enumerate(pieces)}
        ids |= {name.encode(): token for token, name in NAMES.items()}
        _teach(model, [[ids[piece.encode()] for piece in (start, *row, "</s>")] for start, row in says.items()])
    model.generation_config.update(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    return folder


def _sizes(vocabulary: int, depth: int, width: int, *, full: bool) -> dict[str, Any]:
    audio: dict[str, float] = {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
    }
    text: dict[str, float] = {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 30, "head_dim": 128}
    text |= {"num_attention_heads": 32, "num_key_value_heads": 8}
    if not full:
        # The projector joins four frames, so the encoder's inner width is always four times its width.
        audio = {"hidden_size": width // 2, "intermediate_size": width * 2, "num_hidden_layers": depth}
        # Weights so large that every token matters, as in a model that was trained.
        audio |= {"num_attention_heads": 2, "initializer_range": 0.2}
        text = {"hidden_size": width, "intermediate_size": width * 2, "num_hidden_layers": depth}
        text |= {"head_dim": max(16, width // 4), "num_attention_heads": 4, "num_key_value_heads": 2}
        text |= {"initializer_range": 0.2}
    return {
        "audio_config": {"model_type": "voxtral_encoder", "num_mel_bins": 128, "max_source_positions": 1500, **audio},
        "text_config": {
            "model_type": "llama",
            "vocab_size": vocabulary,
            "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1e8,
            "bos_token_id": BOS,
            "eos_token_id": EOS,
            "pad_token_id": PAD,
            **text,
        },
        "audio_token_id": 24,
        "projector_hidden_act": "gelu",
    }


def _pieces(words: Iterable[str], least: int) -> list[bytes]:
    """What the words are made of, and short strings up to `least` pieces in all."""
    pieces = dict.fromkeys(spell(words))
    letters = b"abcdefghijklmnopqrstuvwxyz"
    fillers = (bytes(piece) for size in (2, 3, 4) for piece in itertools.product(letters, repeat=size))
    while len(pieces) < least:
        pieces[next(fillers)] = None
    return list(pieces)


@torch.no_grad()
def _teach(model: VoxtralForConditionalGeneration, rows: list[list[int]]) -> None:
    """Silence all layers, and let each token's embedding point at the token that follows it."""
    follows: dict[int, int] = {}
    for row in rows:
        for token, following in itertools.pairwise(row):
            if follows.setdefault(token, following) != following:
                raise ValueError(f"token {token} is followed by two others")
    for layer in model.model.language_model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    embeddings, head = model.get_input_embeddings().weight, model.lm_head.weight
    assert isinstance(embeddings, torch.Tensor)
    embeddings.normal_()
    head.zero_()
    for token, following in follows.items():
        head[following] += embeddings[token]
