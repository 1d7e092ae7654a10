"""A Voxtral Realtime checkpoint with random weights, in the genuine format: tekken.json, config, processor, safetensors.

It speaks nonsense, from a small list of words, but what it says depends on what it hears and on all that it heard and
said before: a mistake in the audio, in a cache or in the order of things comes out as other words.
"""

import base64
import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    VoxtralRealtimeConfig,
    VoxtralRealtimeFeatureExtractor,
    VoxtralRealtimeForConditionalGeneration,
)

WORDS = "yes no hello please monday tuesday appointment tomorrow at nine ten book cancel thanks the a".split()
SPECIAL = 1000  # control tokens, as in the genuine tokenizer
BOS, EOS, PAD = 1, 2, 11
STREAMING_PAD, STREAMING_WORD = 32, 33
NAMES = {
    rank: name
    for rank, name in enumerate(
        "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS] "
        "[IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] "
        "[TOOL_CONTENT]".split()
    )
} | {
    24: "[AUDIO]",
    25: "[BEGIN_AUDIO]",
    STREAMING_PAD: "[STREAMING_PAD]",
    STREAMING_WORD: "[STREAMING_WORD]",
    34: "[TRANSCRIBE]",
    35: "[REPEAT_AUDIO_TEXT]",
    36: "[NEXT_AUDIO_TEXT]",
}
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
AUDIO = {
    "sampling_rate": 16000,
    "frame_rate": 12.5,
    "chunk_length_s": None,
    "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
    "transcription_format": "streaming",
    "transcription_delay_ms": 480,
    "streaming_look_ahead_ms": 2.5,
    "streaming_look_back_ms": 52.5,
    "streaming_n_left_pad_tokens": 32,
}


def build(
    folder: Path, *, encoder_layers: int = 2, decoder_layers: int = 2, encoder_window: int = 750, seed: int = 0
) -> Path:
    """Write a narrow checkpoint into `folder`; 32 and 26 layers are the genuine depth, 750 the genuine window."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = _pieces()
    _write_tokenizer(folder / "tekken.json", pieces)
    torch.manual_seed(seed)
    model = VoxtralRealtimeForConditionalGeneration(
        _config(SPECIAL + len(pieces), encoder_layers, decoder_layers, encoder_window)
    )
    _liven(model, [STREAMING_PAD, STREAMING_WORD, *(SPECIAL + pieces.index(f" {word}".encode()) for word in WORDS)])
    model.generation_config.update(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD)
    model.save_pretrained(folder)
    VoxtralRealtimeFeatureExtractor().save_pretrained(folder)
    _name_processor(folder / "preprocessor_config.json")
    return folder


def _pieces() -> list[bytes]:
    """All single bytes and the words with everything that leads up to them: every merge must itself be a token."""
    pieces = [bytes([value]) for value in range(256)]
    for word in WORDS:
        spelled = f" {word}".encode()
        pieces += [part for end in range(2, len(spelled) + 1) if (part := spelled[:end]) not in pieces]
    return pieces


def _write_tokenizer(path: Path, pieces: list[bytes]) -> None:
    tokenizer: dict[str, Any] = {
        "config": {
            "pattern": PATTERN,
            "num_vocab_tokens": len(pieces),
            "default_vocab_size": SPECIAL + len(pieces),
            "default_num_special_tokens": SPECIAL,
            "version": "v7",
        },
        "vocab": [
            {"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": piece.decode("utf-8", "replace")}
            for rank, piece in enumerate(pieces)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": NAMES.get(rank, f"<SPECIAL_{rank}>"), "is_control": True}
            for rank in range(SPECIAL)
        ],
        "audio": AUDIO,
    }
    path.write_text(json.dumps(tokenizer))


def _config(vocabulary: int, encoder_layers: int, decoder_layers: int, window: int) -> VoxtralRealtimeConfig:
    return VoxtralRealtimeConfig(
        audio_config={
            "model_type": "voxtral_realtime_encoder",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": encoder_layers,
            "num_attention_heads": 2,
            "head_dim": 16,
            "sliding_window": window,
            "num_mel_bins": 128,
        },
        text_config={
            "model_type": "voxtral_realtime_text",
            "vocab_size": vocabulary,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": decoder_layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 131072,
            "sliding_window": 8192,
            "tie_word_embeddings": True,
            "bos_token_id": BOS,
            "eos_token_id": EOS,
        },
        audio_length_per_tok=8,
        downsample_factor=4,
        default_num_delay_tokens=6,
    )


def _liven(model: VoxtralRealtimeForConditionalGeneration, spoken: list[int]) -> None:
    """Weights large enough that audio and past decide the next token, and no token but those of `spoken`."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() >= 2 and "embed_tokens" not in name:
                fan_in = weight[0].numel()
                weight.normal_(0, (G if "linear_2" in name and "projector" in name else 1.0) * fan_in**-0.5)
        embeddings = model.get_input_embeddings().weight
        embeddings.zero_()
        embeddings[[*spoken, BOS]] = torch.randn(len(spoken) + 1, embeddings.shape[1]) * E
        embeddings[BOS] *= 0.1  # it begins, and is not said again


def _name_processor(path: Path) -> None:
    values = json.loads(path.read_text())
    values["processor_class"] = "VoxtralRealtimeProcessor"
    path.write_text(json.dumps(values, indent=2))
