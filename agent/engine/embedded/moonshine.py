"""Moonshine tiny-en: the words in an utterance's audio, by a neural network on onnxruntime.

Its three files come in the package moonshine-voice, of which nothing else is used, and are checked before they are
opened. The network writes one token after another, and on noise it may never stop: so the tokens are bounded by the
length of the audio, and a group of tokens repeated in a loop is kept once.
"""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import onnxruntime

from agent.engine.base import FloatArray
from agent.engine.embedded.beam import likeliest
from agent.engine.embedded.numerals import words_of
from agent.exceptions import EngineError
from audio.rate import WIDE_RATE

INSTALL = "pip install --no-deps moonshine-voice==0.1.0"
SHA256 = {
    "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    "decoder_model_merged.ort": "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}
SILENCE = 4 * WIDE_RATE // 10  # samples that follow the speech: without them a last word is often misheard
TOKENS_A_SECOND, MORE_TOKENS = 6.5, 8  # at most, of the fastest speech
LONGEST_LOOP = 10  # tokens in a group that is repeated
REPEATS, SHORT, REPEATS_OF_SHORT = 4, 3, 7  # times in a row that make a loop; "zero, zero, zero, zero" is none
# What it writes, and what it was that callers said.
SPELLINGS = {"good-by": "goodbye", "no weight": "no wait"}
BEGIN, END = 1, 2  # tokens
WIDTH = 8  # alternatives that are pursued at once; many differ in a comma

T = TypeVar("T")

_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")
_SPECIAL = re.compile(r"<[^>]*>")
_SPELLED = re.compile(rf"\b({'|'.join(SPELLINGS)})\b", re.IGNORECASE)


def model_folder() -> Path:
    """Where the package's files are, found without importing it. Raises EngineError when it is not installed."""
    spec = find_spec("moonshine_voice")
    for folder in spec.submodule_search_locations or () if spec else ():
        return Path(folder) / "assets" / "tiny-en"
    raise EngineError(f"Moonshine is not installed: {INSTALL}")


class Alternative(msgspec.Struct, frozen=True):
    """A transcript that the audio may have."""

    text: str
    share: float  # of the likelihood of all that were looked at


class Decoding:
    """The decoder at work on one audio: what it has written so far, in one row or in several at once."""

    def __init__(self, decoder: onnxruntime.InferenceSession, states: FloatArray, mask: Any) -> None:
        """The encoder's states, and its mask, which is as long as the audio, not as the states."""
        self._decoder = decoder
        self._audio = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
        inputs = {item.name: item.shape for item in decoder.get_inputs()}
        self._past = {
            name: np.zeros((1, shape[1], 0, shape[3]), np.float32)
            for name, shape in inputs.items()
            if name.startswith("past_key_values")
        }
        self._outputs = [item.name for item in decoder.get_outputs()]
        self._begun = False

    def step(self, tokens: Sequence[int], origins: Sequence[int] = (0,)) -> FloatArray:
        """See beam.Step."""
        ids = np.array(tokens, np.int64)[:, None]
        feed = {name: np.repeat(value, len(tokens), axis=0) for name, value in self._audio.items()}
        past = {name: self._of_rows(name, list(origins)) for name in self._past}
        # What it has seen of the audio stays; only the first step gives it.
        names = [name for name in self._outputs if ".encoder." not in name] if self._begun else self._outputs
        cached = {"use_cache_branch": np.array([self._begun])}
        logits, *present = self._decoder.run(names, {"input_ids": ids} | cached | feed | past)
        new = {
            name.replace("present", "past_key_values"): value for name, value in zip(names[1:], present, strict=True)
        }
        self._past, self._begun = past | new, True
        return np.asarray(logits[:, -1])

    def _of_rows(self, name: str, origins: list[int]) -> FloatArray:
        """What is remembered of the rows that go on; of the audio all remember the same."""
        past = self._past[name]
        if origins == list(range(len(past))):
            return past
        if ".encoder." in name:
            return past[: len(origins)] if len(origins) <= len(past) else np.repeat(past[:1], len(origins), axis=0)
        return past[origins]


class Moonshine:
    """The network. `text` may be called from any thread, by one at a time; it does not hold the GIL while it works."""

    def __init__(self, folder: Path) -> None:
        """Loads the files of `folder`, 44 MB, and runs the network once. Raises EngineError where a file is missing or
        is not the known one, and where the network does not run."""
        files = {name: _checked(folder / name, sha256) for name, sha256 in SHA256.items()}
        self._encoder = _session(files["encoder_model.ort"])
        self._decoder = _session(files["decoder_model_merged.ort"])
        self._pieces = _pieces(files["tokenizer.bin"])
        self.text(np.zeros(WIDE_RATE, np.float32))

    def text(self, audio: FloatArray) -> str:
        """What is said in mono audio at 16 kHz in -1..1, at most some 30 s of it; "" where that is nothing. Raises
        EngineError."""
        return self._joined(self._run(audio, self._likeliest_tokens))

    def alternatives(self, audio: FloatArray) -> list[Alternative]:
        """What may be said in it, the likeliest first. Takes some two and a half times as long as `text`. Raises
        EngineError."""
        found = self._run(audio, lambda decoding, most: likeliest(decoding.step, BEGIN, END, most=most, width=WIDTH))
        shares: dict[tuple[str, ...], float] = {}
        texts: dict[tuple[str, ...], str] = {}
        for score, tokens in found:
            text = self._joined(tokens)
            words = tuple(words_of(text))  # commas and capitals make no other transcript
            texts.setdefault(words, text)
            shares[words] = shares.get(words, 0.0) + math.exp(score)
        total = sum(shares.values())
        return [
            Alternative(texts[words], shares[words] / total)
            for words in sorted(shares, key=shares.__getitem__, reverse=True)
        ]

    def _run(self, audio: FloatArray, search: Callable[[Decoding, int], T]) -> T:
        """A search for the tokens of the audio, and how many of them there are at most."""
        most = int(TOKENS_A_SECOND * len(audio) / WIDE_RATE) + MORE_TOKENS
        audio = np.pad(audio, (0, SILENCE))
        mask = np.ones((1, len(audio)), np.int64)
        try:
            states = self._encoder.run(None, {"input_values": audio[None], "attention_mask": mask})[0]
            return search(Decoding(self._decoder, states, mask), most)
        except Exception as error:  # onnxruntime's own, of many kinds
            raise EngineError(f"Moonshine failed: {error}") from error

    def _likeliest_tokens(self, decoding: Decoding, most: int) -> list[int]:
        """The likeliest token after each, at most so many."""
        tokens = [BEGIN]
        for _ in range(most):
            token = int(decoding.step(tokens[-1:])[0].argmax())
            if token == END:
                break
            tokens.append(token)
            if loop := _loop(tokens):
                return tokens[1 : len(tokens) - loop]
        return tokens[1:]

    def _joined(self, tokens: list[int]) -> str:
        pieces = (self._pieces[token] if token < len(self._pieces) else b"" for token in tokens)
        text = b"".join(_BYTE.sub(lambda match: bytes([int(match[1], 16)]), piece) for piece in pieces)
        plain = _SPECIAL.sub("", text.decode("utf-8", "ignore").replace("▁", " ")).strip()
        return _SPELLED.sub(lambda match: SPELLINGS[match[0].lower()], plain)


def _loop(tokens: list[int]) -> int:
    """How many of the last tokens only repeat those before them; 0 while they are no loop."""
    for size in range(1, LONGEST_LOOP + 1):
        times = REPEATS_OF_SHORT if size <= SHORT else REPEATS
        if len(tokens) > size * times and tokens[-size * times :] == tokens[-size:] * times:
            return size * (times - 1)
    return 0


def _checked(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"Moonshine cannot be read: {path}: {error.strerror}; {INSTALL}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise EngineError(f"Moonshine is damaged, or another version: {path}; {INSTALL}")
    return content


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, such as on a processor that lacks what the network needs
        raise EngineError(f"onnxruntime cannot run Moonshine here: {error}") from error


def _pieces(tokenizer: bytes) -> list[bytes]:
    """The text of each token: its length, in one byte or two, and its bytes."""
    pieces, at = [], 0
    while at < len(tokenizer):
        size, at = tokenizer[at], at + 1
        if size >= 128:
            size, at = 128 * tokenizer[at] + size - 128, at + 1
        pieces.append(tokenizer[at : at + size])
        at += size
    return pieces
