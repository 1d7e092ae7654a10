"""A tokenizer in Mistral's format, tekken.json, for checkpoints with random weights."""

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SPECIAL = 1000  # special tokens come first, as in the genuine tokenizer
BOS, EOS, PAD = 1, 2, 11
FIRST_NAMES = (
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS] "
    "[IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT]"
)
NAMES = dict(enumerate(FIRST_NAMES.split())) | {24: "[AUDIO]", 25: "[BEGIN_AUDIO]", 34: "[TRANSCRIBE]"}
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
AUDIO = {
    "sampling_rate": 16_000,
    "frame_rate": 12.5,
    "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
}


def spell(words: Iterable[str]) -> list[bytes]:
    """All single bytes and the words with everything that leads up to them: every merge must itself be a token."""
    pieces = dict.fromkeys(bytes([value]) for value in range(256))
    for word in words:
        encoded = word.encode()
        pieces |= dict.fromkeys(encoded[:end] for end in range(2, len(encoded) + 1))
    return list(pieces)


def write(
    folder: Path, pieces: list[bytes], *, names: Mapping[int, str] = NAMES, audio: Mapping[str, Any] | None = None
) -> None:
    """Write tekken.json. A piece's token is SPECIAL and its place; `audio` comes on top of what all models share."""
    tokenizer = {
        "config": {
            "pattern": PATTERN,
            "num_vocab_tokens": len(pieces),
            "default_vocab_size": SPECIAL + len(pieces),
            "default_num_special_tokens": SPECIAL,
            "version": "v7",
        },
        "vocab": [
            {
                "rank": rank,
                "token_bytes": base64.b64encode(piece).decode(),
                "token_str": piece.decode("utf-8", "replace"),
            }
            for rank, piece in enumerate(pieces)
        ],
        "special_tokens": [
            {"rank": rank, "token_str": names.get(rank, f"<SPECIAL_{rank}>"), "is_control": True}
            for rank in range(SPECIAL)
        ],
        "audio": {**AUDIO, **(audio or {})},
    }
    (folder / "tekken.json").write_text(json.dumps(tokenizer), encoding="utf-8")
