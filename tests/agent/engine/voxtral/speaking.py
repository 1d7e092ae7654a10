"""What the tests of this engine share: prompts, audio, and transformers' own way to answer them."""

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.mel import MelSpectrogram
from agent.engine.voxtral.prompt import audio_tokens
from audio.rate import RATE, WIDE_RATE

SLOTS, CONTEXT = 4, 1024
INSTRUCTIONS = [1, 3, *range(1010, 1050)]


def pcm(seed: int, seconds: float = 1.0, rate: int = RATE) -> bytes:
    """A chord in noise, PCM16; every seed another one."""
    random = np.random.default_rng(seed)
    time = np.arange(int(rate * seconds))[:, None] / rate
    chord = np.sin(2 * np.pi * time * random.uniform(200, 17 * rate / 40, 3)).sum(axis=1)
    return (chord * 3000 + random.standard_normal(len(time)) * 300).astype("<i2").tobytes()


def prompt(voxtral: Checkpoint, seed: int, words: int) -> list[int]:
    """The instructions, some text and audio."""
    text = np.random.default_rng(seed).integers(1000, 1256, words).tolist()
    return [*INSTRUCTIONS, *text, *audio_tokens(voxtral.tokenizer), voxtral.tokenizer.END_INST]


def whispers(audio: bytes) -> torch.Tensor:
    """What WhisperFeatureExtractor makes of 16 kHz."""
    samples = np.frombuffer(audio, "<i2").astype(np.float32) / 32768
    extract = WhisperFeatureExtractor(feature_size=128)
    features: torch.Tensor = extract(samples, sampling_rate=WIDE_RATE, return_tensors="pt").input_features
    return features


@torch.inference_mode()
def generate(voxtral: Checkpoint, ids: list[int], audio: bytes, count: int, rate: int = RATE) -> list[int]:
    """What transformers itself generates greedily, without </s>."""
    features = None
    if audio:
        features = MelSpectrogram(torch.device("cpu"))(audio) if rate == RATE else whispers(audio)
    tokens = voxtral.model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        input_features=features,
        max_new_tokens=count,
        do_sample=False,
    )
    return [token for token in tokens[0, len(ids) :].tolist() if token != 2]
