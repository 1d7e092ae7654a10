"""Voxtral Realtime for many utterances at once: one step hears 80 ms of each and says its next token.

The modelling code is that of transformers; this only lets it work on many streams, each at its own position in time.
There is no other kind of step: an utterance begins with a copy of the silence that precedes all of them.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import VoxtralRealtimeFeatureExtractor, VoxtralRealtimeForConditionalGeneration

from agent.engine.base import FloatArray
from agent.engine.realtime.cache import CacheShape, ConvStates, RingCache
from agent.engine.realtime.layout import Layout


class Work(NamedTuple):
    """What a step does for one slot."""

    slot: int
    token: int  # the one before
    audio: FloatArray  # `Layout.frame` samples of 16 kHz


class RealtimeModel:
    """The model with its slots. One thread at a time."""

    def __init__(
        self,
        network: VoxtralRealtimeForConditionalGeneration,
        features: VoxtralRealtimeFeatureExtractor,
        layout: Layout,
        slots: int,
    ) -> None:
        self.layout = layout
        self._network = network
        self._encoder, self._decoder = network.model.audio_tower, network.model.language_model
        weight = network.lm_head.weight
        self._device, self._dtype = weight.device, weight.dtype
        self._mel = MelFrames(features, self._device)
        self._per_token = network.config.downsample_factor  # positions of the encoder
        config: Any = network.config  # its parts are not typed
        encoder, decoder = shapes(config, layout)
        # One more slot: it holds the silence with which all begin.
        self._template = slots
        self._heard = RingCache(encoder, config.audio_config.sliding_window, slots + 1, weight)
        self._said = RingCache(decoder, config.text_config.sliding_window, slots + 1, weight)
        embedder = self._encoder.embedder
        self._conv = ConvStates({"conv1": embedder.conv1, "conv2": embedder.conv2}, slots + 1, weight)
        self._positions = np.zeros(slots + 1, np.int64)  # tokens so far in each slot
        self._marked = self._positions.copy()
        with torch.inference_mode():
            delay = torch.full((1,), layout.delay, device=self._device, dtype=self._dtype)
            self._delay = network.model.time_embedding(delay)[None]
        self._warm_up(slots)

    def open(self, slot: int) -> None:
        """Put the slot at the beginning of an utterance."""
        for state in (self._heard, self._said, self._conv):
            state.copy(self._template, slot)
        self._positions[slot] = self.layout.prefix

    def mark(self, slot: int) -> None:
        """Remember where the slot is, for `Layout.flush` more steps."""
        self._conv.mark(slot)
        self._marked[slot] = self._positions[slot]

    def rewind(self, slot: int) -> None:
        """Put the slot back where it was marked, as if nothing had been heard or said since."""
        self._conv.rewind(slot)
        self._positions[slot] = self._marked[slot]

    @torch.inference_mode()
    def step(self, work: list[Work]) -> list[int]:
        """The next token of each. If it raises, no slot has advanced."""
        slots = [item.slot for item in work]
        rows = slice(min(slots), max(slots) + 1)  # idle ones in between take part without effect
        tokens = np.zeros(rows.stop - rows.start, np.int64)
        audio = np.zeros((len(tokens), self.layout.frame), np.float32)
        which = np.array(slots) - rows.start
        tokens[which] = [item.token for item in work]
        audio[which] = [item.audio for item in work]
        inputs = self._listen(rows, audio) + self._network.get_input_embeddings()(self._tensor(tokens))[:, None]
        said = self._say(rows, inputs)[which].tolist()
        self._conv.commit(self._tensor(which))
        self._positions[slots] += 1
        return said

    def _listen(self, rows: slice, audio: FloatArray) -> Tensor:
        """[rows, 1, width of the decoder]"""
        first = self._positions[rows, None] * self._per_token
        positions, mask = self._heard.at(rows, first + np.arange(self._per_token))
        self._conv.at(rows)
        mel = self._mel(self._tensor(audio)).to(self._dtype)
        heard = self._encoder(
            inputs_embeds=self._encoder.embedder(mel, padding_cache=self._conv),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._heard,
            use_cache=True,
        ).last_hidden_state
        embedded: Tensor = self._network.model.multi_modal_projector(heard.flatten(1)[:, None])
        return embedded

    def _say(self, rows: slice, inputs: Tensor) -> Tensor:
        """The likeliest tokens, [rows]"""
        positions, mask = self._said.at(rows, self._positions[rows, None])
        state = self._decoder(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._said,
            use_cache=True,
            t_cond=self._delay,
        ).last_hidden_state
        scores: Tensor = self._network.lm_head(state[:, -1])
        scores[:, self.layout.end] = -torch.inf  # only the caller ends an utterance
        return scores.argmax(-1).cpu()

    def _warm_up(self, slots: int) -> None:
        """Hear the silence before all utterances; then make the largest step, so that a lack of memory shows now."""
        layout = self.layout
        silence = np.zeros(layout.frame, np.float32)
        for token in layout.prompt[: layout.prefix]:
            self.step([Work(self._template, token, silence)])
        self._positions[:slots] = layout.longest - 1
        self.step([Work(slot, layout.pad, silence) for slot in range(slots)])

    def _tensor(self, values: np.ndarray) -> Tensor:
        # non_blocking: otherwise the host waits at each of these for all that the GPU was given before.
        return torch.from_numpy(values).to(self._device, non_blocking=True)


class MelFrames:
    """Log-mel frames as the feature extractor of transformers makes them of a chunk, for many chunks on any device."""

    def __init__(self, features: VoxtralRealtimeFeatureExtractor, device: torch.device) -> None:
        self._size, self._hop = features.n_fft, features.hop_length
        self._window = torch.hann_window(features.n_fft, device=device)
        self._filters = torch.from_numpy(features.mel_filters).to(device, torch.float32).T
        self._floor = features.global_log_mel_max - 8.0

    def __call__(self, audio: Tensor) -> Tensor:
        """[chunks, samples of 16 kHz] to [chunks, bins, frames], float32."""
        spectrum = torch.stft(audio, self._size, self._hop, window=self._window, center=False, return_complex=True)
        mel = torch.clamp(self._filters @ spectrum.abs() ** 2, min=1e-10).log10()
        return (mel.clamp(min=self._floor) + 4.0) / 4.0


def shapes(config: Any, layout: Layout) -> tuple[CacheShape, CacheShape]:
    """What the encoder and the decoder remember of one utterance; `config` is a VoxtralRealtimeConfig."""
    audio, text = config.audio_config, config.text_config
    # Beyond the window: what a step adds before it looks back, and what a rewind needs.
    heard = audio.sliding_window + config.downsample_factor * (1 + layout.flush)
    return (
        CacheShape(audio.num_hidden_layers, audio.num_attention_heads, heard, audio.head_dim),
        CacheShape(text.num_hidden_layers, text.num_key_value_heads, layout.longest, text.head_dim),
    )
