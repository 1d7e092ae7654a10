"""Moonshine tiny-en: the words in an utterance's audio, by a neural network on onnxruntime.

Its three files come in the package moonshine-voice, of which nothing else is used, and are checked before they are
opened. The network writes one token after another, and on noise it may never stop: so the tokens are bounded by the
length of the audio, and a group of tokens repeated in a loop is kept once.
"""

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from agent.engine.base import FloatArray
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

_BYTE = re.compile(rb"<0x([0-9A-F]{2})>")
_SPECIAL = re.compile(r"<[^>]*>")
_SPELLED = re.compile(rf"\b({'|'.join(SPELLINGS)})\b", re.IGNORECASE)


def model_folder() -> Path:
    """Where the package's files are, found without importing it. Raises EngineError when it is not installed."""
    spec = find_spec("moonshine_voice")
    for folder in spec.submodule_search_locations or () if spec else ():
        return Path(folder) / "assets" / "tiny-en"
    raise EngineError(f"Moonshine is not installed: {INSTALL}")


class Moonshine:
    """The network. `text` may be called from any thread, by one at a time; it does not hold the GIL while it works."""

    def __init__(self, folder: Path) -> None:
        """Loads the files of `folder`, 44 MB, and runs the network once. Raises EngineError where a file is missing or
        is not the known one, and where the network does not run."""
        files = {name: _checked(folder / name, sha256) for name, sha256 in SHA256.items()}
        self._encoder = _session(files["encoder_model.ort"])
        self._decoder = _session(files["decoder_model_merged.ort"])
        self._pieces = _pieces(files["tokenizer.bin"])
        inputs = {item.name: item.shape for item in self._decoder.get_inputs()}
        self._past = {name: shape for name, shape in inputs.items() if name.startswith("past_key_values")}
        self._outputs = [item.name for item in self._decoder.get_outputs()]
        self._new_outputs = [name for name in self._outputs if ".encoder." not in name]
        self.text(np.zeros(WIDE_RATE, np.float32))

    def text(self, audio: FloatArray) -> str:
        """What is said in mono audio at 16 kHz in -1..1, at most some 30 s of it; "" where that is nothing. Raises
        EngineError."""
        most = int(TOKENS_A_SECOND * len(audio) / WIDE_RATE) + MORE_TOKENS
        audio = np.pad(audio, (0, SILENCE))
        mask = np.ones((1, len(audio)), np.int64)
        try:
            states = self._encoder.run(None, {"input_values": audio[None], "attention_mask": mask})[0]
            return self._joined(self._tokens(states, mask, most))
        except Exception as error:  # onnxruntime's own, of many kinds
            raise EngineError(f"Moonshine failed: {error}") from error

    def _tokens(self, states: Any, mask: Any, most: int) -> list[int]:
        """The likeliest token after each, at most so many. The mask is as long as the audio, not as the states."""
        feed = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
        past = {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in self._past.items()}
        tokens = [BEGIN]
        for number in range(most):
            step = {"input_ids": np.array([tokens[-1:]], np.int64), "use_cache_branch": np.array([number > 0])}
            # What it has seen of the audio stays; only the first step gives it.
            names = self._new_outputs if number else self._outputs
            logits, *present = self._decoder.run(names, feed | step | past)
            past |= {
                name.replace("present", "past_key_values"): new for name, new in zip(names[1:], present, strict=True)
            }
            token = int(logits[0, -1].argmax())
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
