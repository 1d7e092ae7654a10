"""A Voxtral Realtime checkpoint with random weights, in the genuine format of transformers.

It speaks nonsense, from a small list of words, but what it says depends on what it hears and on all that it heard and
said before: a mistake in the audio, in a cache or in the order of things comes out as other words.
"""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    VoxtralRealtimeConfig,
    VoxtralRealtimeFeatureExtractor,
    VoxtralRealtimeForConditionalGeneration,
)

from bench.checkpoints import tekken
from bench.checkpoints.tekken import BOS, EOS, PAD, SPECIAL, spell

WORDS = "yes no hello please monday tuesday appointment tomorrow at nine ten book cancel thanks the a".split()
SILENT_MEL = (1.5 - 8 + 4) / 4  # what the feature extractor makes of digital silence
STREAMING_PAD, STREAMING_WORD = 32, 33
NAMES = tekken.NAMES | {
    STREAMING_PAD: "[STREAMING_PAD]",
    STREAMING_WORD: "[STREAMING_WORD]",
    35: "[REPEAT_AUDIO_TEXT]",
    36: "[NEXT_AUDIO_TEXT]",
}
AUDIO = {
    "chunk_length_s": None,
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
    pieces = spell(f" {word}" for word in WORDS)
    tekken.write(folder, pieces, names=NAMES, audio=AUDIO)
    torch.manual_seed(seed)
    model = VoxtralRealtimeForConditionalGeneration(
        _config(SPECIAL + len(pieces), encoder_layers, decoder_layers, encoder_window)
    )
    _liven(model, [STREAMING_PAD, STREAMING_WORD, *(SPECIAL + pieces.index(f" {word}".encode()) for word in WORDS)])
    model.generation_config.update(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    VoxtralRealtimeFeatureExtractor().save_pretrained(folder)  # type: ignore[no-untyped-call]
    _name_processor(folder / "preprocessor_config.json")
    return folder


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
    """Weights that let the model act like a trained one: silence makes it pad, sound makes it say words of `spoken`.

    Which ones depends on the sound and, through attention, on what came before.
    """
    parts: Any = model.model  # which are not typed
    encoder, decoder, projector = parts.audio_tower, parts.language_model, parts.multi_modal_projector
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() >= 2 and "embed_tokens" not in name:
                weight.normal_(0, weight[0].numel() ** -0.5)
        encoder_layers, decoder_layers = len(encoder.layers), len(decoder.layers)
        for layer in encoder.layers:
            layer.self_attn.o_proj.weight *= 0.1 * (2 / encoder_layers) ** 0.5
            layer.mlp.down_proj.weight *= 0.3 * (2 / encoder_layers) ** 0.5
        for layer in decoder.layers:
            layer.self_attn.o_proj.weight *= 0.5 * (2 / decoder_layers) ** 0.5
            layer.mlp.down_proj.weight *= 0.3 * (2 / decoder_layers) ** 0.5
        # Silence is a constant direction in the encoder, which the projector does not see.
        conv1, conv2 = encoder.embedder.conv1, encoder.embedder.conv2
        conv1.weight *= 2
        conv1.bias.copy_(-SILENT_MEL * conv1.weight.sum((1, 2)))
        conv2.bias.normal_(0, 1)
        silent = encoder(torch.full((1, 128, 64), SILENT_MEL)).last_hidden_state[0, -1]
        unseen = silent / silent.norm()
        blocks = projector.linear_1.weight.view(projector.linear_1.out_features, -1, len(unseen))
        blocks -= (blocks @ unseen)[..., None] * unseen
        projector.linear_2.weight *= 6
        # All tokens share a direction, the one of padding: without sound it is the likeliest after any of them.
        embeddings = decoder.embed_tokens.weight
        width = embeddings.shape[1]
        shared = torch.randn(width)
        shared /= shared.norm()
        embeddings.zero_()
        own = torch.randn(len(spoken) + 1, width)
        embeddings[[*spoken, BOS]] = 0.8 * own / own.norm(dim=1, keepdim=True) + 0.6 * shared
        embeddings[BOS] *= 0.1  # it begins, and is not said again
        embeddings[STREAMING_PAD] = 2.5 * shared


def _name_processor(path: Path) -> None:
    values = json.loads(path.read_text())
    values["processor_class"] = "VoxtralRealtimeProcessor"
    path.write_text(json.dumps(values, indent=2))
