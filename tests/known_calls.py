"""Constructed calls of which everything is known: real speech with pauses exact to the sample, judged by the real voice
detector, answered over a real playout, in virtual time. For tests of what is read from tapes."""

import heapq
import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import numpy as np

from agent import events as e
from agent.engine.base import Cue, Done, Word
from agent.engine.embedded.synthesizer import say
from agent.listening.vad import Vad
from agent.session import Session
from agent.tape.format import header
from agent.tape.recorder import Recorder
from audio import g711, resample
from config.settings import PlayoutSettings, Settings, TapeSettings, TurnSettings
from telephony.lines.playout import Mark, Playout

FRAME_MS, PER_MS = 20, 16  # of the line; bytes of PCM16
THINKING_MS = 60  # from a request to the first audio of its answer
WORD_MS = 300  # of each word of the agent
GREETING, ANSWER = "Hello there.", "Nine in the morning."
QUESTION_MS = 1500  # where the caller begins to speak
PAUSES_MS = (100, 300, 500, 700, 800)  # none within 100 ms of a silence that is tried: speech ends to some 60 ms
PHRASES = (
    ("I have a leaking pipe", "down in the kitchen"),
    ("can you tell me", "what it will cost"),
    ("I would like a table", "tomorrow at ten o'clock"),
    ("book an appointment", "Tuesday or Wednesday"),
)


@cache
def spoken(text: str) -> bytes:
    """A text as it comes over the line, from its first loud sample to its last, a whole number of milliseconds."""
    pcm = np.frombuffer(g711.decode(g711.encode(resample.to_line(*say(text)))), "<i2")
    loud = np.flatnonzero(np.abs(pcm) > 0.02 * np.abs(pcm).max())
    pcm = pcm[loud[0] : loud[-1]]
    return pcm[: len(pcm) // 8 * 8].tobytes()


@cache
def detector() -> Vad:
    """One for all calls, reset as by default."""
    return Vad()


class MadeCall:
    """One call: two phrases with a pause between, an answer, perhaps keys, a goodbye. Times are ms of media time."""

    def __init__(self, number: int, pause_ms: int, *, keys: str = "", dry_ms: int = 0, **turn: Any) -> None:
        """Whatever the agent says runs dry for `dry_ms` after its first word."""
        self.number, self.name = number, f"CA{number}"
        self.text = "I have a leaking pipe"
        self.dry_ms, self.keys_ms = dry_ms, [6000 + 200 * at for at in range(len(keys))]
        phrases = [spoken(text) for text in PHRASES[number % len(PHRASES)]]
        second_ms = QUESTION_MS + len(phrases[0]) // PER_MS + pause_ms
        self.speech = [(QUESTION_MS, second_ms - pause_ms), (second_ms, second_ms + len(phrases[1]) // PER_MS)]
        goodbye = spoken("goodbye now")
        self.speech.append((8000, 8000 + len(goodbye) // PER_MS))
        audio = np.random.default_rng(number).normal(0, 12, 11_000 * 8).astype("<i2")  # the line's noise
        for (begin, _), clip in zip(self.speech, [*phrases, goodbye], strict=True):
            audio[8 * begin : 8 * begin + len(clip) // 2] += np.frombuffer(clip, "<i2")
        self._audio = g711.decode(g711.encode(audio.tobytes()))
        self._keys = dict(zip(self.keys_ms, keys, strict=True))
        self.settings = Settings(turn=TurnSettings(adapt_reply=False, **turn), tape=TapeSettings(mode="full"))
        self._session, self._recorder = Session(self.name, "desk", self.settings), Recorder(words=True)
        self.playout = Playout(PlayoutSettings())
        self._coming: list[tuple[float, int, e.Event]] = []
        self._order = itertools.count()
        self._marks: list[Mark] = []
        self._lines: list[bytes] = []

    def tape(self) -> bytes:
        """Its tape, not compressed."""
        head = header(self.name, "desk", "2026-01-01T00:00:00Z", "0", self.settings)
        self._lines = [msgspec.json.encode(head) + b"\n"]
        vad = detector()
        stream = vad.open()
        self._do(None)
        for at in range(0, len(self._audio), FRAME_MS * PER_MS):
            frame = self._audio[at : at + FRAME_MS * PER_MS]
            self._do(e.CallerAudio(frame))
            if key := self._keys.get(round(self._session.now_ms)):
                self._do(e.Dtmf(key))
            stream.feed(frame)
            for _, value, at_ms in vad.run():
                self._do(e.SpeechProbability(value, at_ms))
            while self._coming and self._coming[0][0] <= self._session.now_ms:
                self._do(heapq.heappop(self._coming)[2])
            self._play()
        vad.close(stream)
        self._do(e.HungUp())
        self._note(end={"reason": "hung up", "outcome": "hangup", "underruns": self.playout.underruns})
        return b"".join(self._lines)

    def _note(self, **fields: Any) -> None:
        self._lines.append(self._recorder.note(self._session.now_ms, **fields))

    def _do(self, event: e.Event | None) -> None:
        commands = self._session.handle(event) if event else self._session.start()
        now = self._session.now_ms
        self._lines.append(self._recorder.step(now, event, commands, self._session.state))
        for command in commands:
            match command:
                case e.StartReply():
                    for offset, item in self._answer(command.reply, command.request.cue):
                        heapq.heappush(self._coming, (now + offset, next(self._order), item))
                case e.CancelReply():
                    self._coming = [item for item in self._coming if getattr(item[2], "reply", 0) != command.reply]
                    heapq.heapify(self._coming)
                case e.Play():
                    self.playout.add(command.reply, command.pcm, command.marks)
                case e.Pause():
                    fade, heard_ms = self.playout.pause(now)
                    self._marks.clear()
                    self._note(out="clear")
                    if fade:
                        self._note_audio(command.reply, round(8 * heard_ms), now, fade)
                    self._do(e.Paused(command.reply, heard_ms))
                case e.Resume():
                    self.playout.resume(now)
                case e.Drop():
                    self.playout.drop()

    def _answer(self, reply: int, cue: Cue) -> Iterator[tuple[float, e.Event]]:
        text = GREETING if cue is Cue.GREET else ANSWER
        if cue is Cue.ANSWER:
            yield THINKING_MS, e.CallerSaid(reply, self.text)
        yield THINKING_MS, e.ReplyText(reply, text)
        yield THINKING_MS, e.ReplyDone(reply, Done())
        late = 0
        for word in text.split():
            yield THINKING_MS + late, e.ReplyAudio(reply, bytes(PER_MS * WORD_MS), (Word(word, 0, WORD_MS - 10),))
            late = WORD_MS + self.dry_ms if self.dry_ms else 0
        yield THINKING_MS + late, e.ReplyEnded(reply)

    def _play(self) -> None:
        now = self._session.now_ms
        position, plays_ms = self.playout.next_at
        items = self.playout.take(now)
        if self.playout.dry_ms:
            self._note(out="underrun", ms=self.playout.dry_ms)
        for item in items:
            if isinstance(item, Mark):
                self._marks.append(item)
                self._note(out="mark", name=item.name)
                continue
            plays_ms = max(plays_ms, now)
            self._note_audio(self.playout.reply, position, plays_ms, item)
            position += len(item) // 2
            plays_ms += len(item) / PER_MS
        while self._marks and self._marks[0].due_ms <= now:
            mark = self._marks.pop(0)
            self._note(**{"in": "mark", "name": mark.name})
            if heard := self.playout.returned(mark.name, now):
                self._do(e.Played(*heard))

    def _note_audio(self, reply: int, position: int, plays_ms: float, pcm: bytes) -> None:
        self._note(out="media", reply=reply, position=position, plays_at=plays_ms, ulaw=g711.encode(pcm))


def made_calls(**turn: Any) -> list[MadeCall]:
    """Twenty of them: each pause four times; every fifth caller presses keys later on."""
    pauses = [pause for pause in PAUSES_MS for _ in PHRASES]
    return [MadeCall(number, pause, keys="" if number % 5 else "12#", **turn) for number, pause in enumerate(pauses)]
