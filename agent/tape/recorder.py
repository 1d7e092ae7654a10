"""Writes a call's tape, line by line. Sans-I/O."""

from typing import Any

import msgspec

from agent import events as e
from agent.state import State
from agent.tape.format import describe_command, describe_event, mu_law, without_words


class Recorder:
    """Makes the line for each step; in `metadata` mode without audio and words."""

    def __init__(self, *, words: bool) -> None:
        self._words = words
        self._state = State.IDLE
        self._encode = msgspec.json.Encoder(order="deterministic").encode

    def step(
        self,
        at_ms: float,
        event: e.Event | None,
        commands: list[e.Command],
        state: State,
        clock_ms: float = 0.0,
        *,
        private: bool = False,
    ) -> bytes:
        """The line for one event; `clock_ms` is a steady clock's time since the call began. Of one that is `private` it
        has neither audio nor words."""
        changed = state is not self._state
        self._state = state
        words = self._words and not private
        if not commands and not changed and type(event) is e.CallerAudio and words:  # 50 times a second
            return b'{"at":%r,"event":{"type":"CallerAudio","ulaw":"%s"}}\n' % (at_ms, mu_law(event.pcm))
        line: dict[str, Any] = {"at": at_ms, "event": describe_event(event)}
        if commands:
            line["clock"] = clock_ms
            line["commands"] = [describe_command(command) for command in commands]
        if not words:
            line = without_words(line)
        if changed:
            line["state"] = state.value
        return self._encode(line) + b"\n"

    def note(self, at_ms: float, *, private: bool = False, **fields: Any) -> bytes:
        """A line that is not a step: the wire, or the end."""
        if private or not self._words:
            fields.pop("ulaw", None)
        return self._encode({"at": at_ms, **fields}) + b"\n"
