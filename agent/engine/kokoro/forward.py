"""Kokoro's forward pass for several texts at once.

The stock one takes a single text: padding would leak into it through its normalizations and convolutions. Here every
row is kept apart from its padding by masks, in this one model's modules and only while a batch runs; without padding
each module does what it always did.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import torch
from kokoro.istftnet import AdaIN1d  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor, nn

from agent.engine.base import FloatArray

RATE = 24_000  # Hz
FRAME = 600  # samples in a frame, the unit of durations
_STYLE = 128  # numbers of a style that shape the sound; the others shape the prosody


class SynthesisInput(msgspec.Struct, frozen=True):
    """One text to be spoken."""

    tokens: tuple[int, ...]  # of its phonemes
    style: Tensor  # [1, 256]
    speed: float = 1.0


class SynthesisOutput(msgspec.Struct, frozen=True):
    """What a row became: mono float32 at RATE, and the frames of each phoneme, those of both edges included."""

    audio: FloatArray
    durations: NDArray[np.int64]


class Forward:
    """Runs a KModel on one or more rows; one thread only."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._padding = _Padding()
        generator = model.decoder.generator
        self._reflect = generator.stft.filter_length // 2
        generator.m_source.register_forward_hook(self._mirror)
        for part in (model.decoder, model.predictor.F0, model.predictor.N):
            self._keep_apart(part)

    def _keep_apart(self, part: nn.Module) -> None:
        for module in part.modules():
            if isinstance(module, AdaIN1d):
                module.norm = _MaskedNorm(module.norm, self._padding)
            elif isinstance(module, nn.Conv1d | nn.ConvTranspose1d) and module.kernel_size[0] > 1:
                module.register_forward_pre_hook(self._clear)

    @torch.inference_mode()
    def __call__(self, rows: Sequence[SynthesisInput]) -> list[SynthesisOutput]:
        """Speak the rows together, each as if it were alone."""
        model, device = self._model, self._model.device
        sizes = torch.tensor([len(row.tokens) + 2 for row in rows])
        tokens = torch.zeros(len(rows), int(sizes.max()), dtype=torch.long)  # 0 stands at both edges, and is padding
        for index, row in enumerate(rows):
            tokens[index, 1 : len(row.tokens) + 1] = torch.tensor(row.tokens)
        beyond = (torch.arange(tokens.shape[1]) >= sizes[:, None]).to(device)
        tokens = tokens.to(device)
        styles = torch.cat([row.style for row in rows]).to(device)
        speeds = torch.tensor([row.speed for row in rows]).to(device)
        sound, prosody = styles[:, :_STYLE], styles[:, _STYLE:]

        encoded = model.bert_encoder(model.bert(tokens, attention_mask=(~beyond).int())).transpose(-1, -2)
        features = model.predictor.text_encoder(encoded, prosody, sizes, beyond)
        shares = model.predictor.duration_proj(_lstm(model.predictor.lstm, features, sizes))
        exact = torch.sigmoid(shares).sum(-1) / speeds[:, None]
        durations = exact.round().clamp(min=1).long().masked_fill(beyond, 0)
        counted = durations.cpu()  # the host waits for the GPU here, and wherever rows are packed
        frames = counted.sum(1)
        alignment = _alignment(durations, int(frames.max())).to(features.dtype)
        text = model.text_encoder(tokens, sizes, beyond) @ alignment
        with self._padding.of(frames, device):
            pitch, energy = self._prosody(features.transpose(-1, -2) @ alignment, prosody, frames)
            audio = model.decoder(text, pitch, energy, sound).squeeze(1).cpu()
        return [
            SynthesisOutput(audio[index, : int(frames[index]) * FRAME].numpy(), counted[index, : int(size)].numpy())
            for index, size in enumerate(sizes)
        ]

    def _prosody(self, aligned: Tensor, style: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Pitch in Hz and energy, two steps a frame, [rows, 2 x frames]; as in ProsodyPredictor.F0Ntrain."""
        predictor = self._model.predictor
        shared = _lstm(predictor.shared, aligned.transpose(-1, -2), frames).transpose(-1, -2)
        curves = []
        for blocks, projection in ((predictor.F0, predictor.F0_proj), (predictor.N, predictor.N_proj)):
            curve = shared
            for block in blocks:
                curve = block(curve, style)
            curves.append(self._padding.clear(projection(curve)).squeeze(1))
        return curves[0], curves[1]

    def _clear(self, _module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self._padding.clear(arguments[0]), *arguments[1:])

    def _mirror(self, _module: nn.Module, _arguments: Any, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """torch.stft mirrors the end of a batch; a row that ends earlier is mirrored here, at its own end."""
        if self._padding.frames is None:
            return output
        source = output[0].clone()  # [rows, samples, 1]
        samples = source.shape[1]
        ends = self._padding.frames[:, None] * FRAME
        steps = torch.arange(self._reflect, device=source.device)
        to, origin = ends + steps, ends - 2 - steps
        rows = torch.arange(len(source), device=source.device)[:, None]
        inside = to < samples
        to = to.clamp(max=samples - 1)
        source[rows, to] = torch.where(inside[..., None], source[rows, origin], source[rows, to])
        return (source, *output[1:])


class _Padding:
    """The length of each row of the running batch; None while there is no padding."""

    def __init__(self) -> None:
        self.frames: Tensor | None = None  # [rows]
        self._longest = 0
        self._masks: dict[int, Tensor] = {}

    def of(self, frames: Tensor, device: torch.device) -> "_Padding":
        """Context manager: rows of so many frames are running."""
        self._longest = int(frames.max())
        self.frames = frames.to(device) if int(frames.min()) < self._longest else None
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.frames = None
        self._masks.clear()

    def mask(self, steps: int) -> Tensor:
        """1 within a row, 0 in its padding: [rows, 1, steps], for any of the rates that the decoder runs at."""
        assert self.frames is not None
        if steps not in self._masks:
            rate = max(1, steps // self._longest)
            # After a reflection pad or an STFT there is one more step.
            ends = self.frames * rate + (steps - rate * self._longest)
            places = torch.arange(steps, device=self.frames.device)
            self._masks[steps] = (places < ends[:, None])[:, None].float()
        return self._masks[steps]

    def clear(self, values: Tensor) -> Tensor:
        """[rows, channels, steps] with zeros in the padding."""
        return values if self.frames is None else values * self.mask(values.shape[-1])


class _MaskedNorm(nn.Module):
    """An InstanceNorm1d that takes mean and variance from the rows without their padding."""

    def __init__(self, stock: nn.InstanceNorm1d, padding: _Padding) -> None:
        super().__init__()
        self._stock = stock
        self._padding = padding

    def forward(self, values: Tensor) -> Tensor:
        """[rows, channels, steps]"""
        if self._padding.frames is None:
            normal: Tensor = self._stock(values)
            return normal
        mask = self._padding.mask(values.shape[-1])
        count = mask.sum(-1, keepdim=True)
        centred = values - (values * mask).sum(-1, keepdim=True) / count
        variance = (centred * mask).square().sum(-1, keepdim=True) / count
        normal = centred * torch.rsqrt(variance + self._stock.eps)
        return normal * self._stock.weight[:, None] + self._stock.bias[:, None]


def _alignment(durations: Tensor, frames: int) -> Tensor:
    """[rows, phonemes, frames]: which phoneme each frame belongs to."""
    ends = durations.cumsum(1)[..., None]
    at = torch.arange(frames, device=durations.device)
    return (at >= ends - durations[..., None]) & (at < ends)


def _lstm(lstm: nn.LSTM, values: Tensor, sizes: Tensor) -> Tensor:
    """[rows, steps, channels]; `sizes`, on the CPU, end the backward direction's padding."""
    packed = nn.utils.rnn.pack_padded_sequence(values, sizes, batch_first=True, enforce_sorted=False)
    output, _ = lstm(packed)
    padded, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=values.shape[1])
    return padded
