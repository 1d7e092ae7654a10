"""The model itself: hears audio, reads a prompt into a slot, writes the next token of all slots at once.

Used by one thread, under `torch.inference_mode`. Shapes are padded to a few sizes, each with its own CUDA graph.
"""

import logging
from collections import OrderedDict
from typing import NamedTuple

import torch

from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.gpu_memory import KEPT_AUDIO, MAX_PREFILL, MIN_LENGTH, PREFILL
from agent.engine.voxtral.graphs import Graphs
from agent.engine.voxtral.layers import Layers
from agent.engine.voxtral.mel import BANDS, FRAMES, MelSpectrogram, last_30_s
from agent.engine.voxtral.operations import Operations
from agent.engine.voxtral.sampling import choose
from agent.engine.voxtral.self_check import operations_for
from agent.engine.voxtral.slots import MIN_ROWS, SlotCache, bucket, common, shape_of, sizes
from audio.rate import RATE

log = logging.getLogger(__name__)


class SlotInput(NamedTuple):
    """What a step needs to know of one slot."""

    slot: int
    token: int  # the last one, not yet read
    length: int  # positions filled
    temperature: float
    top_p: float
    draw: float  # uniform in 0..1


class Prefix(NamedTuple):
    """The beginning of all prompts of one agent, read once."""

    ids: list[int]
    saved: tuple[torch.Tensor, torch.Tensor]


class Decoder:
    """Voxtral over a cache of `slots`, each with room for `context` tokens. `operations` are the fastest available."""

    def __init__(self, checkpoint: Checkpoint, slots: int, context: int, operations: Operations | None = None) -> None:
        model, self.device = checkpoint.model, checkpoint.device
        self.slots, self.context = slots, context
        self._model = model
        self._embed = model.get_input_embeddings()
        self._audio_token = int(model.config.audio_token_id or 0)
        shape, dtype = shape_of(model.config), model.lm_head.weight.dtype
        self.cache = SlotCache(shape, slots, context, device=self.device, dtype=dtype)
        self.operations = operations or operations_for(self.device, dtype, shape)
        self._layers = Layers(model.model.language_model, self.cache, self.operations)
        self._graphs = Graphs(self.device, enabled=self.device.type == "cuda")
        self._mel = MelSpectrogram(self.device)
        self._heard: OrderedDict[tuple[int, bytes], torch.Tensor] = OrderedDict()
        self._prefixes: list[Prefix] = []

    def warm_up(self) -> None:
        """Run every size once, so that graphs are captured now and not while a caller waits. The largest come first;
        the others fit into the memory that these have taken."""
        self._graphs.run("hear", 1, self._encode, torch.zeros(1, BANDS, FRAMES))
        every = self._graphs.enabled
        for length in reversed(sizes(MIN_LENGTH, self.context)) if every else [min(MIN_LENGTH, self.context)]:
            for rows in reversed(sizes(MIN_ROWS, self.slots)) if every else [1]:
                self.step([SlotInput(rows - 1, 0, length - 1, 0.0, 1.0, 0.0)])
            most = min(MAX_PREFILL, length) // PREFILL * PREFILL
            for count in range(most, 0, -PREFILL) if every else [PREFILL]:
                self.pick(self.prefill(0, [0] * count, b"", length - count), SlotInput(0, 0, 0, 0.0, 1.0, 0.0), None)

    def learn(self, ids: list[int]) -> None:
        """Read the beginning of future prompts, once; the first slot must be free."""
        self.prefill(0, ids, b"", 0)
        self._prefixes.append(Prefix(ids, self.cache.save(0, len(ids))))

    def inherit(self, slot: int, ids: list[int], source: int, length: int) -> int:
        """Fill the beginning of a slot with what is known of a prompt: the first `length` tokens are those of the slot
        `source`, or more of them have been learned. Gives how many need not be read; at least one is left."""
        prefix = max(self._prefixes, key=lambda each: common(each.ids, ids), default=None)
        learned = common(prefix.ids, ids) if prefix else 0
        known = min(max(length, learned), len(ids) - 1)
        if prefix and learned > length:
            self.cache.restore(slot, prefix.saved, known)
        else:
            self.cache.copy(source, slot, known)
        return known

    def prefill(self, slot: int, ids: list[int], audio: bytes, start: int, rate: int = RATE) -> torch.Tensor:
        """Read the tokens of a prompt into a slot, from position `start` on, with the audio (see `hear`) where `ids`
        have audio tokens. Gives the logits [1, vocabulary] of the token that follows. Raises ValueError where they are
        too many: a GPU that is told to write beyond its cache is lost."""
        if start + len(ids) > self.context:
            raise ValueError(f"{start + len(ids)} tokens, and there is room for {self.context}")
        embedded = self._embed(torch.tensor(ids, device=self.device))
        if audio:
            first = ids.index(self._audio_token)
            heard = self.hear(audio, rate=rate)
            embedded[first : first + len(heard)] = heard
        for first in range(0, len(ids), MAX_PREFILL):
            logits = self._read_part(slot, embedded[first : first + MAX_PREFILL], start + first)
        return logits

    def _read_part(self, slot: int, embedded: torch.Tensor, start: int) -> torch.Tensor:
        """At most MAX_PREFILL tokens; all but those at the end of a slot as one of a few sizes."""
        count, room = len(embedded), self.context - start
        padded = min(-(-count // PREFILL) * PREFILL, room)
        embedded = torch.nn.functional.pad(embedded, (0, 0, 0, padded - count))
        length = bucket(start + padded, MIN_LENGTH, self.context)
        positions = torch.arange(start, start + padded)
        inputs = embedded, torch.tensor([slot]), positions, torch.tensor([count - 1])
        if padded % PREFILL:
            return self._read(length, *(each.to(self.device) for each in inputs))
        return self._graphs.run("read", (padded, length), lambda *each: self._read(length, *each), *inputs)

    def pick(self, logits: torch.Tensor, row: SlotInput, forbidden: torch.Tensor | None) -> int:
        """The token that follows a prompt; none of the `forbidden` ones (ids on the device)."""
        if forbidden is not None:
            logits = logits.index_fill(1, forbidden, -torch.inf)
        chances = torch.tensor([[row.temperature], [row.top_p], [row.draw]])
        return int(self._graphs.run("choose", 1, choose, logits, chances))

    def step(self, rows: list[SlotInput]) -> list[int]:
        """One more token for each row, in order."""
        count = bucket(max(row.slot for row in rows) + 1, MIN_ROWS, self.slots)
        length = bucket(max(row.length for row in rows) + 1, MIN_LENGTH, self.context)
        whole: list[SlotInput] = [SlotInput(slot, 0, self.cache.nowhere, 0.0, 1.0, 0.0) for slot in range(count)]
        for row in rows:
            whole[row.slot] = row
        numbers = torch.tensor([[row.token for row in whole], [row.length for row in whole]])
        chances = torch.tensor([row[3:] for row in whole]).T
        logits = self._graphs.run("write", (count, length), lambda each: self._write(length, each), numbers)
        tokens = self._graphs.run("choose", count, choose, logits, chances).tolist()
        return [tokens[row.slot] for row in rows]

    def hear(self, audio: bytes, bands: torch.Tensor | None = None, rate: int = RATE) -> torch.Tensor:
        """Mono PCM16 at 8 or 16 kHz → embeddings [375, width]; the last few turns are kept. `bands` are the
        spectrogram's frames, where they are known."""
        audio = last_30_s(audio, rate)
        heard = self._heard.pop((rate, audio), None)
        if heard is None:
            spectrogram = self._mel(audio, rate) if bands is None else self._mel.spectrogram(bands)
            heard = self._graphs.run("hear", 1, self._encode, spectrogram).clone()
        self._heard[rate, audio] = heard
        if len(self._heard) > KEPT_AUDIO:
            self._heard.popitem(last=False)
        return heard

    def _encode(self, spectrogram: torch.Tensor) -> torch.Tensor:
        heard: torch.Tensor = self._model.model.get_audio_features(spectrogram).pooler_output
        return heard

    def _read(
        self, length: int, embedded: torch.Tensor, slot: torch.Tensor, positions: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        return self._logits(self._layers.read(embedded, slot, positions, length).index_select(0, last))

    def _write(self, length: int, numbers: torch.Tensor) -> torch.Tensor:
        tokens, positions = numbers[0], numbers[1]
        return self._logits(self._layers.write(self._embed(tokens), positions, length))

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self._model.lm_head(hidden)
        return logits
