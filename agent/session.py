"""One conversation: events in, commands out. Sans-I/O: no await, no clock, no task; its time is the audio received.

idle ──reply──▶ processing ──audio──▶ speaking ──speech──▶ interrupted
                 ▲      │ speech, finished   │ finished          │ cleared
                 │reply ▼                    ▼                   │
                 └── listening ◀─────────────┴───────────────────┘        every state ──end──▶ ended
"""

from collections.abc import Callable
from typing import Any

from agent import events as e
from agent.engine.base import Cue, Done, Expect, Next, ReplyRequest, ToolResult, Turn
from agent.exceptions import IllegalEvent
from agent.history import Heard, History
from agent.state import TRANSITIONS, State, Trigger
from agent.timers import Timer, Timers
from agent.turn import Change, TurnDetector
from agent.utterance import BYTES_PER_MS, Utterance
from config.settings import Settings

MAX_DIGITS = 64
MAX_ROUNDS = 5  # times the tools of one reply may lead to more tools
MAX_FAILURES = 2  # replies in a row that fail until the call is given up
LAST_WORDS = frozenset({Cue.FAREWELL, Cue.SHUTDOWN})  # replies after which the call ends, whatever the model says

Commands = list[e.Command]


class Reply:
    """One spoken answer: one request to the model, and one more for each round of tools."""

    def __init__(self, number: int, cue: Cue) -> None:
        self.number = number
        self.cue = cue
        self.heard = Heard()
        self.text = ""
        self.transcript = ""
        self.done = Done()
        self.rounds = 0
        self.generating = False
        self.running_tools = False

    @property
    def over(self) -> bool:
        """Whether everything it will say has been made and heard."""
        return not self.generating and not self.running_tools and self.heard.complete

    @property
    def interruptible(self) -> bool:
        """A goodbye is heard to its end."""
        return self.cue not in LAST_WORDS and self.done.next is Next.LISTEN


class Session:
    """The conversation of one call. `handle` takes every event, in order, and says what is to be done."""

    def __init__(self, call: str, agent: str, settings: Settings, transfers: dict[str, str] | None = None) -> None:
        self.state = State.IDLE
        self.now_ms = 0.0
        self.history = History(settings.reply.max_history_turns)
        self.partial = ""  # the recognizer's present guess
        self.expect = Expect.OPEN
        self._call = call
        self._agent = agent
        self._settings = settings.turn
        self._transfers = transfers or {}
        self._turn = TurnDetector(settings.turn)
        self._utterance = Utterance(settings.turn.preroll_ms, settings.turn.max_utterance_ms)
        self._speech_ms = 0  # speech in the present turn
        self._digits = ""
        self._reply: Reply | None = None
        self._replies = 0
        self._model_state: dict[str, Any] = {}
        self._results: tuple[ToolResult, ...] = ()  # of tools that ran, not yet told to the caller
        self._cut = False  # the caller interrupted the last reply
        self._closing: Cue | None = None
        self._reprompts = 0
        self._failures = 0
        self._timers = Timers()
        self._timers.set(Timer.CALL, 1000 * settings.call.max_s)
        self._handlers: dict[type[e.Event], Callable[[Any], Commands]] = {
            e.CallerAudio: self._on_audio,
            e.SpeechProbability: self._on_probability,
            e.Dtmf: self._on_dtmf,
            e.Played: self._on_played,
            e.Cleared: self._on_cleared,
            e.HungUp: self._on_hung_up,
            e.Partial: self._on_partial,
            e.CallerSaid: self._on_caller_said,
            e.ReplyText: self._on_text,
            e.ReplyAudio: self._on_reply_audio,
            e.ReplyDone: self._on_done,
            e.ReplyEnded: self._on_ended,
            e.ReplyFailed: self._on_failed,
            e.ToolsFinished: self._on_tools,
            e.Shutdown: self._on_shutdown,
        }

    @property
    def unheard_ms(self) -> float:
        """Audio of the present reply that was made and not yet heard."""
        return self._reply.heard.audio_ms - self._reply.heard.heard_ms if self._reply else 0.0

    def start(self) -> Commands:
        """The call has begun: greet."""
        if self.state is not State.IDLE:
            raise IllegalEvent(f"start in state {self.state}")
        return self._start_reply(Cue.GREET)

    def handle(self, event: e.Event) -> Commands:
        """Take one event. After the end every event is ignored, since engines and carriers lag behind."""
        if self.state is State.ENDED:
            return []
        if self.state is State.INTERRUPTED and not isinstance(event, e.Cleared | e.HungUp):
            raise IllegalEvent(f"{type(event).__name__} before Cleared")
        return self._handlers[type(event)](event)

    # The line

    def _on_audio(self, event: e.CallerAudio) -> Commands:
        self.now_ms += len(event.pcm) / BYTES_PER_MS
        utterance = self._utterance
        utterance.add(event.pcm)
        commands = self._due() if self.now_ms >= self._timers.next_ms else []
        if utterance.open and (block := utterance.block()):
            commands.append(e.Hear(utterance.number, block, self.expect))
        return commands

    def _on_probability(self, event: e.SpeechProbability) -> Commands:
        change = self._turn.update(event.value, event.at_ms)
        if change is Change.NONE:
            return []
        return self._speech_started(event.at_ms) if change is Change.STARTED else self._speech_ended()

    def _speech_started(self, at_ms: int) -> Commands:
        if self.state is State.SPEAKING:
            return self._barge_in(at_ms, self._turn.started_ms)
        self._timers.unset(Timer.SILENCE)
        commands = self._throw_away()
        self._begin_utterance()
        return commands

    def _speech_ended(self) -> Commands:
        if self.state is not State.LISTENING or not self._utterance.open:
            return []
        self._speech_ms += self._turn.speech_ms
        self._timers.unset(Timer.TURN)
        if self._speech_ms >= self._settings.min_speech_ms or self._digits:
            return self._start_reply(Cue.ANSWER)
        return self._forget_noise()

    def _forget_noise(self) -> Commands:
        """What was heard was no speech: drop it, and say again what it cut off."""
        commands: Commands = [e.ForgetUtterance(self._utterance.number)]
        self._end_turn()
        if self._cut:
            return commands + self._start_reply(Cue.REPROMPT)
        self._timers.set(Timer.SILENCE, self.now_ms + self._settings.reprompt_ms)
        return commands

    def _on_dtmf(self, event: e.Dtmf) -> Commands:
        commands: Commands = []
        if self.state is State.SPEAKING:
            if not (self._reply and self._reply.interruptible):
                return []
            # The line answers `Clear` before anything else, and the digit waits here meanwhile.
            commands = self._barge_in(round(self.now_ms), round(self.now_ms), speech=False)
        else:
            commands = self._throw_away()
        self._timers.unset(Timer.SILENCE)
        if event.digit != "#":
            self._digits = (self._digits + event.digit)[:MAX_DIGITS]
        talking = self._turn.speaking and self._utterance.open
        if event.digit == "#" and self.state is State.LISTENING and not talking:
            return commands + self._start_reply(Cue.ANSWER if self._digits else Cue.REPROMPT)
        self._timers.set(Timer.DIGITS, self.now_ms + (0 if event.digit == "#" else self._settings.dtmf_timeout_ms))
        return commands

    def _barge_in(self, at_ms: int, onset_ms: int, *, speech: bool = True) -> Commands:
        """The caller talks over a reply: silence at once, then the line says what was heard."""
        reply = self._reply
        assert reply is not None
        if not reply.interruptible:
            return []
        self._move(Trigger.SPEECH)
        if speech:
            self._begin_utterance()
        return [
            e.Clear(reply.number),
            e.CancelReply(reply.number),
            e.Interrupted(reply.number, at_ms, onset_ms, reply.heard.text()),
        ]

    def _on_cleared(self, event: e.Cleared) -> Commands:
        reply = self._reply
        if self.state is not State.INTERRUPTED or reply is None or event.reply != reply.number:
            raise IllegalEvent(f"Cleared({event.reply}) in state {self.state}")
        reply.heard.played(event.ms)
        self._move(Trigger.CLEARED)
        return self._drop_interrupted(reply)

    def _drop_interrupted(self, reply: Reply) -> Commands:
        self._reply = None
        self._cut = True
        if text := reply.heard.text():
            self._results = ()
            return [self._say("agent", text, interrupted=True)]
        return []

    def _on_played(self, event: e.Played) -> Commands:
        reply = self._reply
        if reply is None or event.reply != reply.number:
            return []
        reply.heard.played(event.ms)
        return self._finish_if_over()

    def _on_hung_up(self, _: e.HungUp) -> Commands:
        reply = self._reply
        commands: Commands = []
        if reply:
            commands += [e.CancelReply(reply.number)]
            if self.state in (State.SPEAKING, State.INTERRUPTED):
                commands += self._drop_interrupted(reply)
        if self._utterance.open:
            commands += [e.ForgetUtterance(self._utterance.number)]
        self._move(Trigger.END)
        return commands

    # The engine

    def _on_partial(self, event: e.Partial) -> Commands:
        if event.utterance == self._utterance.number and self._utterance.open:
            self.partial = event.text
        return []

    def _current(self, number: int) -> Reply | None:
        """The reply an engine's event belongs to, unless it was cancelled meanwhile."""
        reply = self._reply
        return reply if reply and reply.number == number and self.state is not State.LISTENING else None

    def _on_caller_said(self, event: e.CallerSaid) -> Commands:
        if reply := self._current(event.reply):
            reply.transcript = event.text
        return []

    def _on_text(self, event: e.ReplyText) -> Commands:
        if reply := self._current(event.reply):
            reply.text += event.text
        return []

    def _on_reply_audio(self, event: e.ReplyAudio) -> Commands:
        reply = self._current(event.reply)
        if reply is None or not event.pcm:
            return []
        commands: Commands = []
        if self.state is State.PROCESSING:
            self._move(Trigger.AUDIO)
            commands = self._commit(reply)
        marks = reply.heard.add(len(event.pcm) / BYTES_PER_MS, event.words)
        return [*commands, e.Play(reply.number, event.pcm, marks)]

    def _on_done(self, event: e.ReplyDone) -> Commands:
        reply = self._current(event.reply)
        if reply is None:
            return []
        reply.done = event.done
        if event.calls and reply.rounds < MAX_ROUNDS:
            # Tools have effects, so from here on the turn counts, whatever the caller does.
            reply.running_tools = True
            return [*self._commit(reply), e.RunTools(reply.number, event.calls)]
        if self.state is State.SPEAKING:
            self._keep(event.done)
        return []

    def _on_tools(self, event: e.ToolsFinished) -> Commands:
        self._results += event.results
        reply = self._current(event.reply)
        if reply is None:
            return []
        reply.running_tools = False
        reply.rounds += 1
        return [self._ask(reply, Cue.TOOL)]

    def _on_ended(self, event: e.ReplyEnded) -> Commands:
        reply = self._current(event.reply)
        if reply is None:
            return []
        reply.generating = False
        marks = reply.heard.rest()
        commands: Commands = [e.Play(reply.number, b"", marks)] if marks else []
        return commands + self._finish_if_over()

    def _on_failed(self, event: e.ReplyFailed) -> Commands:
        reply = self._current(event.reply)
        if reply is None:
            return []
        self._failures += 1
        reply.generating = reply.running_tools = False
        if self.state is State.SPEAKING:
            return self._on_ended(e.ReplyEnded(event.reply))
        self._reply = None
        self._move(Trigger.FINISHED)
        if self._failures >= MAX_FAILURES:
            return self._end(e.HangUp(failed=True))
        if self._utterance.open:
            self._utterance.begin()  # the recognizer is to hear it again
        return self._start_reply(reply.cue)

    # Replies

    def _start_reply(self, cue: Cue) -> Commands:
        """Ask for a reply to the caller's turn (Cue.ANSWER), or for another reason."""
        if self._closing and cue not in LAST_WORDS:
            cue = self._closing
        for timer in (Timer.SILENCE, Timer.DIGITS, Timer.TURN):
            self._timers.unset(timer)
        self._move(Trigger.REPLY)
        self._replies += 1
        reply = self._reply = Reply(self._replies, cue)
        commands: Commands = []
        if block := self._utterance.block(rest=True):
            commands.append(e.Hear(self._utterance.number, block, self.expect))
        decided = e.TurnDecided(reply.number, cue, self.now_ms, self._turn.last_speech_ms)
        return [*commands, decided, self._ask(reply, cue)]

    def _ask(self, reply: Reply, cue: Cue) -> e.StartReply:
        reply.generating = True
        utterance = self._utterance if self._utterance.open and cue is Cue.ANSWER else None
        request = ReplyRequest(
            id=f"{self._call}/{reply.number}.{reply.rounds}",
            call=self._call,
            agent=self._agent,
            cue=cue,
            audio=utterance.audio() if utterance else b"",
            digits=self._digits if cue is Cue.ANSWER else "",
            history=self.history.turns(),
            state=self._model_state,
            tool_results=self._results,
        )
        return e.StartReply(reply.number, request, utterance.number if utterance else None)

    def _throw_away(self) -> Commands:
        """The caller goes on before a reply was heard: forget it; its turn grows."""
        reply = self._reply
        if self.state is not State.PROCESSING or reply is None:
            return []
        self._reply = None
        self._move(Trigger.SPEECH)
        if not reply.interruptible:
            self._closing = self._closing or Cue.FAREWELL
        return [e.CancelReply(reply.number)]

    def _commit(self, reply: Reply) -> Commands:
        """A reply is for real: the caller's turn goes into the history, and the model's state counts."""
        commands: Commands = []
        if reply.cue is Cue.ANSWER and reply.rounds == 0:
            self._cut = False
            self._reprompts = 0
            if text := " ".join(filter(None, (reply.transcript, self._digits))):
                commands.append(self._say("caller", text))
            self._end_turn()
        self._keep(reply.done)
        return commands

    def _keep(self, done: Done) -> None:
        if done.state:
            self._model_state = done.state
        self.expect = done.expect

    def _finish_if_over(self) -> Commands:
        reply = self._reply
        if reply is None or not reply.over:
            return []
        commands = self._commit(reply) if self.state is State.PROCESSING else []
        if reply.text and self.state is State.SPEAKING:
            commands.append(self._say("agent", reply.text.strip()))
            self._results = ()
            self._failures = 0
        self._reply = None
        silent = self.state is State.PROCESSING
        self._move(Trigger.FINISHED)
        if reply.cue in LAST_WORDS or reply.done.next is Next.HANG_UP:
            return commands + self._end(e.HangUp())
        if reply.done.next is Next.TRANSFER:
            return commands + self._end(e.Transfer(self._transfers.get(reply.done.transfer_to, "")))
        if self._closing or (silent and self._cut and reply.cue is Cue.ANSWER):
            return commands + self._start_reply(self._closing or Cue.REPROMPT)
        return commands + self._listen()

    def _listen(self) -> Commands:
        if self._turn.speaking:  # the caller spoke through the end of a reply that could not be interrupted
            self._begin_utterance()
        elif not self._digits:
            self._timers.set(Timer.SILENCE, self.now_ms + self._settings.reprompt_ms)
        return []

    def _begin_utterance(self) -> None:
        if not self._utterance.open:
            self._speech_ms = 0
            self._timers.set(Timer.TURN, self.now_ms + self._settings.max_utterance_ms)
        self._utterance.begin()
        self.partial = ""

    def _end_turn(self) -> None:
        self._utterance.close()
        self._digits = ""
        self._speech_ms = 0

    def _say(self, role: str, text: str, *, interrupted: bool = False) -> e.Said:
        self.history.add(Turn(role, text, interrupted))
        return e.Said(role, text, interrupted, self.now_ms)

    # Time

    def _due(self) -> Commands:
        commands: Commands = []
        for timer in self._timers.due(self.now_ms):
            commands += self._on_timer(timer)
        return commands

    def _on_timer(self, timer: Timer) -> Commands:
        if timer is Timer.CALL:
            return self._close(Cue.FAREWELL)
        if self.state is not State.LISTENING:
            return []
        if timer is Timer.SILENCE:
            self._reprompts += 1
            return self._start_reply(Cue.REPROMPT if self._reprompts <= self._settings.max_reprompts else Cue.FAREWELL)
        if timer is Timer.DIGITS and self._turn.speaking and self._utterance.open:
            return []  # the end of the speech will take the digits with it
        if timer is Timer.DIGITS and not self._digits:
            return self._start_reply(Cue.REPROMPT)  # a lone # cut the agent off
        return self._start_reply(Cue.ANSWER)

    def _on_shutdown(self, _: e.Shutdown) -> Commands:
        return self._close(Cue.SHUTDOWN)

    def _close(self, cue: Cue) -> Commands:
        """End the call with a last word, after what is being said now."""
        self._closing = cue
        commands: Commands = []
        if self.state is State.PROCESSING and self._reply and self._reply.cue not in LAST_WORDS:
            commands = self._throw_away()
        if self.state is State.LISTENING:
            if self._utterance.open:
                commands.append(e.ForgetUtterance(self._utterance.number))
                self._end_turn()
            commands += self._start_reply(cue)
        return commands

    def _move(self, trigger: Trigger) -> None:
        target = TRANSITIONS.get((self.state, trigger))
        if target is None:
            raise IllegalEvent(f"{trigger} in state {self.state}")
        self.state = target

    def _end(self, command: e.Command) -> Commands:
        self._move(Trigger.END)
        return [command]
