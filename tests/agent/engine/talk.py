"""A call over the real session and voice detector, in media time, with an engine whose own time does not count: after
each frame the call waits for what the engine makes of it."""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import config
from agent import events as e
from agent.conversation import Conversation
from agent.engine.base import Engine, FloatArray
from agent.engine.embedded.synthesizer import say
from agent.listening.vad import Vad
from agent.records import Records
from agent.state import State
from agent.tools import Tools
from audio import g711, resample, wav
from audio.rate import BYTES_PER_MS, RATE
from config.agent import load_agents
from config.engine import SimulatedSettings
from config.logging import Log
from config.settings import Settings
from telephony.simulator.clip import make_noise
from telephony.simulator.script import NoiseSource
from telephony.simulator.voices import FOLDER, path_of

AGENTS = load_agents(Path(config.__file__).parent / "agents")
FRAME_MS = 20
FRAME = FRAME_MS * BYTES_PER_MS
PEOPLE = Path(__file__).parents[2] / "recordings"
# A greeting of 18 s, without a delay.
TALKS = SimulatedSettings(first_word_ms=0, word_ms=0, words=60, first_audio_ms=0, delivery_speed=10_000)
HAS_COME = e.ReplyAudio | e.ReplyEnded | e.ReplyFailed


class TalkOver:
    """Its agent greets, and the caller talks over it. `commands` are what the session did, with their media time."""

    def __init__(self, engine: Engine, tmp_path: Path) -> None:
        self.commands: list[tuple[float, e.Command]] = []
        self._vad = Vad()
        self._stream = self._vad.open()
        self._news = asyncio.Event()
        self._asked: set[int] = set()  # replies of which nothing has come yet
        self._blocks: Counter[int] = Counter()  # of each utterance, that the recognizer has not answered yet
        self._playing = 0
        self._made: Counter[int] = Counter()  # ms of each reply
        self._heard: Counter[int] = Counter()  # ms of it
        self._has_recognizer = engine.recognizer is not None
        self.conversation = Conversation(
            "CA1",
            AGENTS["front_desk"],
            engine,
            Settings(),
            on_command=self._take,
            log=Log(logging.getLogger("test"), {}),
            tools=Tools({}, Records(tmp_path)),
            record=self._note,
        )

    async def over(self, sound: FloatArray) -> bool:
        """The caller makes a sound (mono float32 at 8 kHz) over the greeting, which has gone on for 2 s. Gives whether
        that has ended it."""
        self.conversation.start()
        await self._settled()
        await self._hear(np.zeros(2 * RATE, np.float32))
        await self._hear(np.concatenate([sound, np.zeros(2 * RATE, np.float32)]))
        await self.conversation.close()
        self._vad.close(self._stream)
        return bool(self.times(e.Interrupted))

    def times(self, kind: type[e.Command]) -> list[float]:
        """When there was such a command, in ms of media time."""
        return [at for at, command in self.commands if isinstance(command, kind)]

    def asked(self) -> list[e.StartReply]:
        """What the model was asked after the greeting."""
        return [command for _, command in self.commands if isinstance(command, e.StartReply)][1:]

    async def _hear(self, audio: FloatArray) -> None:
        pcm = g711.decode(g711.encode(resample.to_pcm16(np.pad(audio, (0, -len(audio) % (RATE // 50))))))
        for at in range(0, len(pcm), FRAME):
            self.conversation.handle(e.CallerAudio(pcm[at : at + FRAME]))
            self._stream.feed(pcm[at : at + FRAME])
            for _, probability, at_ms in self._vad.run():
                self.conversation.handle(e.SpeechProbability(probability, at_ms))
            if self._playing and self.conversation.session.state is State.SPEAKING:
                self._heard[self._playing] = min(self._heard[self._playing] + FRAME_MS, self._made[self._playing])
                self.conversation.handle(e.Played(self._playing, float(self._heard[self._playing])))
            await self._settled()

    async def _settled(self) -> None:
        async with asyncio.timeout(60):
            while self._asked or self._blocks.total():
                self._news.clear()
                await self._news.wait()

    def _note(self, _: float, event: e.Event | None, commands: list[e.Command], __: State, private: bool) -> None:
        if isinstance(event, e.Partial) and self._blocks[event.utterance]:
            self._blocks[event.utterance] -= 1
        if isinstance(event, HAS_COME):
            self._asked.discard(event.reply)
        for command in commands:
            self.commands.append((self.conversation.session.now_ms, command))
            match command:
                case e.StartReply():
                    self._asked.add(command.reply)
                case e.CancelReply():
                    self._asked.discard(command.reply)
                case e.Hear() if self._has_recognizer:
                    self._blocks[command.utterance] += 1
                case e.ForgetUtterance():
                    del self._blocks[command.utterance]
        self._news.set()

    def _take(self, command: Any) -> None:
        match command:
            case e.Play():
                self._playing = command.reply
                self._made[command.reply] += len(command.pcm) // BYTES_PER_MS
            case e.Pause():
                self.conversation.handle(e.Paused(command.reply, float(self._heard[command.reply])))


def spoken(text: str, voice: str) -> FloatArray:
    """A recording of a natural voice, at the level of a caller."""
    audio, rate = soundfile.read(path_of(text, voice, FOLDER), dtype="float32")
    return _levelled(audio, rate)


def person(name: str) -> FloatArray:
    """The same of a real one."""
    return _levelled(*wav.read(PEOPLE / f"{name}.wav"))


def hummed(text: str, pace: float = 1.0) -> FloatArray:
    """No recorded voice has sounds like "uh huh": espeak-ng's."""
    return _levelled(*say(text, "en-us", pace))


def cough(ms: int) -> FloatArray:
    """It is no words, and as loud."""
    return _levelled(make_noise(NoiseSource(kind="cough", ms=ms), say), RATE)


def _levelled(audio: FloatArray, rate: int) -> FloatArray:
    sound = resample.resample(audio, rate, RATE)
    loud = sound[np.abs(sound) > 0.03 * np.abs(sound).max()]
    return sound * np.float32(0.1 / np.sqrt(np.mean(loud**2)))
