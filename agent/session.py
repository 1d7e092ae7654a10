"""One conversation: events in, commands out. Sans-I/O: no await, no clock, no task; its time is the audio received.

idle ──reply──▶ processing ──audio──▶ speaking ──speech──▶ interrupted (paused, until it is clear what the speech is)
                 ▲      │ speech, finished   │ ▲                │  │ cut
                 │reply ▼           finished │ └────resume──────┘  │
                 └── listening ◀─────────────┴─────────────────────┘      every state ──end──▶ ended
                         │ transfer
                         ▼
                     connecting (nobody listens to the caller) ──reply, when nobody was reached──▶ processing

every state from listening on ──held──▶ hold ──retrieved──▶ where it was

listening ──taken over──▶ taken over (a person of ours talks with the caller) ──given back──▶ listening; from other
states by way of listening, since the person stops the agent first

While the caller may only be pausing, a speculative reply is made: it is played when the turn is decided, or discarded
without a trace when the caller goes on.

On hold the agent hears nothing, says nothing and runs no tool. What the caller was saying or dialling is discarded; a
turn that was decided is answered afterwards, and a reply goes on from the sample that was heard last.

Keys are the end of a reply: they are pressed once its last word has been heard. From the moment the model asks for them
no speech pauses it, as with a goodbye, so that they go out exactly once. A reply that was paused before and is cut off,
or that is discarded, has pressed nothing, and the history tells the model so.
"""

from collections.abc import Callable
from typing import Any

from agent import events as e
from agent.engine.base import TRANSFER, Cue, Next, ToolResult
from agent.engine.meaning import meaning_of
from agent.exceptions import IllegalEvent
from agent.hold import Hold
from agent.listening.caller_turn import CallerTurn
from agent.listening.level import SILENCE_DB
from agent.listening.turn_detector import Change
from agent.memory import Memory
from agent.operator import Operator
from agent.speaking.agent_turn import AgentTurn, Commands, OfReply
from agent.speaking.barge_in import BargeIn
from agent.speaking.interruption import Verdict
from agent.speaking.reply import LAST_WORDS, Reply
from agent.state import TRANSITIONS, State, Trigger
from agent.timers import Timer, Timers
from audio.rate import BYTES_PER_MS
from config.parties import NOBODY, Parties
from config.settings import Settings

METER_FRAMES = 12  # of 20 ms
MAX_FAILURES = 2  # replies in a row that fail until the call is given up


class Session:
    """One call: its caller's side, its agent's, and the state between them. `handle` takes every event, in order, and
    returns what is to be done."""

    def __init__(
        self,
        call: str,
        agent: str,
        settings: Settings,
        transfers: dict[str, str] | None = None,
        keys: str = "",
        *,
        parties: Parties = NOBODY,
        started_s: float = 0.0,
    ) -> None:
        """`keys` are pressed before the greeting, such as an extension; `parties` are who calls whom; `started_s` is
        the Unix time at which the call begins, for the model."""
        self.state = State.IDLE
        self.now_ms = 0.0
        self.memory = Memory(call, agent, settings.reply.max_history_turns, parties, started_s)
        self._settings = settings.turn
        self._transfers = transfers or {}
        self._keys = keys
        self._caller = CallerTurn(settings.turn)
        self._agent_turn = AgentTurn(self._caller, self.memory)
        self._operator = Operator(self._agent_turn.next_number)
        self._then: Callable[[], Commands] | None = None  # what a person wants done once the agent is silent
        self._pausing = False  # `Pause` was given, and its answer comes next
        self._barge_in: BargeIn | None = None  # what has paused the reply
        self._hold: Hold | None = None
        self._connecting_to = ""  # the last transfer's target
        self._timers = Timers()
        self._timers.set(Timer.CALL, 1000 * settings.call.max_s)
        self._handlers: dict[type[e.Event], Callable[[Any], Commands]] = {
            e.CallerAudio: self._on_audio,
            e.SpeechProbability: self._on_probability,
            e.Dtmf: self._on_dtmf,
            e.Played: self._on_played,
            e.Paused: self._on_paused,
            e.TransferFailed: self._on_transfer_failed,
            e.Held: self._on_held,
            e.Retrieved: self._on_retrieved,
            e.HungUp: self._on_hung_up,
            e.Partial: self._on_partial,
            e.CallerSaid: self._on_reply,
            e.Transcribed: lambda event: self.memory.transcribed(event.utterance, event.text, self.now_ms),
            e.ReplyText: self._on_reply,
            e.ReplyUnfinished: self._on_incomplete,
            e.ReplyAudio: self._on_reply,
            e.ReplyDone: self._on_reply,
            e.ReplyEnded: self._on_reply,
            e.ReplyFailed: self._on_failed,
            e.ToolsFinished: self._on_reply,
            e.Shutdown: lambda _: self._close(Cue.SHUTDOWN),
            e.RecordingSwitched: lambda event: self.memory.privacy.switch(self.utterance, on=event.on),
            e.SayRequested: self._on_requested,
            e.PressRequested: self._on_requested,
            e.Instructed: self._on_instructed,
            e.TransferRequested: self._on_transfer_requested,
            e.HangUpRequested: lambda _: self._hang_up(),
            e.TakenOver: self._on_taken_over,
            e.GivenBack: self._on_given_back,
            e.OperatorAudio: self._on_operator_audio,
        }

    @property
    def unheard_ms(self) -> float:
        """Audio that was made and not yet heard."""
        return self._agent_turn.unheard_ms

    @property
    def discarded(self) -> int:
        """Speculative replies discarded."""
        return self._agent_turn.discarded

    @property
    def utterance(self) -> int:
        """The number of the caller's present or last piece of speech."""
        return self._caller.utterance.number

    @property
    def taken_over(self) -> bool:
        """Whether a person talks with the caller, or will when the call is off hold."""
        return self.state is State.TAKEN_OVER or bool(self._hold and self._hold.back is Trigger.TAKE_OVER)

    @property
    def busy(self) -> bool:
        """Whether so much of what a person wants said or pressed waits that no more can."""
        return self._operator.busy

    @property
    def closing(self) -> bool:
        """Whether the call ends with what is said now, or next."""
        reply = self._agent_turn.current
        return self._agent_turn.closing is not None or (reply is not None and reply.ends_call)

    @property
    def caller_db(self) -> float:
        """How loud the caller's audio has been for the last quarter of a second, in dBFS."""
        return self._caller.level.recent_db(METER_FRAMES) if not self._hold else SILENCE_DB

    @property
    def speaker(self) -> str:
        """Who is heard now: caller, agent, operator, or nobody (empty)."""
        detector = self._caller.detector
        if self._operator.speaks(self.now_ms):
            return "operator"
        if detector.speaking and detector.silence_ms < self._settings.eager_ms:
            return "caller"
        return "agent" if self.state is State.SPEAKING else ""

    def is_private(self, event: e.Event) -> bool:
        """Whether nothing may be kept of an event that comes now, and of what follows from it."""
        return self.memory.privacy.covers(event, self.utterance)

    def start(self) -> Commands:
        """The call has begun: greet."""
        if self.state is not State.IDLE:
            raise IllegalEvent(f"start in state {self.state}")
        if not self._keys:
            return self._start_reply(Cue.GREET)
        self._move(Trigger.REPLY)
        self._agent_turn.begin(Cue.GREET).keys.append(self._keys)  # one without words
        return self._follow()

    def handle(self, event: e.Event) -> Commands:
        """Take one event. After the end every event is ignored, since engines and carriers lag behind."""
        if self.state is State.ENDED:
            return []
        if self._pausing and not isinstance(event, e.Paused | e.HungUp):
            raise IllegalEvent(f"{type(event).__name__} before Paused")
        if self._hold and self._hold.absorbs(event):
            return []
        return self._handlers[type(event)](event)

    # The caller's voice

    def _on_audio(self, event: e.CallerAudio) -> Commands:
        ms = len(event.pcm) / BYTES_PER_MS
        self.now_ms += ms
        if self._hold:
            self._caller.skip(ms)
            return self._due() if self.now_ms >= self._timers.next_ms else []
        self._caller.hear(event.pcm, event.wide)
        commands = self._due() if self.now_ms >= self._timers.next_ms else []
        if self._caller.utterance.open:
            if block := self._caller.utterance.block():
                commands.append(self._agent_turn.hear(*block))
            if self._caller.pausing:
                commands += self._silence_of_turn()
        return commands

    def _on_probability(self, event: e.SpeechProbability) -> Commands:
        detector = self._caller.detector
        over = self.state is State.SPEAKING
        if over and not detector.speaking and event.value >= self._settings.pause_probability:
            over = not self._caller.may_be_tone(event.value, self.now_ms)
        change = detector.update(event.value, event.at_ms, over=over)
        if not detector.speaking:
            return []
        if change is Change.STARTED or not self._caller.utterance.open:
            return self._speech_without_turn(change)
        if change is Change.RESUMED:
            return self._speech_goes_on()
        if self.state is State.INTERRUPTED:
            return self._judge()
        if self.state in (State.LISTENING, State.TAKEN_OVER):
            return self._silence_of_turn() if self._caller.pausing else []
        return self._let_pass()  # the turn was too long for its answer to wait

    def _speech_without_turn(self, change: Change) -> Commands:
        """Speech begins, or speech that was not taken for a turn goes on."""
        detector, reply = self._caller.detector, self._agent_turn.current
        if self.state is State.SPEAKING and reply and reply.interruptible:
            loud = detector.silence_ms == 0 and self._caller.surely_near_now()
            if loud if reply.paused_by_noise else change is not Change.NONE:
                return self._pause(reply, detector.started_ms if change is Change.STARTED else self.now_ms)
            return self._let_pass()
        if self.state in (State.LISTENING, State.PROCESSING, State.TAKEN_OVER) and change is not Change.NONE:
            self._timers.unset(Timer.SILENCE)
            if self.state is State.PROCESSING and self._caller.utterance.open:
                self._caller.went_on_late()
            commands = self._discard_reply()
            self._begin_turn()
            return commands
        return self._let_pass()

    def _let_pass(self) -> Commands:
        if self._caller.detector.silence_ms >= self._settings.endpoint_ms:
            self._caller.detector.end()
        return []

    def _speech_goes_on(self) -> Commands:
        """After a pause: the speculative reply is of no use any more."""
        if self.state is State.LISTENING:
            self._caller.paused_and_went_on()
        return self._agent_turn.discard_speculative()

    def _silence_of_turn(self) -> Commands:
        """A turn of the caller's is open, and they are silent."""
        if self.state is State.LISTENING:
            return self._silence()
        return self._silence_for_operator() if self.state is State.TAKEN_OVER else []

    def _silence(self) -> Commands:
        """The agent is to answer."""
        caller, speculative = self._caller, self._agent_turn.speculative
        silence_ms = self.now_ms - caller.speech_end_ms
        if caller.turn_speech_ms < self._settings.min_speech_ms and not caller.digits:
            return self._forget_noise() if silence_ms >= self._settings.endpoint_ms else []
        answered = None if speculative is None else False if speculative.incomplete else bool(speculative.text) or None
        if caller.is_over(silence_ms, caller.wait_ms(self.memory.expect, answered=answered)):
            return self._forget_noise() if caller.was_music(self.now_ms) else self._decide()
        if speculative is None and not self._agent_turn.closing and caller.early(silence_ms):
            if caller.was_music(self.now_ms):
                return []
            caller.attempts += 1
            return self._agent_turn.speculate()
        return []

    def _decide(self) -> Commands:
        """The caller's turn is over."""
        speculative = self._agent_turn.speculative
        self._caller.decided()
        self._caller.level.learn()
        if speculative is None or speculative.incomplete:
            return self._start_reply(Cue.ANSWER)
        self._begin_agent_turn()
        return self._agent_turn.accept(self.now_ms) + self._follow()

    def _forget_noise(self) -> Commands:
        """What was heard was not speech: drop it, and say again what it cut off."""
        commands = self._agent_turn.forget_turn()
        self._caller.detector.end()
        self._timers.unset(Timer.TURN)
        return commands + self._listen_again()

    def _listen_again(self) -> Commands:
        """Nothing has come of what cut the agent off, if it was: say that again."""
        if self._agent_turn.cut:
            return self._start_reply(Cue.REPROMPT)
        if self._operator.waiting:
            return self._do_request()
        self._timers.set(Timer.SILENCE, self.now_ms + self._settings.reprompt_ms)
        return []

    def _begin_turn(self) -> None:
        if not self._timers.is_set(Timer.TURN):
            self._timers.set(Timer.TURN, self.now_ms + self._settings.max_utterance_ms)
        self._caller.begin()

    def _on_dtmf(self, event: e.Dtmf) -> Commands:
        if self.state is State.CONNECTING:
            return []
        commands: Commands = []
        reply = self._agent_turn.current
        answering = self.state is State.PROCESSING and reply and reply.cue is Cue.ANSWER
        if event.digit == "#" and answering and not self._caller.digits:
            return []  # it ends what was said, which is being answered
        if self.state is State.SPEAKING:
            if not (reply and reply.interruptible):
                return []
            commands = self._pause(reply, self.now_ms, speech=False)
        elif self.state is State.INTERRUPTED:
            commands = self._interrupt()
        else:
            commands = self._discard_reply()
        commands += self._agent_turn.discard_speculative()
        self._timers.unset(Timer.SILENCE)
        if event.digit != "#":
            self._caller.dial(event.digit)
        if event.digit == "#" and self.state is State.LISTENING and not self._caller.talking:
            return commands + self._start_reply(Cue.ANSWER if self._caller.digits else Cue.REPROMPT)
        self._timers.set(Timer.DIGITS, self.now_ms + (0 if event.digit == "#" else self._settings.dtmf_timeout_ms))
        return commands

    # Talking over the agent

    def _pause(self, reply: Reply, onset_ms: float, *, speech: bool = True) -> Commands:
        """Fall silent at once; the line then tells what was heard."""
        self._move(Trigger.SPEECH)
        self._pausing = True
        self._barge_in = BargeIn(self._caller, onset_ms, certain=not speech or not self._settings.resume)
        if speech:
            self._caller.begin(over=True)
        return [e.Pause(reply.number, self.now_ms, onset_ms)]

    def _on_paused(self, event: e.Paused) -> Commands:
        reply = self._agent_turn.current
        if not self._pausing or reply is None or event.reply != reply.number:
            raise IllegalEvent(f"Paused({event.reply}) in state {self.state}")
        self._pausing = False
        reply.heard.played(event.ms)
        if self._then:
            return self._stop_agent()
        if self._hold:
            return []
        assert self._barge_in is not None
        # A caller who speaks in the silence after the last word is answering, and need not prove it.
        return self._interrupt() if self._barge_in.certain or reply.said else []

    def _judge(self) -> Commands:
        """What the speech over the paused reply is: time, level and words together."""
        caller, barge_in = self._caller, self._barge_in
        assert barge_in is not None
        if caller.detector.silence_ms < self._settings.eager_ms:
            verdict = barge_in.verdict(self._settings.interrupt_ms)
            music = verdict is Verdict.INTERRUPT and caller.seems_music(self.now_ms)
            return [] if music else self._act_on(verdict)
        if self._agent_turn.speculative is None:
            short = barge_in.speech_ms < self._settings.min_speech_ms
            if short or not caller.near() or caller.was_music(self.now_ms):
                return self._resume()
            return self._agent_turn.speculate()
        if caller.detector.silence_ms >= self._settings.endpoint_max_ms:
            return self._interrupt()  # an engine that takes so long is no reason to leave the caller in silence
        return self._judge_answer()

    def _judge_answer(self) -> Commands:
        """What the engine makes of it, as far as it has said."""
        barge_in, speculative = self._barge_in, self._agent_turn.speculative
        return self._act_on(barge_in.verdict_of(speculative)) if barge_in and speculative else []

    def _act_on(self, verdict: Verdict) -> Commands:
        if verdict is Verdict.INTERRUPT:
            return self._interrupt()
        return self._resume() if verdict is Verdict.RESUME else []

    def _interrupt(self) -> Commands:
        """The caller wants to speak."""
        barge_in = self._barge_in
        assert barge_in is not None
        self._move(Trigger.CUT)
        if self._caller.utterance.open:
            self._timers.set(Timer.TURN, self.now_ms + self._settings.max_utterance_ms)
        return self._agent_turn.interrupt(barge_in.onset_ms, self.now_ms)

    def _resume(self) -> Commands:
        """It was nothing to stop for: go on from the sample that was heard last."""
        reply, caller = self._agent_turn.current, self._caller
        assert reply is not None
        reply.paused_by_noise = reply.paused_by_noise or not caller.surely_near()
        commands = self._agent_turn.forget_turn()
        if caller.detector.silence_ms >= self._settings.eager_ms:
            caller.detector.end()
        self._move(Trigger.RESUME)
        return [*commands, e.Resume(reply.number), *self._follow()]

    # The line

    def _on_played(self, event: e.Played) -> Commands:
        self._agent_turn.played(event)
        self._operator.played(event.reply)
        return self._follow()

    def _on_transfer_failed(self, event: e.TransferFailed) -> Commands:
        if self.state is not State.CONNECTING:
            raise IllegalEvent(f"TransferFailed in state {self.state}")
        error = f"the caller was not put through: {event.reason}"
        self.memory.ran((ToolResult(TRANSFER, {"to": self._connecting_to}, error=error),))
        return self._start_reply(Cue.UNREACHED)

    def _on_held(self, _: e.Held) -> Commands:
        before, reply = self.state, self._agent_turn.current
        self._move(Trigger.HOLD)
        for timer in (Timer.SILENCE, Timer.DIGITS, Timer.TURN):
            self._timers.unset(timer)
        commands: Commands = []
        if before in (State.LISTENING, State.INTERRUPTED, State.TAKEN_OVER):
            commands = self._agent_turn.forget_turn()
            self._caller.end()
        self._caller.hold()
        self._agent_turn.reprompts = 0
        if before is State.SPEAKING and reply and not reply.pressing:  # keys wait by themselves
            self._pausing = True
            commands.append(e.Pause(reply.number, self.now_ms, None))
        self._hold = Hold(before, paused=self._pausing or before is State.INTERRUPTED)
        return commands

    def _on_retrieved(self, _: e.Retrieved) -> Commands:
        hold, self._hold, reply = self._hold, None, self._agent_turn.current
        if hold is None:
            raise IllegalEvent(f"Retrieved in state {self.state}")
        self._move(hold.back)
        self._caller.retrieve(self.now_ms)
        commands: Commands = [e.Resume(reply.number)] if hold.paused and reply else []
        if self._agent_turn.closing:  # the call is to end, and nobody was there to be told
            commands += self._close(self._agent_turn.closing)
        elif hold.back is Trigger.RETRIEVE:
            commands += self._listen_again()
        commands += self._follow()
        for event in hold.later:
            commands += self.handle(event)
        return commands

    def _on_hung_up(self, _: e.HungUp) -> Commands:
        self._move(Trigger.END)
        return self._agent_turn.hang_up(self.now_ms)

    # The engine

    def _on_partial(self, event: e.Partial) -> Commands:
        caller = self._caller
        if event.utterance != caller.utterance.number or not caller.utterance.open:
            return []
        caller.complete = event.complete
        caller.meaning = event.meaning or (meaning_of(event.text) if event.text else None)
        return self._judge() if self.state is State.INTERRUPTED else []

    def _on_reply(self, event: OfReply) -> Commands:
        """Something came of a reply: it may settle what the barge-in is, otherwise the state follows it."""
        commands = self._agent_turn.take(event, self.now_ms)
        return commands + (self._judge_answer() if self.state is State.INTERRUPTED else self._follow())

    def _on_incomplete(self, event: e.ReplyUnfinished) -> Commands:
        reply = self._agent_turn.find(event.reply)
        if self.state is not State.PROCESSING or reply is None or reply.cue is not Cue.ANSWER:
            return self._on_reply(event)
        # The turn was decided before the model had said so: it is asked again, and must answer now.
        commands = self._discard_reply()
        if self._caller.utterance.open:
            self._caller.listen_again()
        return commands + self._start_reply(Cue.ANSWER)

    def _on_failed(self, event: e.ReplyFailed) -> Commands:
        reply = self._agent_turn.find(event.reply)
        if reply is None:
            return []
        if reply.speculative:  # the turn will be asked about again
            return self._resume() if self.state is State.INTERRUPTED else self._agent_turn.discard_speculative()
        commands = self._agent_turn.fail(reply)
        if reply.begun:
            return commands + self._follow()
        self._move(Trigger.FINISHED)
        if reply.cue is Cue.OPERATOR:
            return commands + self._listen()  # the log says why
        if self._agent_turn.failures >= MAX_FAILURES:
            return self._end(e.HangUp(failed=True))
        if self._caller.utterance.open:
            self._caller.listen_again()
        return self._start_reply(reply.cue)

    # Replies

    def _start_reply(self, cue: Cue) -> Commands:
        """The agent's turn: an answer, or whatever else is to be said now."""
        if self._agent_turn.closing and cue not in LAST_WORDS:
            cue = self._agent_turn.closing
        self._begin_agent_turn()
        return self._agent_turn.ask(cue, self.now_ms)

    def _begin_agent_turn(self) -> None:
        for timer in (Timer.SILENCE, Timer.DIGITS, Timer.TURN):
            self._timers.unset(timer)
        self._move(Trigger.REPLY)

    def _discard_reply(self) -> Commands:
        """The caller goes on before a reply was heard."""
        if self.state is not State.PROCESSING:
            return []
        self._move(Trigger.SPEECH)
        if (reply := self._agent_turn.current) and reply.request:
            self._operator.waiting.appendleft(reply.request)
        return self._agent_turn.discard()

    def _follow(self) -> Commands:
        """The state follows the reply; a paused one moves nothing."""
        reply = self._agent_turn.current
        if reply is None or self._hold or self.state is State.INTERRUPTED:
            return []
        commands = self._agent_turn.press(reply, self.now_ms) if reply.over and reply.keys else []
        if reply.begun and self.state is State.PROCESSING:
            self._move(Trigger.AUDIO)
        return self._finish(reply) if reply.over else commands

    def _finish(self, reply: Reply) -> Commands:
        commands = self._agent_turn.finish(reply, self.now_ms)
        self._move(Trigger.FINISHED)
        if reply.cue in LAST_WORDS or reply.done.next is Next.HANG_UP:
            return commands + self._end(e.HangUp())
        if reply.done.next is Next.TRANSFER:
            self._move(Trigger.TRANSFER)
            self._connecting_to = reply.done.transfer_to
            return [*commands, e.Transfer(self._transfers.get(reply.done.transfer_to, ""))]
        first = Cue.GREET if self._keys else None  # those before the greeting are out
        self._keys = ""
        if cue := self._agent_turn.closing or first:
            return commands + self._start_reply(cue)
        return commands + self._listen()

    def _listen(self) -> Commands:
        if self._caller.detector.speaking:  # the caller spoke through the end of a reply
            self._begin_turn()
        elif not self._caller.digits:
            if self._operator.waiting:
                return self._do_request()
            self._timers.set(Timer.SILENCE, self.now_ms + self._settings.reprompt_ms)
        return []

    # The operator

    def _on_requested(self, request: e.SayRequested | e.PressRequested) -> Commands:
        if self.state is State.TAKEN_OVER and isinstance(request, e.PressRequested):
            return self._operator.press(request.keys)
        if self.busy or self.state in (State.IDLE, State.TAKEN_OVER):
            raise IllegalEvent(f"{type(request).__name__} in state {self.state}")
        self._operator.waiting.append(request)
        caller = self._caller
        free = self.state is State.LISTENING and not (caller.utterance.open or caller.detector.speaking)
        return self._do_request() if free and not caller.digits else []

    def _do_request(self) -> Commands:
        """The agent may speak: what has waited longest is said, or pressed."""
        if self._agent_turn.closing:
            return self._close(self._agent_turn.closing)
        request = self._operator.waiting.popleft()
        self._begin_agent_turn()
        if isinstance(request, e.SayRequested):
            return self._agent_turn.dictate(request)
        self._agent_turn.begin(Cue.OPERATOR).keys.append(request.keys)  # one without words
        return self._follow()

    def _on_instructed(self, event: e.Instructed) -> Commands:
        self.memory.instructed(event.text)
        return []

    def _on_transfer_requested(self, event: e.TransferRequested) -> Commands:
        def transfer() -> Commands:
            commands = self._agent_turn.unanswered(self.now_ms)
            self._caller.detector.end()
            self._move(Trigger.TRANSFER)
            self._connecting_to = event.number
            return [*commands, e.Transfer(event.number)]

        return self._intervene(transfer)

    def _on_taken_over(self, _: e.TakenOver) -> Commands:
        def take_over() -> Commands:
            self._move(Trigger.TAKE_OVER)
            self._operator.reset()
            self.memory.taken_over()
            return []

        return self._intervene(take_over)

    def _intervene(self, then: Callable[[], Commands]) -> Commands:
        """A person wants something done at once: the agent falls silent first."""
        if self.state in (State.IDLE, State.HOLD, State.CONNECTING):
            raise IllegalEvent(f"a person intervenes in state {self.state}")
        self._timers.unset(Timer.SILENCE)
        self._then, reply = then, self._agent_turn.current
        if self.state is State.SPEAKING and reply and not reply.pressing:
            self._pausing = True
            return [e.Pause(reply.number, self.now_ms, None)]
        return self._stop_agent()

    def _stop_agent(self) -> Commands:
        then, self._then = self._then, None
        assert then is not None
        commands = self._agent_turn.silence(self.now_ms)
        if self.state in (State.PROCESSING, State.SPEAKING, State.INTERRUPTED):
            self._move(Trigger.SILENCED)
        return commands + then()

    def _on_given_back(self, _: e.GivenBack) -> Commands:
        self._operator.reset()
        if self._hold and self._hold.back is Trigger.TAKE_OVER:
            self._hold.back = Trigger.RETRIEVE
            self.memory.given_back()
            return []
        self._move(Trigger.GIVE_BACK)
        self.memory.given_back()
        if self._agent_turn.closing:
            return self._close(self._agent_turn.closing)
        return [] if self._caller.utterance.open else self._listen()  # a turn that goes on is answered

    def _on_operator_audio(self, event: e.OperatorAudio) -> Commands:
        return self._operator.speak(event.pcm, event.wide, self.now_ms) if self.state is State.TAKEN_OVER else []

    def _silence_for_operator(self) -> Commands:
        """They answer the turn; it is only written down."""
        caller = self._caller
        if self.now_ms - caller.speech_end_ms < self._settings.endpoint_ms:
            return []
        noise = caller.turn_speech_ms < self._settings.min_speech_ms or caller.was_music(self.now_ms)
        self._timers.unset(Timer.TURN)
        commands = self._agent_turn.forget_turn() if noise else self._agent_turn.unanswered(self.now_ms)
        caller.detector.end()
        return commands

    # Time

    def _due(self) -> Commands:
        return [command for timer in self._timers.due(self.now_ms) for command in self._on_timer(timer)]

    def _on_timer(self, timer: Timer) -> Commands:
        if timer is Timer.CALL:
            alone = self._hold and self._hold.back is not Trigger.TRANSFER
            return self._hang_up() if alone else self._close(Cue.FAREWELL)
        if self.state is not State.LISTENING:
            return self._agent_turn.unanswered(self.now_ms) if self.state is State.TAKEN_OVER else []
        if timer is Timer.SILENCE:
            return self._nobody_spoke()
        if timer is Timer.DIGITS and self._caller.talking:
            return []  # the end of the speech will take the digits with it
        if timer is Timer.DIGITS and not self._caller.digits:
            return self._start_reply(Cue.REPROMPT)  # a lone # cut the agent off
        return self._start_reply(Cue.ANSWER)

    def _nobody_spoke(self) -> Commands:
        if self._caller.hears_music(self.now_ms):  # somebody has put us on hold: nobody is there to be asked
            self._timers.set(Timer.SILENCE, self.now_ms + self._settings.reprompt_ms)
            return []
        self._agent_turn.reprompts += 1
        enough = self._agent_turn.reprompts > self._settings.max_reprompts
        return self._start_reply(Cue.FAREWELL if enough else Cue.REPROMPT)

    def _hang_up(self) -> Commands:
        """At once: nobody hears a farewell."""
        return [*self._agent_turn.hang_up(self.now_ms), *self._end(e.HangUp())]

    def _close(self, cue: Cue) -> Commands:
        """End the call with a last word, after what is being said now."""
        agent_turn = self._agent_turn
        agent_turn.closing = cue
        commands: Commands = []
        if self.state is State.TAKEN_OVER:  # that is for the agent to say
            return self._on_given_back(e.GivenBack())
        if self.state is State.PROCESSING and agent_turn.current and agent_turn.current.cue not in LAST_WORDS:
            commands = self._discard_reply()
        if self.state is State.INTERRUPTED:
            commands = self._interrupt()
        if self.state is State.LISTENING:
            commands += agent_turn.forget_turn() + self._start_reply(cue)
        return commands

    def _move(self, trigger: Trigger) -> None:
        target = TRANSITIONS.get((self.state, trigger))
        if target is None:
            raise IllegalEvent(f"{trigger} in state {self.state}")
        self.state = target

    def _end(self, command: e.Command) -> Commands:
        self._move(Trigger.END)
        return [command]
