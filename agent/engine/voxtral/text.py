"""Turns tokens into text: whole characters only, no special tokens, markers and tool calls interpreted."""

import codecs
import json
import logging
from collections.abc import Iterator
from typing import Any

from mistral_common.tokens.tokenizers.instruct import InstructTokenizerV7
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from agent.engine.base import Backchannel, Incomplete, Text, ToolCall
from agent.engine.prompt import BACKCHANNEL, INCOMPLETE
from agent.exceptions import EngineError

log = logging.getLogger(__name__)

Marker = Incomplete | Backchannel
# A model may write three dots for the one character it was told.
MARKERS: dict[str, Marker] = {
    INCOMPLETE: Incomplete(),
    "...": Incomplete(),
    BACKCHANNEL: Backchannel(),
}
MAX_CALLS = 8  # of one reply


class Vocabulary:
    """The meaning of each token."""

    def __init__(self, tokenizer: InstructTokenizerV7) -> None:
        assert isinstance(tokenizer.tokenizer, Tekkenizer)
        self._tekken = tokenizer.tokenizer
        self.end = self._tekken.eos_id
        self.calls = tokenizer.TOOL_CALLS
        self._parts = {name: self._special(name) for name in ("[ARGS]", "[CALL_ID]")}

    def bytes(self, token: int) -> bytes:
        """Its part of the text in UTF-8, perhaps in the middle of a character; nothing for a special token."""
        special = token < self._tekken.num_special_tokens
        return b"" if special else self._tekken.id_to_byte_piece(token)

    def part(self, token: int) -> str:
        """The name of a special token that stands between the parts of a tool call, else nothing."""
        return next((name for name, number in self._parts.items() if number == token), "")

    def beginning_markers(self) -> list[int]:
        """All tokens with which a marker may begin, blanks before it included."""
        markers = [marker.encode() for marker in MARKERS]
        return [
            token
            for token in range(self._tekken.num_special_tokens, self._tekken.n_words)
            if (piece := self.bytes(token).lstrip())
            and any(piece.startswith(marker) or marker.startswith(piece) for marker in markers)
        ]

    def _special(self, name: str) -> int | None:
        return self._tekken.get_special_token(name) if self._tekken.is_special(name) else None


class ReplyReader:
    """Reads one reply, token by token. With `markers`, it may begin with one."""

    def __init__(self, vocabulary: Vocabulary, *, markers: bool) -> None:
        self._vocabulary = vocabulary
        self._markers = markers
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""  # blanks, and what may turn out a marker
        self._calls: list[list[bytes]] = []  # for each, the parts between special tokens
        self.said = False  # whether there was any text other than blanks

    def add(self, token: int) -> Iterator[Text | Marker]:
        """What one more token yields, if anything. After a marker nothing else matters."""
        if token == self._vocabulary.calls:
            self._calls.append([b""])
        elif self._calls:
            if part := self._vocabulary.part(token):
                self._calls[-1] += [part.encode(), b""]
            self._calls[-1][-1] += self._vocabulary.bytes(token)
        else:
            yield from self._text(self._characters.decode(self._vocabulary.bytes(token)))

    def end(self) -> Iterator[Text | Marker]:
        """What is left at the end of the reply."""
        self._markers = False
        yield from self._text(self._characters.decode(b"", final=True))

    def calls(self) -> list[ToolCall]:
        """The tools it wants. Malformed calls are logged and left out; EngineError when nothing else was said."""
        calls: list[ToolCall] = []
        for parts in self._calls:
            try:
                calls += parse_calls([part.decode("utf-8", "replace") for part in parts])
            except (ValueError, RecursionError) as error:
                log.warning("a malformed tool call: %s", error)
        if self._calls and not calls and not self.said:
            raise EngineError("the model wanted a tool, but did not say which")
        return calls[:MAX_CALLS]

    def _text(self, text: str) -> Iterator[Text | Marker]:
        self._held += text
        begun = self._held.lstrip()
        if not begun and not self.said:
            return
        if self._markers and not self.said:
            for marker, event in MARKERS.items():
                if begun.startswith(marker):
                    yield event
                    return
                if marker.startswith(begun):
                    return
        if self._held:
            self.said = True
            yield Text(self._held)
            self._held = ""


def parse_calls(parts: list[str]) -> list[ToolCall]:
    """Tool calls from what follows [TOOL_CALLS]: a JSON list in one part, as up to tokenizer v7, or the name, perhaps
    [CALL_ID] and an id, [ARGS] and the arguments as JSON, as since v11. ValueError when it is neither."""
    if len(parts) > 1:
        if parts[-2] != "[ARGS]":
            raise ValueError(f"no arguments in {parts}")
        return [_call({"name": parts[0].strip(), "arguments": json.loads(parts[-1])})]
    calls = json.loads(parts[0])
    return [_call(call) for call in (calls if isinstance(calls, list) else [calls])]


def _call(call: Any) -> ToolCall:
    name = call.get("name") if isinstance(call, dict) else None
    arguments = call.get("arguments", {}) if isinstance(call, dict) else None
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        raise ValueError(f"not a name with arguments: {call!r}")
    return ToolCall(name, arguments)
