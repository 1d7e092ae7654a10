"""A call whose audio is real: every frame goes through G.711 and the voice detector, in virtual time."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from agent import events as e
from agent.engine.base import Done, Meaning
from agent.listening.vad import Vad
from audio import g711
from tests.agent.phone import Call

FRAME = 320  # bytes, 20 ms
WORD_BYTES = 16 * 600  # of an utterance, in which a recognizer finds a word


class RealCall(Call):
    """See Call; `hear` takes the place of `time`. The agent has greeted, or talks on and on."""

    def __init__(self, *, talking: bool = False, **turn: Any) -> None:
        super().__init__({}, **turn)
        self._vad = Vad(self.settings.turn.vad_reset_ms)
        self._stream = self._vad.open()
        self._heard: Counter[int] = Counter()  # bytes of each utterance
        self.answer(" ".join(["word"] * (400 if talking else 1)))
        if not talking:
            self.play_out()

    def hear(self, *sounds: np.ndarray[Any, Any]) -> list[e.Command]:
        """Audio, float at 8 kHz, as a telephone line brings it; gives what it led to. Every question about the caller's
        speech over the agent is answered with what the grammar would hear in music: a word."""
        before = len(self.commands)
        for frame in _frames(np.concatenate(sounds)):
            self._stream.feed(frame)
            for command in self.send(e.CallerAudio(frame)):
                self._answer(command)
            for _, probability, at_ms in self._vad.run():
                for command in self.send(e.SpeechProbability(probability, at_ms)):
                    self._answer(command)
        return self.commands[before:]

    def _answer(self, command: e.Command) -> None:
        if isinstance(command, e.Hear):
            self._heard[command.utterance] += len(command.pcm)
            if self._heard[command.utterance] >= WORD_BYTES:
                self.send(e.Partial(command.utterance, "two", meaning=Meaning.TURN))
        elif isinstance(command, e.StartReply) and command.request.early:
            self.send(e.ReplyText(command.reply, "Two."), e.ReplyDone(command.reply, Done()))


def _frames(audio: np.ndarray[Any, Any]) -> Iterable[bytes]:
    pcm = (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()
    pcm = g711.decode(g711.encode(pcm))
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        yield pcm[at : at + FRAME]
