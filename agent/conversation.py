"""The shell of one session: carries out the commands to the engine and passes the others on to the line."""

from collections.abc import Callable

from agent import events as e
from agent.engine.base import Engine
from agent.session import Session
from agent.speaking.generation import Generation
from agent.state import State
from agent.tools import Tools
from config.agent import AgentSettings
from config.logging import Log
from config.parties import NOBODY, Parties
from config.settings import Settings

Record = Callable[[float, e.Event | None, list[e.Command], State, bool], None]

BUFFER_CHANGES = {e.Played, e.ReplyAudio, e.Paused, e.Held, e.Retrieved}


class Conversation:
    """One call's conversation. `on_command` is given every command that is not for the engine, in order; `record` every
    event with the time, the commands and the state that followed, and whether all that is private."""

    def __init__(
        self,
        call: str,
        agent: AgentSettings,
        engine: Engine,
        settings: Settings,
        *,
        on_command: Callable[[e.Command], None],
        log: Log,
        tools: Tools,
        record: Record | None = None,
        on_engine: Callable[[e.Event | e.Command], None] | None = None,
        keys: str = "",
        parties: Parties = NOBODY,
        started_s: float = 0.0,
        known_as: str = "",
    ) -> None:
        """`on_engine` is told what the engine is asked for and what it gives; `keys` are pressed before the greeting;
        `parties` are who calls whom; `started_s` is now, in Unix time; `known_as` is the engine's name for the agent,
        if that is another than its own."""
        self.session = Session(call, agent.name, settings, agent.transfers, keys, parties=parties, started_s=started_s)
        self._buffer_ms = settings.playout.buffer_ms
        self._on_command = on_command
        self._record = record
        self._on_engine = on_engine
        self._generation = Generation(
            call,
            agent,
            engine,
            tools,
            settings.reply,
            recognition=settings.recognition,
            emit=self._from_engine,
            log=log,
            known_as=known_as,
        )

    def start(self, *, wide: bool = False) -> None:
        """Greet the caller; `wide` is whether the line is wide-band."""
        self._generation.wide = wide
        commands = self.session.start()
        if self._record:
            self._record(self.session.now_ms, None, commands, self.session.state, False)
        self._do(commands)

    def handle(self, event: e.Event) -> None:
        """Take one event and do all that follows from it."""
        private = self._record is not None and self.session.is_private(event)
        commands = self.session.handle(event)
        if self._record:
            self._record(self.session.now_ms, event, commands, self.session.state, private)
        if commands:  # most frames have none
            self._do(commands)
        if commands or type(event) in BUFFER_CHANGES:
            self._pace()

    def _from_engine(self, event: e.Event) -> None:
        if self._on_engine:
            self._on_engine(event)
        self.handle(event)

    async def close(self) -> None:
        """The line is gone; ends the engine's work on this call."""
        self.handle(e.HungUp())
        await self._generation.close()

    def _do(self, commands: list[e.Command]) -> None:
        for command in commands:
            match command:
                case e.Hear():
                    self._generation.hear(command)
                case e.ForgetUtterance():
                    self._generation.forget(command.utterance)
                case e.Transcribe():
                    self._generation.transcribe(command.utterance)
                case e.StartReply():
                    if self._on_engine:
                        self._on_engine(command)
                    self._generation.start(command)
                case e.SpeakText():
                    self._generation.say(command)
                case e.CancelReply():
                    self._generation.cancel(command.reply)
                case e.RunTools():
                    self._generation.run_tools(command)
                case _:
                    self._on_command(command)

    def _pace(self) -> None:
        """Let the engine make more audio only while little of it is waiting to be heard and no hold is on."""
        if self.session.state is not State.HOLD and self.session.unheard_ms < self._buffer_ms:
            self._generation.room.set()
        else:
            self._generation.room.clear()
