"""What the model makes of audio by the way that transformers goes, and the same by ours, step by step."""

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch

from agent.engine.base import FloatArray, SpeechBlock, Transcript
from agent.engine.realtime.layout import Layout
from agent.engine.realtime.model import RealtimeModel, Work
from agent.engine.realtime.upsample import Upsampler
from agent.engine.realtime.utterance import RealtimeUtterance
from agent.exceptions import EngineError
from audio.rate import RATE


def tones(seed: int, seconds: float = 2.0, rate: int = RATE) -> bytes:
    """Another tone, or none, every tenth of a second; PCM16."""
    rng = np.random.default_rng(seed)
    time = np.arange(rate // 10) / rate
    pieces = [
        rng.uniform(0, 0.5) * (rng.random() > 0.2) * np.sin(2 * np.pi * rng.uniform(100, 7 * rate / 16) * time)
        for _ in range(round(seconds * 10))
    ]
    return (np.concatenate(pieces) * 32767).astype("<i2").tobytes()


def blocks(pcm: bytes, *sizes: int) -> Iterator[bytes]:
    """Cut into blocks of these sizes in bytes, over and over."""
    start, number = 0, 0
    while start < len(pcm):
        size = sizes[number % len(sizes)]
        yield pcm[start : start + size]
        start, number = start + size, number + 1


def block(name: str, pcm: bytes, call: str = "", wide: bytes = b"") -> SpeechBlock:
    return SpeechBlock(name, call or name, "front_desk", pcm, wide=wide)


@cache
def generated(network: Any, features: Any, layout: Layout, pcm: bytes, rate: int = RATE) -> tuple[int, ...]:
    """The tokens of `generate` with a stream of audio, silence after it included."""
    silence = bytes((layout.flush + 2) * layout.token * rate // RATE)
    audio = np.concatenate((np.zeros(layout.silence * layout.token, np.float32), Upsampler(rate).feed(pcm + silence)))

    def mel(samples: FloatArray, *, center: bool) -> torch.Tensor:
        found = features(samples, center=center, sampling_rate=16000, return_tensors="pt").input_features
        return torch.as_tensor(found)

    def stream() -> Iterator[torch.Tensor]:
        token = len(layout.prompt)
        yield mel(audio[: token * layout.token + 40], center=True)
        while (start := token * layout.token - layout.back) + 1680 <= len(audio):
            yield mel(audio[start : start + 1680], center=False)
            token += 1

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises to set max_new_tokens, which a stream does not know
        tokens = network.generate(
            input_ids=torch.tensor([layout.prompt]),
            input_features=stream(),
            num_delay_tokens=layout.delay,
            do_sample=False,
            suppress_tokens=[layout.end],
        )
    return tuple(tokens[0, len(layout.prompt) :].tolist())


def heard(
    model: RealtimeModel, pieces: dict[int, Iterator[bytes]], rates: dict[int, int] | None = None
) -> dict[int, list[int]]:
    """The tokens of utterances by slot; each gets its next piece whenever it has no audio left for a step."""
    rates = rates or {}
    utterances = {slot: RealtimeUtterance(slot, str(slot), model.layout, rates.get(slot, RATE)) for slot in pieces}
    for slot, utterance in utterances.items():
        utterance.slot = slot
        model.open(slot)
    while going := [item for item in utterances.values() if not item.over()]:
        for utterance in going:
            if not utterance.ready():
                piece = next(pieces[utterance.number], None)
                if piece is not None:
                    utterance.add(piece)
                else:
                    utterance.end()
                    if utterance.at_end():
                        utterance.add_silence()
        ready = [item for item in going if item.ready()]
        if ready:
            tokens = model.step([Work(item.number, item.token(), item.frame()) for item in ready])
            for item, token in zip(ready, tokens, strict=True):
                item.push(token)
    return {slot: utterance.tokens for slot, utterance in utterances.items()}


class Answers(list[Transcript | EngineError]):
    """Who asks the transcriber, and keeps what is answered."""

    def __call__(self, answer: Transcript | EngineError) -> None:
        self.append(answer)

    @property
    def texts(self) -> list[str]:
        return [answer.text for answer in self if isinstance(answer, Transcript)]
