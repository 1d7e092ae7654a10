"""What the tests of a session drive it with: a line and an engine in virtual time."""

import audioop
import itertools
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
import numpy as np

from agent import events as e
from agent.engine.base import Done, Meaning, Word
from agent.session import Session
from agent.state import State
from agent.tape.format import Header, header
from agent.tape.recorder import Recorder
from audio.rate import WINDOW_MS
from config.settings import Settings, TapeSettings, TurnSettings

FRAME = b"\0" * 320  # 20 ms
HAS_AUDIO = e.CallerAudio | e.ReplyAudio
WORD_MS = 300  # of every word of an answer, 10 ms of them silent
# Everything that adapts is off: the plain rules. What is on by default is in test_turn_taking.py.
PLAIN = {"adapt_question": False, "adapt_pauses": False, "adapt_words": False, "adapt_reply": False}
PLAIN |= {"adapt_loudness": False}
PLAIN |= {"eager_attempts": 0, "resume": False}


@cache
def frame(db: float) -> bytes:
    """20 ms at this level (dBFS, RMS), as they come over a telephone line."""
    value = round(32768 * 10 ** (db / 20))
    wave = b"".join(sign.to_bytes(2, "little", signed=True) for sign in (value, -value)) * 80
    return audioop.ulaw2lin(audioop.lin2ulaw(wave, 2), 2)


class Call:
    """Drives a session as a line and an engine would; keeps every command it gave, and every step for a tape."""

    def __init__(self, options: dict[str, Any] | None = None, *, keys: str = "", **turn: Any) -> None:
        options = PLAIN if options is None else options
        self.keys = keys  # pressed before the greeting
        self.settings = Settings(turn=TurnSettings(**(options | turn)), tape=TapeSettings(mode="full"))
        self.session = Session("CA1", "desk", self.settings, {"person": "+15550100"}, keys)
        self.commands: list[e.Command] = []
        self.steps: list[tuple[float, e.Event | None, list[e.Command], State]] = []
        self.heard_ms = 0.0
        self._windows = 0
        self._do(None, self.session.start())

    def _do(self, event: e.Event | None, commands: list[e.Command]) -> None:
        self.steps.append((self.session.now_ms, event, commands, self.session.state))
        self._take(commands)

    def _take(self, commands: list[e.Command]) -> None:
        for command in commands:
            self.commands.append(command)
            if isinstance(command, e.Pause):
                self.send(e.Paused(command.reply, self.heard_ms))

    def send(self, *events: e.Event) -> list[e.Command]:
        """Events, one after another; gives what they led to."""
        before = len(self.commands)
        for event in events:
            if isinstance(event, e.Played):
                self.heard_ms = event.ms
            self._do(event, self.session.handle(event))
        return self.commands[before:]

    def time(self, ms: float, speech: bool = False, db: float | None = None) -> list[e.Command]:
        """Let `ms` of the caller's audio come in, all speech or all silence; gives what it led to."""
        before = len(self.commands)
        for _ in range(int(ms / 20)):
            self.send(e.CallerAudio(FRAME if db is None else frame(db)))
            while (self._windows + 1) * WINDOW_MS <= self.session.now_ms:
                self._windows += 1
                self.send(e.SpeechProbability(0.95 if speech else 0.02, self._windows * WINDOW_MS))
        return self.commands[before:]

    def say(self, ms: float, db: float = -20) -> list[e.Command]:
        """The caller speaks."""
        return self.time(ms, speech=True, db=db)

    def until(self, kind: type[e.Command], ms: float = 3000) -> list[e.Command]:
        """Silence until there is such a command, at most `ms`; gives the commands of the event that brought it."""
        end = self.session.now_ms + ms
        while self.session.now_ms < end:
            self.time(20)
            found = [step[2] for step in self.steps[-4:] if any(isinstance(command, kind) for command in step[2])]
            if found:
                return found[-1]
        raise AssertionError(f"no {kind.__name__} within {ms} ms")

    def speak(self, ms: float = 600) -> None:
        """The caller says something and falls silent until the turn is decided."""
        self.time(ms, speech=True)
        self.time(500)

    def answer(
        self,
        text: str = "Hello there.",
        heard: str | None = None,
        done: Done | None = None,
        meaning: Meaning | None = None,
    ) -> int:
        """The engine answers the last request with one word a 300 ms; gives the reply's number."""
        reply: int = max(start.reply for start in self.all(e.StartReply))  # a round of tools may be asked for later
        if heard is not None:
            self.send(e.CallerSaid(reply, heard, meaning))
        self.heard_ms = 0.0
        words = text.split()
        self.send(e.ReplyText(reply, text))
        self.send(e.ReplyDone(reply, done or Done()))
        for word in words:
            self.send(self.audio(reply, word))
        self.send(e.ReplyEnded(reply))
        return reply

    @staticmethod
    def audio(reply: int, word: str) -> e.ReplyAudio:
        """One word, spoken."""
        return e.ReplyAudio(reply, bytes(16 * WORD_MS), (Word(word, 0, WORD_MS - 10),))

    def play_out(self) -> None:
        """The carrier plays all there is."""
        play = self.last(e.Play)
        self.send(e.Played(play.reply, play.marks[-1]))

    def greet(self) -> None:
        self.answer("Welcome.")
        self.play_out()

    def all(self, kind: type[e.Command]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    def last(self, kind: type[e.Command]) -> Any:
        found = self.all(kind)
        assert found, f"no {kind.__name__} among {names(self.commands)}"
        return found[-1]

    @property
    def history(self) -> list[tuple[str, str]]:
        return [(turn.role, turn.text) for turn in self.session.memory.history.turns()]

    def header(self) -> Header:
        """The first line of its tape."""
        started = "2026-11-21T10:00:00.000+00:00"
        return header("CA1", "desk", started, "0.1.0", self.settings, transfers={"person": "+15550100"}, keys=self.keys)

    def tape(self, *, words: bool = True) -> list[bytes]:
        """The lines of its tape after the first."""
        recorder = Recorder(words=words)
        return [recorder.step(*step, clock_ms=float(clock)) for step, clock in zip(self.steps, itertools.count())]


class WideBand(Call):
    """On a line that brings 16 kHz besides: each sample twice."""

    def send(self, *events: e.Event) -> list[e.Command]:
        """See Call."""
        return super().send(*map(_at_both_rates, events))


def _at_both_rates(event: e.Event) -> e.Event:
    return msgspec.structs.replace(event, wide=widened(event.pcm)) if isinstance(event, HAS_AUDIO) else event


def widened(pcm: bytes) -> bytes:
    """Each sample twice."""
    return np.repeat(np.frombuffer(pcm, "<i2"), 2).tobytes()


def names(commands: Iterable[e.Command]) -> list[str]:
    return [type(command).__name__ for command in commands]
