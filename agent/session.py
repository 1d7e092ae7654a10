"""One conversation: events in, commands out. Sans-I/O: no await, no clock, no task; its time is the audio received.

idle ──reply──▶ processing ──audio──▶ speaking ──speech──▶ interrupted (paused, until it is clear what the speech is)
                 ▲      │ speech, finished   │ ▲                │  │ cut
                 │reply ▼           finished │ └────resume──────┘  │
                 └── listening ◀─────────────┴─────────────────────┘      every state ──end──▶ ended
                         │ transfer
                         ▼
                     connecting (nobody listens to the caller) ──reply, when nobody was reached──▶ processing

While the caller has only paused, a reply is made early and held: it is played when the turn is decided, or thrown away
without a trace when the caller goes on.

Keys are the end of a reply: they are pressed once its last word has been heard. From the moment the model asks for them
no speech pauses it, as with a goodbye, so that they go out exactly once. A reply that was paused before and is cut off,
or that is thrown away, has pressed nothing, and the history tells the model so.
"""

from collections.abc import Callable
from typing import Any

from agent import events as e
from agent.burst import Burst
from agent.caller import Caller
from agent.engine.base import TRANSFER, Cue, Next, ToolCall, ToolResult
from agent.exceptions import IllegalEvent
from agent.history import Heard
from agent.interruption import Verdict, meaning_of
from agent.memory import Memory
from agent.spoken import LAST_WORDS, Reply
from agent.state import TRANSITIONS, State, Trigger
from agent.timers import Timer, Timers
from agent.turn import Change
from agent.utterance import BYTES_PER_MS
from config.settings import Settings

MAX_ROUNDS = 5  # times the tools of one reply may lead to more tools
MAX_FAILURES = 2  # replies in a row that fail until the call is given up

Commands = list[e.Command]


class Session:
    """The conversation of one call. `handle` takes every event, in order, and says what is to be done."""

    def __init__(
        self, call: str, agent: str, settings: Settings, transfers: dict[str, str] | None = None, keys: str = ""
    ) -> None:
        """`keys` are pressed before the greeting, such as an extension."""
        self.state = State.IDLE
        self.now_ms = 0.0
        self.memory = Memory(call, agent, settings.reply.max_history_turns)
        self.wasted = 0  # early replies thrown away
        self._settings = settings.turn
        self._transfers = transfers or {}
        self._keys = keys
        self._caller = Caller(settings.turn)
        self._reply: Reply | None = None  # being made, spoken or paused
        self._held: Reply | None = None  # made early
        self._replies = 0
        self._pausing = False  # `Pause` was given, and its answer comes next
        self._burst: Burst | None = None  # what has paused the reply
        self._wary = False  # something in the background has paused this reply before
        self._cut = False  # the caller interrupted the last reply
        self._closing: Cue | None = None
        self._connecting_to = ""  # whom the caller was to be put through to last
        self._reprompts = 0
        self._failures = 0
        self._timers = Timers()
        self._timers.set(Timer.CALL, 1000 * settings.call.max_s)
        self._handlers: dict[type[e.Event], Callable[[Any], Commands]] = {
            e.CallerAudio: self._on_audio,
            e.SpeechProbability: self._on_probability,
            e.Dtmf: self._on_dtmf,
            e.Played: self._on_played,
            e.Paused: self._on_paused,
            e.TransferFailed: self._on_transfer_failed,
            e.HungUp: self._on_hung_up,
            e.Partial: self._on_partial,
            e.CallerSaid: self._on_caller_said,
            e.Transcribed: lambda event: self.memory.transcribed(event.utterance, event.text, self.now_ms),
            e.ReplyText: self._on_text,
            e.ReplyUnfinished: self._on_unfinished,
            e.ReplyAudio: self._on_reply_audio,
            e.ReplyDone: self._on_done,
            e.ReplyEnded: self._on_ended,
            e.ReplyFailed: self._on_failed,
            e.ToolsFinished: self._on_tools,
            e.Shutdown: self._on_shutdown,
        }

    @property
    def unheard_ms(self) -> float:
        """Audio that was made and not yet heard."""
        return sum(reply.unheard_ms for reply in (self._reply, self._held) if reply)

    @property
    def utterance(self) -> int:
        """The number of the caller's present or last piece of speech."""
        return self._caller.utterance.number

    def start(self) -> Commands:
        """The call has begun: greet."""
        if self.state is not State.IDLE:
            raise IllegalEvent(f"start in state {self.state}")
        if not self._keys:
            return self._start_reply(Cue.GREET)
        self._move(Trigger.REPLY)
        self._reply = Reply(self._next_number(), Cue.GREET)  # one without words
        self._reply.keys.append(self._keys)
        return self._finish_if_over()

    def handle(self, event: e.Event) -> Commands:
        """Take one event. After the end every event is ignored, since engines and carriers lag behind."""
        if self.state is State.ENDED:
            return []
        if self._pausing and not isinstance(event, e.Paused | e.HungUp):
            raise IllegalEvent(f"{type(event).__name__} before Paused")
        return self._handlers[type(event)](event)

    # The caller's voice

    def _on_audio(self, event: e.CallerAudio) -> Commands:
        self.now_ms += len(event.pcm) / BYTES_PER_MS
        self._caller.hear(event.pcm, event.wide)
        commands = self._due() if self.now_ms >= self._timers.next_ms else []
        if self._caller.utterance.open and (block := self._caller.utterance.block()):
            commands.append(self._hear(*block))
        if self.state is State.LISTENING and self._caller.pausing:
            commands += self._silence()
        return commands

    def _hear(self, pcm: bytes, wide: bytes) -> e.Hear:
        return e.Hear(self._caller.utterance.number, pcm, self.memory.expect, self._caller.over, wide)

    def _on_probability(self, event: e.SpeechProbability) -> Commands:
        detector = self._caller.detector
        change = detector.update(event.value, event.at_ms, over=self.state is State.SPEAKING)
        if not detector.speaking:
            return []
        if change is Change.STARTED or not self._caller.utterance.open:
            return self._speech_without_turn(change)
        if change is Change.RESUMED:
            return self._speech_goes_on()
        if self.state is State.INTERRUPTED:
            return self._judge()
        if self.state is State.LISTENING:
            return self._silence() if self._caller.pausing else []
        return self._let_pass()  # a turn that was too long for its answer to wait

    def _speech_without_turn(self, change: Change) -> Commands:
        """Speech begins, or one goes on that was not taken for a turn."""
        detector = self._caller.detector
        if self.state is State.SPEAKING and self._reply and self._reply.interruptible:
            loud = detector.silence_ms == 0 and self._caller.near_now()
            if loud if self._wary else change is not Change.NONE:
                return self._pause(detector.started_ms if change is Change.STARTED else self.now_ms)
            return self._let_pass()
        if self.state in (State.LISTENING, State.PROCESSING) and change is not Change.NONE:
            self._timers.unset(Timer.SILENCE)
            if self.state is State.PROCESSING and self._caller.utterance.open:
                self._caller.went_on_late()
            commands = self._throw_away()
            self._begin_turn()
            return commands
        return self._let_pass()

    def _let_pass(self) -> Commands:
        if self._caller.detector.silence_ms >= self._settings.endpoint_ms:
            self._caller.detector.end()
        return []

    def _speech_goes_on(self) -> Commands:
        """After a pause: what was held is of no use any more."""
        if self.state is State.LISTENING:
            self._caller.paused_and_went_on()
        return self._drop_held()

    def _silence(self) -> Commands:
        """The caller's turn is open, and he is silent."""
        caller, held = self._caller, self._held
        silence_ms = self.now_ms - caller.speech_end_ms
        if caller.turn_speech_ms < self._settings.min_speech_ms and not caller.digits:
            return self._forget_noise() if silence_ms >= self._settings.endpoint_ms else []
        answered = None if held is None else False if held.unfinished else bool(held.text) or None
        if caller.is_over(silence_ms, caller.wait_ms(self.memory.expect, answered=answered)):
            return self._decide()
        if held is None and silence_ms >= self._settings.eager_ms and not self._closing:
            return self._hold(silence_ms)
        return []

    def _hold(self, silence_ms: float) -> Commands:
        """Make a reply early."""
        caller = self._caller
        if (
            caller.attempts >= self._settings.eager_attempts
            or caller.digits
            or silence_ms >= self._settings.endpoint_ms
        ):
            return []
        caller.attempts += 1
        return self._ask_early()

    def _ask_early(self) -> Commands:
        self._held = Reply(self._next_number(), Cue.ANSWER, held=True)
        return [*self._rest_of_turn(), self._ask(self._held)]

    def _drop_held(self) -> Commands:
        """What was made early is not wanted; the recognizer hears the turn again if it goes on."""
        held, self._held = self._held, None
        if held is None:
            return []
        self.wasted += 1
        commands: Commands = [e.CancelReply(held.number), e.ForgetUtterance(self._caller.utterance.number)]
        if self._caller.utterance.open:
            self._caller.listen_again()
        return commands

    def _decide(self) -> Commands:
        """The caller's turn is over."""
        held = self._held
        self._caller.decided()
        self._caller.level.learn()
        if held is None or held.unfinished:
            return self._drop_held() + self._start_reply(Cue.ANSWER)
        self._held = None
        commands = self._take_turn(held)
        held.held = False
        if held.calls:
            commands += self._run_tools(held, held.calls)
        waiting, held.waiting = held.waiting, []
        for piece in waiting:
            commands += self._speak(held, piece)
        if not held.generating:
            commands += self._all_made(held)
        return commands

    def _forget_noise(self) -> Commands:
        """What was heard was no speech: drop it, and say again what it cut off."""
        commands = self._drop_held()
        commands.append(e.ForgetUtterance(self._caller.utterance.number))
        self._caller.detector.end()
        self._caller.end()
        if self._cut:
            return commands + self._start_reply(Cue.REPROMPT)
        self._timers.set(Timer.SILENCE, self.now_ms + self._settings.reprompt_ms)
        return commands

    def _on_dtmf(self, event: e.Dtmf) -> Commands:
        if self.state is State.CONNECTING:
            return []
        commands: Commands = []
        answering = self.state is State.PROCESSING and self._reply and self._reply.cue is Cue.ANSWER
        if event.digit == "#" and answering and not self._caller.digits:
            return []  # it ends what was said, which is being answered
        if self.state is State.SPEAKING:
            if not (self._reply and self._reply.interruptible):
                return []
            commands = self._pause(self.now_ms, speech=False)
        elif self.state is State.INTERRUPTED:
            commands = self._interrupt()
        else:
            commands = self._throw_away()
        commands += self._drop_held()
        self._timers.unset(Timer.SILENCE)
        if event.digit != "#":
            self._caller.dial(event.digit)
        if event.digit == "#" and self.state is State.LISTENING and not self._caller.talking:
            return commands + self._start_reply(Cue.ANSWER if self._caller.digits else Cue.REPROMPT)
        self._timers.set(Timer.DIGITS, self.now_ms + (0 if event.digit == "#" else self._settings.dtmf_timeout_ms))
        return commands

    # Talking over the agent

    def _pause(self, onset_ms: float, *, speech: bool = True) -> Commands:
        """Silence at once; the line then says what was heard."""
        reply = self._reply
        assert reply is not None
        self._move(Trigger.SPEECH)
        self._pausing = True
        self._burst = Burst(self._caller, onset_ms, certain=not speech or not self._settings.resume)
        if speech:
            self._begin_turn(over=True)
        return [e.Pause(reply.number, self.now_ms, onset_ms)]

    def _on_paused(self, event: e.Paused) -> Commands:
        reply = self._reply
        if not self._pausing or self._burst is None or reply is None or event.reply != reply.number:
            raise IllegalEvent(f"Paused({event.reply}) in state {self.state}")
        self._pausing = False
        reply.heard.played(event.ms)
        # Who speaks in the silence after the last word answers, and need not prove it.
        return self._interrupt() if self._burst.certain or reply.said else []

    def _judge(self) -> Commands:
        """What the speech over the paused reply is: time, level and words together."""
        caller, burst = self._caller, self._burst
        assert burst is not None
        if caller.detector.silence_ms < self._settings.eager_ms:
            return self._act_on(burst.verdict(self._settings.interrupt_ms))
        if self._held is None:
            if not caller.near() or burst.speech_ms < self._settings.min_speech_ms:
                return self._resume()
            return self._ask_early()
        if caller.detector.silence_ms >= self._settings.endpoint_max_ms:
            return self._interrupt()  # an engine that takes so long is no reason to leave the caller in silence
        return self._act_on(burst.verdict_of(self._held))

    def _act_on(self, verdict: Verdict) -> Commands:
        if verdict is Verdict.INTERRUPT:
            return self._interrupt()
        return self._resume() if verdict is Verdict.RESUME else []

    def _interrupt(self) -> Commands:
        """The caller wants to speak: the rest of the reply is dropped, what was heard is kept."""
        reply, burst = self._reply, self._burst
        assert reply is not None
        assert burst is not None
        self._move(Trigger.CUT)
        commands: Commands = [
            e.Drop(reply.number),
            e.CancelReply(reply.number),
            e.Interrupted(reply.number, self.now_ms, burst.onset_ms, reply.heard.text()),
        ]
        if self._caller.utterance.open:
            self._timers.set(Timer.TURN, self.now_ms + self._settings.max_utterance_ms)
        return commands + self._drop_interrupted(reply)

    def _drop_interrupted(self, reply: Reply) -> Commands:
        self._reply = None
        self._cut = not reply.said
        if text := reply.heard.text():
            return [self.memory.caller_heard(text, self.now_ms, interrupted=not reply.said)]
        return []

    def _resume(self) -> Commands:
        """It was nothing to stop for: go on from the sample that was heard last."""
        reply, caller = self._reply, self._caller
        assert reply is not None
        commands = self._drop_held()
        commands.append(e.ForgetUtterance(caller.utterance.number))
        self._wary = self._wary or not caller.near()
        caller.end()
        if caller.detector.silence_ms >= self._settings.eager_ms:
            caller.detector.end()
        self._move(Trigger.RESUME)
        return [*commands, e.Resume(reply.number), *self._finish_if_over()]

    # The line

    def _on_played(self, event: e.Played) -> Commands:
        reply = self._reply
        if reply is None or event.reply not in (reply.number, reply.pressing):
            return []
        if event.reply == reply.pressing:
            reply.pressing = 0
        else:
            reply.heard.played(event.ms)
        return self._finish_if_over() if self.state is State.SPEAKING else []

    def _on_transfer_failed(self, event: e.TransferFailed) -> Commands:
        if self.state is not State.CONNECTING:
            raise IllegalEvent(f"TransferFailed in state {self.state}")
        failed = ToolResult(
            TRANSFER, {"to": self._connecting_to}, error=f"the caller was not put through: {event.reason}"
        )
        self.memory.ran((failed,))
        return self._start_reply(Cue.UNREACHED)

    def _on_hung_up(self, _: e.HungUp) -> Commands:
        reply = self._reply
        commands = self._drop_held()
        if reply:
            commands += [e.CancelReply(reply.number)]
            if self.state in (State.SPEAKING, State.INTERRUPTED):
                commands += self._drop_interrupted(reply)
        if self._caller.utterance.open:
            commands += [e.ForgetUtterance(self._caller.utterance.number)]
        self._move(Trigger.END)
        return commands

    # The engine

    def _on_partial(self, event: e.Partial) -> Commands:
        caller = self._caller
        if event.utterance != caller.utterance.number or not caller.utterance.open:
            return []
        caller.complete = event.complete
        caller.meaning = event.meaning or (meaning_of(event.text) if event.text else None)
        return self._judge() if self.state is State.INTERRUPTED else []

    def _current(self, number: int) -> Reply | None:
        """The reply an engine's event belongs to, unless it was cancelled meanwhile."""
        return next((reply for reply in (self._reply, self._held) if reply and reply.number == number), None)

    def _on_caller_said(self, event: e.CallerSaid) -> Commands:
        if reply := self._current(event.reply):
            reply.transcript = event.text
            reply.meaning = event.meaning or meaning_of(event.text)
            return self._evidence(reply)
        return []

    def _evidence(self, reply: Reply) -> Commands:
        """The engine has said something of an early reply: it may settle what a burst of speech was."""
        if self.state is State.INTERRUPTED and reply is self._held and self._burst and not self._pausing:
            return self._act_on(self._burst.verdict_of(reply))
        return []

    def _on_text(self, event: e.ReplyText) -> Commands:
        if reply := self._current(event.reply):
            reply.text += event.text
            return self._evidence(reply)
        return []

    def _on_unfinished(self, event: e.ReplyUnfinished) -> Commands:
        reply = self._current(event.reply)
        if reply is None:
            return []
        if reply.held:
            reply.unfinished = True
            return self._evidence(reply)
        if self.state is not State.PROCESSING or reply.cue is not Cue.ANSWER:
            return []
        # The turn was decided before the model had said so: it is asked again, and must answer now.
        commands = self._throw_away()
        if self._caller.utterance.open:
            self._caller.listen_again()
        return commands + self._start_reply(Cue.ANSWER)

    def _on_reply_audio(self, event: e.ReplyAudio) -> Commands:
        reply = self._current(event.reply)
        if reply is None or not event.pcm:
            return []
        if reply.held:
            reply.waiting.append(event)
            return []
        return self._speak(reply, event)

    def _speak(self, reply: Reply, piece: e.ReplyAudio) -> Commands:
        commands = self._begin_audio(reply)
        marks = reply.heard.add(len(piece.pcm) / BYTES_PER_MS, piece.words)
        return [*commands, e.Play(reply.number, piece.pcm, marks, piece.wide)]

    def _press(self, reply: Reply) -> Commands:
        """Its words have been heard: now its keys."""
        commands = self._begin_audio(reply) + self._heard_out(reply)
        keys = reply.keys.pop(0)
        self.memory.pressed(keys)
        self._failures = 0
        reply.pressing = self._next_number()
        return [*commands, e.Press(reply.pressing, keys)]

    def _begin_audio(self, reply: Reply) -> Commands:
        """Something of it goes to the line."""
        if self.state is not State.PROCESSING:
            return []
        self._move(Trigger.AUDIO)
        self._wary = False
        return self._commit(reply)

    def _on_done(self, event: e.ReplyDone) -> Commands:
        reply = self._current(event.reply)
        if reply is None:
            return []
        reply.done = event.done
        if event.done.keys:
            reply.keys.append(event.done.keys)
        if reply.held:
            reply.calls = event.calls
            return self._evidence(reply)
        if event.calls:
            return self._run_tools(reply, event.calls)
        if self.state in (State.SPEAKING, State.INTERRUPTED):
            self.memory.keep(event.done)
        return []

    def _run_tools(self, reply: Reply, calls: tuple[ToolCall, ...]) -> Commands:
        if reply.rounds >= MAX_ROUNDS:
            return []
        # Tools have effects, so from here on the turn counts, whatever the caller does.
        reply.running_tools = True
        return [*self._commit(reply), e.RunTools(reply.number, calls)]

    def _on_tools(self, event: e.ToolsFinished) -> Commands:
        self.memory.ran(event.results)
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
        return self._evidence(reply) if reply.held else self._all_made(reply)

    def _all_made(self, reply: Reply) -> Commands:
        marks = reply.heard.rest()
        commands: Commands = [e.Play(reply.number, b"", marks)] if marks else []
        return commands + ([] if self.state is State.INTERRUPTED else self._finish_if_over())

    def _on_failed(self, event: e.ReplyFailed) -> Commands:
        reply = self._current(event.reply)
        if reply is None:
            return []
        if reply.held:  # it was only early; the turn will be asked about again
            return self._resume() if self.state is State.INTERRUPTED else self._drop_held()
        self._failures += 1
        reply.generating = reply.running_tools = False
        if self.state in (State.SPEAKING, State.INTERRUPTED):
            return self._all_made(reply)
        self._reply = None
        self._move(Trigger.FINISHED)
        if self._failures >= MAX_FAILURES:
            return self._end(e.HangUp(failed=True))
        if self._caller.utterance.open:
            self._caller.listen_again()
        return self._start_reply(reply.cue)

    # Replies

    def _next_number(self) -> int:
        self._replies += 1
        return self._replies

    def _start_reply(self, cue: Cue) -> Commands:
        """Ask for a reply to the caller's turn (Cue.ANSWER), or for another reason."""
        if self._closing and cue not in LAST_WORDS:
            cue = self._closing
        commands = self._drop_held()
        reply = Reply(self._next_number(), cue)
        return [*commands, *self._rest_of_turn(), *self._take_turn(reply), self._ask(reply)]

    def _take_turn(self, reply: Reply) -> Commands:
        """It is the agent's turn now."""
        for timer in (Timer.SILENCE, Timer.DIGITS, Timer.TURN):
            self._timers.unset(timer)
        self._move(Trigger.REPLY)
        self._reply = reply
        return [e.TurnDecided(reply.number, reply.cue, self.now_ms, self._caller.speech_end_ms)]

    def _rest_of_turn(self) -> Commands:
        block = self._caller.utterance.block(rest=True)
        return [self._hear(*block)] if block else []

    def _ask(self, reply: Reply, cue: Cue | None = None) -> e.StartReply:
        cue = cue or reply.cue
        reply.generating = True
        paused = self._reply if self.state is State.INTERRUPTED and reply is not self._reply else None
        request = self.memory.request(reply, cue, self._caller, paused)
        utterance = self._caller.utterance if self._caller.utterance.open and cue is Cue.ANSWER else None
        return e.StartReply(reply.number, request, utterance.number if utterance else None)

    def _throw_away(self) -> Commands:
        """The caller goes on before a reply was heard: forget it; its turn grows."""
        reply = self._reply
        if self.state is not State.PROCESSING or reply is None:
            return []
        self._reply = None
        self._move(Trigger.SPEECH)
        if reply.ends_call:
            self._closing = self._closing or Cue.FAREWELL
        commands: Commands = [e.CancelReply(reply.number)]
        if self._caller.utterance.open:
            commands.append(e.ForgetUtterance(self._caller.utterance.number))
        return commands

    def _commit(self, reply: Reply) -> Commands:
        """A reply is for real: the caller's turn goes into the history, and the model's state counts."""
        commands: Commands = []
        if reply.cue is Cue.ANSWER and not reply.committed:
            self._cut = False
            self._reprompts = 0
            if text := " ".join(filter(None, (reply.transcript, self._caller.digits))):
                commands.append(self.memory.caller_said(text, self.now_ms))
                if reply.transcript is None and self._caller.utterance.open:  # what was dialled counts
                    commands.append(e.ForgetUtterance(self._caller.utterance.number))
            elif reply.transcript is None and self._caller.utterance.open:
                commands.append(self.memory.caller_spoke(self._caller.utterance.number))
            self._caller.end()
        reply.committed = True
        self.memory.keep(reply.done)
        return commands

    def _finish_if_over(self) -> Commands:
        reply = self._reply
        if reply is None or not reply.over:
            return []
        if reply.keys:
            return self._press(reply)
        commands = self._commit(reply) if self.state is State.PROCESSING else []
        if self.state is State.SPEAKING:
            commands += self._heard_out(reply)
        self._reply = None
        silent = self.state is State.PROCESSING
        self._move(Trigger.FINISHED)
        if reply.cue in LAST_WORDS or reply.done.next is Next.HANG_UP:
            return commands + self._end(e.HangUp())
        if reply.done.next is Next.TRANSFER:
            self._move(Trigger.TRANSFER)
            self._connecting_to = reply.done.transfer_to
            return [*commands, e.Transfer(self._transfers.get(reply.done.transfer_to, ""))]
        cue = Cue.REPROMPT if silent and self._cut and reply.cue is Cue.ANSWER else None
        if self._keys:  # those before the greeting
            self._keys, cue = "", Cue.GREET
        if cue := self._closing or cue:
            return commands + self._start_reply(cue)
        return commands + self._listen()

    def _heard_out(self, reply: Reply) -> Commands:
        """All words of a reply have reached the caller's ear, and go into the history, once."""
        text, reply.text, reply.heard = reply.text.strip(), "", Heard()
        if not text:
            return []
        self._failures = 0
        return [self.memory.caller_heard(text, self.now_ms)]

    def _listen(self) -> Commands:
        if self._caller.detector.speaking:  # the caller spoke through the end of a reply
            self._begin_turn()
        elif not self._caller.digits:
            self._timers.set(Timer.SILENCE, self.now_ms + self._settings.reprompt_ms)
        return []

    def _begin_turn(self, *, over: bool = False) -> None:
        if not over and not self._timers.is_set(Timer.TURN):
            self._timers.set(Timer.TURN, self.now_ms + self._settings.max_utterance_ms)
        self._caller.begin(over=over)

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
        if timer is Timer.DIGITS and self._caller.talking:
            return []  # the end of the speech will take the digits with it
        if timer is Timer.DIGITS and not self._caller.digits:
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
        if self.state is State.INTERRUPTED:
            commands = self._interrupt()
        if self.state is State.LISTENING:
            commands += self._drop_held()
            if self._caller.utterance.open:
                commands.append(e.ForgetUtterance(self._caller.utterance.number))
                self._caller.end()
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
