"""The tasks of one call that talk with its engine; their results go back to the session as events."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import aclosing

import msgspec

from agent import events as e
from agent.engine.base import (
    Backchannel,
    Done,
    Engine,
    FloatArray,
    Incomplete,
    Meaning,
    OwnTranscript,
    Recognizer,
    ReplyRequest,
    SpeakRequest,
    SpeechBlock,
    Text,
    ToolCall,
    Transcript,
)
from agent.exceptions import EngineError
from agent.speaking.synthesis import Synthesis
from agent.tools import Tools
from audio.resample import to_both, to_line
from config.agent import AgentSettings
from config.logging import Log
from config.settings import ReplySettings
from config.streaming import RecognitionSettings

MAX_WAITING_BLOCKS = 256  # of 200 ms; speech the recognizer has not yet taken
CLOSE_S = 5.0  # that a closing call waits for what it has cancelled, in addition to running tools


class Generation:
    """Runs the engine for one call. `emit` gives events to the session."""

    def __init__(
        self,
        call: str,
        agent: AgentSettings,
        engine: Engine,
        tools: Tools,
        settings: ReplySettings,
        *,
        recognition: RecognitionSettings,
        emit: Callable[[e.Event], None],
        log: Log,
        known_as: str = "",
    ) -> None:
        """`known_as` is the engine's name for the agent, if that is another than its own."""
        self.room = asyncio.Event()  # set while the line wants more audio
        self.room.set()
        self.wide = False  # whether the line is wide-band: its audio is at 16 kHz as well
        self._call = call
        self._agent = agent
        self._known_as = known_as or agent.name
        self._engine = engine
        self._tools = tools
        self._settings = settings
        self._recognition = recognition
        self._emit = emit
        self._log = log
        # Speech for the recognizer, and between it whoever waits until all before was taken.
        self._blocks: asyncio.Queue[tuple[int, SpeechBlock] | asyncio.Event] = asyncio.Queue(MAX_WAITING_BLOCKS)
        self._held: deque[tuple[int, SpeechBlock]] = deque()  # the same, where an utterance is heard when it is over
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: dict[int, asyncio.Task[None]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._last = 0  # utterance that the recognizer was given something of

    def hear(self, command: e.Hear) -> None:
        """Give the recognizer more of an utterance; without one this does nothing."""
        if self._engine.recognizer is None:
            return
        if self._listening is None:
            self._listening = self._spawn(self._listen(), "listen")
        self._last = command.utterance
        block = SpeechBlock(
            self._utterance_id(command.utterance),
            self._call,
            self._known_as,
            command.pcm,
            command.expect,
            command.over,
            command.wide,
            command.expect_digits,
        )
        try:
            if self._recognition.streaming:
                self._blocks.put_nowait((command.utterance, block))
            elif len(self._held) < MAX_WAITING_BLOCKS:
                self._held.append((command.utterance, block))
            else:
                raise asyncio.QueueFull
        except asyncio.QueueFull:
            self._log.warning("the recognizer is too slow: speech dropped", extra={"bytes": len(command.pcm)})

    def forget(self, utterance: int) -> None:
        """The utterance was not one, or is heard again under another number."""
        if self._engine.recognizer is None:
            return
        self._held = deque(item for item in self._held if item[0] != utterance)
        waiting = [self._blocks.get_nowait() for _ in range(self._blocks.qsize())]
        for item in waiting:
            if isinstance(item, asyncio.Event) or item[0] != utterance:
                self._blocks.put_nowait(item)
        self._engine.recognizer.cancel(self._utterance_id(utterance))

    def start(self, command: e.StartReply) -> None:
        """Begin a reply, or a further round of one."""
        self._replies[command.reply] = self._spawn(self._reply(command), f"reply {command.request.id}")

    def say(self, command: e.SpeakText) -> None:
        """Begin a reply whose words are known."""
        self._replies[command.reply] = self._spawn(self._reply(command), f"say {self._call}/{command.reply}")

    def transcribe(self, utterance: int) -> None:
        """A turn of the caller is over: have it transcribed in the background, where the engine can."""
        if self._engine.recognizer is not None:
            self._spawn(self._transcribe(utterance), f"transcribe {utterance}")

    def cancel(self, reply: int) -> None:
        """Stop a reply; nothing of it comes any more."""
        if task := self._replies.pop(reply, None):
            task.cancel()

    def run_tools(self, command: e.RunTools) -> None:
        """Run tools; they finish even if the reply that asked for them is cancelled."""
        self._spawn(self._run_tools(command), f"tools {command.reply}")

    async def close(self) -> None:
        """End everything, waiting for tools that have begun. What does not end is logged and left behind."""
        for task in self._tasks:
            if not task.get_name().startswith("tools"):
                task.cancel()
        if self._tasks:
            _, hanging = await asyncio.wait(self._tasks, timeout=self._tools.longest_s + CLOSE_S)
            if hanging:
                names = ", ".join(sorted(task.get_name() for task in hanging))
                self._log.error("the engine does not let go of the call", extra={"tasks": names})
        if self._last:
            self.forget(self._last)  # it may never have ended

    def _spawn(self, coroutine: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _utterance_id(self, utterance: int) -> str:
        return f"{self._call}/u{utterance}"

    async def _listen(self) -> None:
        recognizer = self._engine.recognizer
        assert recognizer is not None
        while True:
            item = await self._blocks.get()
            if isinstance(item, asyncio.Event):
                item.set()
                continue
            utterance, block = item
            try:
                transcript = await recognizer.hear(block)
                if self._recognition.partials:
                    self._emit(e.Partial(utterance, transcript.text, transcript.meaning, transcript.complete))
            except Exception as error:  # noqa: BLE001 (an engine may raise anything, and costs one block only)
                self._warn("the recognizer failed", error)

    async def _reply(self, command: e.StartReply | e.SpeakText) -> None:
        reply, spoken = command.reply, self._spoken(command)
        timeout = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout) as deadline:
                request = await self._understand(command) if isinstance(command, e.StartReply) else command
                async with asyncio.TaskGroup() as group:
                    synthesis = Synthesis(spoken, self._engine.synthesizer, self._settings, group)
                    if isinstance(request, e.SpeakText):
                        group.create_task(self._dictate(request, synthesis))
                    else:
                        group.create_task(self._think(reply, request, synthesis))
                    await self._deliver(reply, synthesis, deadline)
            self._replies.pop(reply, None)
            self._emit(e.ReplyEnded(reply))
        except asyncio.CancelledError as error:
            self._engine.model.cancel(spoken.id)
            error.__traceback__ = None  # its frames hold the task, which holds the error: a cycle for each interruption
        except Exception as error:  # noqa: BLE001 (an engine may raise anything, and costs one reply only)
            self._fail(reply, spoken.id, error)

    def _spoken(self, command: e.StartReply | e.SpeakText) -> SpeakRequest:
        """How it is spoken; its id is the model's request's, where a model is asked."""
        agent = self._agent
        if isinstance(command, e.StartReply):
            return SpeakRequest(command.request.id, "", agent.voice, agent.speed, agent.language)
        voice, language = command.voice or agent.voice, command.language or agent.language
        return SpeakRequest(f"{self._call}/{command.reply}.0", "", voice, agent.speed, language)

    def _fail(self, reply: int, name: str, error: Exception) -> None:
        self._engine.model.cancel(name)
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, TimeoutError):
            cause = EngineError(f"nothing came from the engine for {self._settings.timeout_s} s")
        self._log.error("reply failed: %s", cause, exc_info=None if isinstance(cause, EngineError) else cause)
        self._replies.pop(reply, None)
        self._emit(e.ReplyFailed(reply, str(cause)))

    def _request(self, command: e.StartReply) -> ReplyRequest:
        """As the engine is asked: by its own name for the agent."""
        if command.request.agent == self._known_as:
            return command.request
        return msgspec.structs.replace(command.request, agent=self._known_as)

    async def _understand(self, command: e.StartReply) -> ReplyRequest:
        request = self._request(command)
        if self._engine.recognizer is None or command.utterance is None or self._engine.transcribes_in_background:
            return request
        transcript = await self._finish(self._engine.recognizer, command.utterance)
        found = transcript
        self._emit(e.CallerSaid(command.reply, found.text, found.meaning, found.complete, found.may_go_on))
        return msgspec.structs.replace(request, transcript=transcript.text)

    async def _transcribe(self, utterance: int) -> None:
        if self._engine.recognizer is None:
            return
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                transcript = await self._finish(self._engine.recognizer, utterance)
            self._emit(e.Transcribed(utterance, transcript.text))
        except Exception as error:  # noqa: BLE001 (an engine may raise anything, and costs one transcript only)
            self._warn("no transcript", error)

    async def _finish(self, recognizer: Recognizer, utterance: int) -> Transcript:
        """The final transcript, once the recognizer has taken all that was said until now."""
        name = self._utterance_id(utterance)
        try:
            while self._held and self._held[0][0] <= utterance:
                await self._blocks.put(self._held.popleft())
            if self._listening:
                taken = asyncio.Event()
                await self._blocks.put(taken)
                await taken.wait()
            return await recognizer.finish(name)
        except BaseException:
            recognizer.cancel(name)
            raise

    async def _think(self, reply: int, request: ReplyRequest, synthesis: Synthesis) -> None:
        """The model's events to the session, and its words to speech as they come."""
        calls: list[ToolCall] = []
        done = Done()
        async with aclosing(self._engine.model.reply(request)) as events:
            async for event in events:
                match event:
                    case Text():
                        self._emit(e.ReplyText(reply, event.text))
                        await synthesis.add(event.text)
                    case ToolCall():
                        calls.append(event)
                    case Incomplete():
                        self._emit(e.ReplyUnfinished(reply))
                    case Backchannel():
                        self._emit(e.CallerSaid(reply, "", Meaning.BACKCHANNEL))
                    case OwnTranscript():
                        self._emit(e.CallerSaid(reply, event.text))
                    case Done():
                        done = event
        self._emit(e.ReplyDone(reply, done, tuple(calls)))
        await synthesis.finish()

    async def _dictate(self, command: e.SpeakText, synthesis: Synthesis) -> None:
        """The words of a person to speech."""
        self._emit(e.ReplyText(command.reply, command.text))
        self._emit(e.ReplyDone(command.reply, Done(interruptible=command.interruptible)))
        await synthesis.add(command.text)
        await synthesis.finish()

    async def _deliver(self, reply: int, synthesis: Synthesis, deadline: asyncio.Timeout) -> None:
        """The reply's audio, no more than the line has room for."""
        loop = asyncio.get_running_loop()
        async with aclosing(synthesis.audio()) as pieces:
            async for piece in pieces:
                deadline.reschedule(None)  # the caller's ear may take its time
                await self.room.wait()
                deadline.reschedule(loop.time() + self._settings.timeout_s)
                pcm, wide = self._line_audio(piece.audio, piece.rate)
                self._emit(e.ReplyAudio(reply, pcm, piece.words, wide))

    def _line_audio(self, audio: FloatArray, rate: int) -> tuple[bytes, bytes]:
        return to_both(audio, rate) if self.wide else (to_line(audio, rate), b"")

    async def _run_tools(self, command: e.RunTools) -> None:
        results = await asyncio.gather(*(self._tools.run(self._call, call) for call in command.calls))
        self._emit(e.ToolsFinished(command.reply, tuple(results)))

    def _warn(self, what: str, error: Exception) -> None:
        expected = isinstance(error, EngineError | TimeoutError)
        reason = str(error) or f"nothing came from the engine for {self._settings.timeout_s} s"
        self._log.warning("%s: %s", what, reason, exc_info=None if expected else error)
