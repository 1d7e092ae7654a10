"""One call without a line, in the time of its audio: a session with the real voice detector and a real recognizer.

Whatever the engine takes is a fixed time here, so that thousands of turns can be judged on any machine, each the same
in every run. A reply is 20 s of silence with a word in every 300 ms.
"""

import msgspec

from agent import events as e
from agent.engine.base import Cue, Done, Expect, Recognizer, SpeechBlock, Word
from agent.listening.vad import Vad
from agent.session import Session
from agent.state import State
from audio.rate import BYTES_PER_MS
from config.settings import Settings

FRAME_MS = 20
HEARD_MS, SPOKEN_MS = 100, 60  # until a transcript is there, and from it to the first word of a reply
WORD_MS, WORDS, SHORT = 300, 66, 3  # of a reply; of the greeting


class VirtualCall:
    """Give it the caller's audio; `commands` are what the session did, each with its media time in ms. The replies ask
    for an answer of the kind `expect`."""

    def __init__(
        self,
        name: str,
        agent: str,
        recognizer: Recognizer,
        vad: Vad,
        settings: Settings,
        *,
        expect: Expect = Expect.OPEN,
    ) -> None:
        self.session = Session(name, agent, settings)
        self.commands: list[tuple[float, e.Command]] = []
        self._name, self._agent, self._expect = name, agent, expect
        self._recognizer = recognizer
        self._vad, self._stream = vad, vad.open()
        self._due: list[tuple[float, e.Event]] = []
        self._marks: list[tuple[int, float]] = []
        self._position: dict[int, float] = {}  # ms of each reply that were played
        self._playing = 0

    async def start(self) -> None:
        """The greeting begins."""
        await self._take(self.session.start())

    def close(self) -> None:
        """Give the detector's place back."""
        self._vad.close(self._stream)

    async def hear(self, pcm: bytes) -> None:
        """Take the caller's audio, PCM16 at 8 kHz, whole frames of 20 ms."""
        size = FRAME_MS * BYTES_PER_MS
        for at in range(0, len(pcm), size):
            await self._send(e.CallerAudio(pcm[at : at + size]))
            self._stream.feed(pcm[at : at + size])
            for stream, probability, at_ms in self._vad.run():
                if stream is self._stream:
                    await self._send(e.SpeechProbability(probability, at_ms))
            await self._play()
            while self._due and self._due[0][0] <= self.session.now_ms:
                await self._send(self._due.pop(0)[1])

    def times(self, kind: type[e.Command]) -> list[float]:
        """When there was such a command."""
        return [at for at, command in self.commands if isinstance(command, kind)]

    async def _play(self) -> None:
        """20 ms more of the reply are heard, and the marks in them."""
        if not self._playing:
            return
        position = self._position[self._playing] = self._position.get(self._playing, 0.0) + FRAME_MS
        passed = [mark for mark in self._marks if mark[0] == self._playing and mark[1] <= position]
        for mark in passed:
            self._marks.remove(mark)
            await self._send(e.Played(*mark))

    async def _send(self, event: e.Event) -> None:
        if self.session.state is not State.ENDED:
            await self._take(self.session.handle(event))

    async def _take(self, commands: list[e.Command]) -> None:
        for command in commands:
            self.commands.append((self.session.now_ms, command))
            await self._carry_out(command)

    async def _carry_out(self, command: e.Command) -> None:
        match command:
            case e.Hear():
                await self._listen(command)
            case e.StartReply():
                await self._answer(command)
            case e.ForgetUtterance():
                self._recognizer.cancel(self._utterance(command.utterance))
            case e.Play():
                self._playing = command.reply
                self._marks += [(command.reply, mark) for mark in command.marks]
            case e.Pause():
                self._playing = 0
                await self._send(e.Paused(command.reply, self._position.get(command.reply, 0.0)))
            case e.Resume():
                self._playing = command.reply
            case e.Drop() | e.CancelReply() if command.reply == self._playing:
                self._playing = 0

    async def _listen(self, hear: e.Hear) -> None:
        utterance = self._utterance(hear.utterance)
        block = SpeechBlock(utterance, self._name, self._agent, hear.pcm, hear.expect, hear.over)
        block = msgspec.structs.replace(block, expect_digits=hear.expect_digits)
        found = await self._recognizer.hear(block)
        self._later(HEARD_MS, e.Partial(hear.utterance, found.text, found.meaning, found.complete))

    async def _answer(self, start: e.StartReply) -> None:
        if start.utterance is not None:
            found = await self._recognizer.finish(self._utterance(start.utterance))
            self._later(HEARD_MS, e.CallerSaid(start.reply, found.text, found.meaning, found.complete, found.may_go_on))
        words = SHORT if start.request.cue is Cue.GREET else WORDS
        audio = bytes(WORD_MS * BYTES_PER_MS)
        said: list[e.Event] = [
            e.ReplyText(start.reply, "word " * words),
            e.ReplyDone(start.reply, Done(expect=self._expect)),
        ]
        said += [e.ReplyAudio(start.reply, audio, (Word("word", 0, WORD_MS - 10),)) for _ in range(words)]
        self._later(HEARD_MS + SPOKEN_MS, *said, e.ReplyEnded(start.reply))

    def _later(self, ms: float, *events: e.Event) -> None:
        self._due += [(self.session.now_ms + ms, event) for event in events]
        self._due.sort(key=lambda item: item[0])  # stable: what belongs together stays in order

    def _utterance(self, number: int) -> str:
        return f"{self._name}/u{number}"
