"""A Kokoro checkpoint with random weights, in the genuine format: config.json, kokoro-v1_0.pth, voices/*.pt.

Its speech is unintelligible, but it loads, runs and costs what the genuine one does.
"""

import json
import math
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from kokoro.istftnet import Decoder  # type: ignore[import-untyped]
from kokoro.modules import CustomAlbert, ProsodyPredictor, TextEncoder  # type: ignore[import-untyped]
from torch import nn
from transformers import AlbertConfig

SYMBOLS = (
    ';:,.!?—…"()“” \u0303ʣʥʦʨᵝAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻ'
    "ʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ"
)
VOICES = ("af_heart", "bf_emma", "hm_omega", "hf_alpha")
FRAMES_A_PHONEME = 3.5  # of 25 ms: the pace of a person
SPREAD = 0.3  # standard deviation of their logarithms
PITCH_HZ = 150.0
GENUINE_RATES = (10, 6)
MAX_DURATION = 50  # frames of a phoneme, of the genuine model


def build(
    folder: Path,
    *,
    full: bool = False,
    voices: Iterable[str] = VOICES,
    pace: float = FRAMES_A_PHONEME,
    rates: Sequence[int] = (),
) -> Path:
    """Write a checkpoint: `full`, with the sizes of Kokoro-82M (330 MB), or a small and fast one. Returns the folder.

    `rates` are those by which the sound is made finer, 60 in all; the genuine ones are 10 and 6, the small model's
    are in more stages, which are cheaper.
    """
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    config = _config(full, rates or (GENUINE_RATES if full else (2, 5, 3, 2)))
    (folder / "config.json").write_text(json.dumps(config))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch about how Kokoro's own classes are written
        torch.manual_seed(0)
        parts = _parts(config)
        if not full:
            for part in parts.values():
                _thin(part)
        _set_pace(parts, pace)
        torch.save({name: part.state_dict() for name, part in parts.items()}, folder / "kokoro-v1_0.pth")
        for voice in voices:
            torch.save(torch.randn(510, 1, 256) * 0.1, folder / "voices" / f"{voice}.pt")
    return folder


def _config(full: bool, rates: Sequence[int]) -> dict[str, Any]:
    kernels = [3, 7, 11] if full else [3]
    albert = (768, 12, 2048, 12) if full else (32, 2, 64, 1)
    names = ("hidden_size", "num_attention_heads", "intermediate_size", "num_hidden_layers")
    return {
        "istftnet": {
            "upsample_kernel_sizes": [2 * rate - rate % 2 for rate in rates],
            "upsample_rates": list(rates),
            "gen_istft_hop_size": 5,
            "gen_istft_n_fft": 20,
            "resblock_dilation_sizes": [[1, 3, 5]] * len(kernels),
            "resblock_kernel_sizes": kernels,
            "upsample_initial_channel": 512,
        },
        "dim_in": 64,
        "dropout": 0.2,
        "hidden_dim": 512,
        "max_conv_dim": 512,
        "max_dur": MAX_DURATION,
        "multispeaker": True,
        "n_layer": 3 if full else 1,
        "n_mels": 80,
        "n_token": 178,
        "style_dim": 128,
        "text_encoder_kernel_size": 5,
        "vocab": {symbol: index + 1 for index, symbol in enumerate(SYMBOLS)},
        "plbert": dict(zip(names, albert, strict=True)) | {"max_position_embeddings": 512, "dropout": 0.1},
    }


def _parts(config: dict[str, Any]) -> dict[str, nn.Module]:
    hidden, style, layers = config["hidden_dim"], config["style_dim"], config["n_layer"]
    predictor = ProsodyPredictor(style_dim=style, d_hid=hidden, nlayers=layers, max_dur=MAX_DURATION, dropout=0.2)
    nn.init.constant_(predictor.F0_proj.bias, PITCH_HZ)
    decoder = Decoder(dim_in=hidden, style_dim=style, dim_out=config["n_mels"], **config["istftnet"])
    last = decoder.generator.conv_post  # its output is a logarithm: as quiet as speech, at all frequencies alike
    nn.init.constant_(last.bias, -2.0)
    with torch.no_grad():
        last.weight_g.mul_(0.1)
    return {
        "bert": CustomAlbert(AlbertConfig(vocab_size=config["n_token"], **config["plbert"])),
        "bert_encoder": nn.Linear(config["plbert"]["hidden_size"], hidden),
        "predictor": predictor,
        "text_encoder": TextEncoder(
            channels=hidden,
            kernel_size=config["text_encoder_kernel_size"],
            depth=layers,
            n_symbols=config["n_token"],
        ),
        "decoder": decoder,
    }


def _thin(part: nn.Module) -> None:
    """Small checkpoints keep a few numbers of a large tensor and read them again and again, at other places in every
    row: a tiny file that loads like any other."""
    for parameter in part.parameters():
        if parameter.numel() > 4096:
            steps = (1, 5, 2)[: parameter.dim()]
            kept = 1 + sum(step * (size - 1) for step, size in zip(steps, parameter.shape, strict=True))
            parameter.data = parameter.data.flatten()[:kept].clone().as_strided(parameter.shape, steps)


@torch.no_grad()
def _set_pace(parts: dict[str, Any], pace: float) -> None:
    """Make phonemes last this many frames on average, each somewhat more or less."""
    for part in parts.values():
        part.eval()
    texts, length = 16, 32
    tokens = torch.randint(1, len(SYMBOLS), (texts, length))
    predictor = parts["predictor"]
    encoded = parts["bert_encoder"](parts["bert"](tokens)).transpose(-1, -2)
    features = predictor.text_encoder(
        encoded, torch.randn(texts, 128) * 0.1, torch.full((texts,), length), torch.zeros(texts, length) > 0
    )
    hidden, _ = predictor.lstm(features)
    duration = predictor.duration_proj.linear_layer
    direction = torch.randn(1, hidden.shape[-1])
    direction /= (hidden @ direction.T).std() / SPREAD
    duration.weight.data = direction.expand(MAX_DURATION, -1).contiguous()
    nn.init.constant_(duration.bias, math.log(pace / (MAX_DURATION - pace)) - float((hidden @ direction.T).mean()))
