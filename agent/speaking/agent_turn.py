"""The agent's side of a conversation: the reply that is being made or heard, the speculative one, and what the
engine's events do to them. Sans-I/O.

It gives commands and never moves the state: the session tells from the reply how far it has come.
"""

from agent import events as e
from agent.engine.base import Cue, Done, ToolCall
from agent.engine.meaning import meaning_of
from agent.history import HeardReply
from agent.listening.caller_turn import CallerTurn
from agent.memory import Memory
from agent.speaking.reply import Reply
from audio.rate import BYTES_PER_MS

MAX_ROUNDS = 5  # times the tools of one reply may lead to more tools

Commands = list[e.Command]
OfReply = e.CallerSaid | e.ReplyText | e.ReplyUnfinished | e.ReplyAudio | e.ReplyDone | e.ReplyEnded | e.ToolsFinished


class AgentTurn:
    """What the agent is saying, and its speculative reply."""

    def __init__(self, caller: CallerTurn, memory: Memory) -> None:
        self.current: Reply | None = None  # being made, spoken or paused
        self.speculative: Reply | None = None  # made while the caller may only be pausing
        self.cut = False  # the caller interrupted the last reply
        self.closing: Cue | None = None  # the last words, which come next
        self.reprompts = 0  # in a row, in answer to silence
        self.failures = 0  # replies in a row that failed
        self.discarded = 0  # speculative replies
        self._caller = caller
        self._memory = memory
        self._number = 0  # the last given out

    @property
    def unheard_ms(self) -> float:
        """Audio that was made and not yet heard."""
        return sum(reply.unheard_ms for reply in (self.current, self.speculative) if reply)

    def find(self, number: int) -> Reply | None:
        """The reply an engine's event belongs to, unless it was cancelled meanwhile."""
        return next((reply for reply in (self.current, self.speculative) if reply and reply.number == number), None)

    # Asking

    def begin(self, cue: Cue) -> Reply:
        """The next reply, of which nothing was asked for yet."""
        self.current = Reply(self.next_number(), cue)
        return self.current

    def dictate(self, request: e.SayRequested) -> Commands:
        """The next reply is what a person wants said."""
        reply = self.begin(Cue.OPERATOR)
        reply.request, reply.generating = request, True
        reply.done = Done(interruptible=request.interruptible)
        said = e.SpeakText(reply.number, request.text, request.language, request.voice, request.interruptible)
        return [*self.discard_speculative(), said]

    def ask(self, cue: Cue, now_ms: float) -> Commands:
        """Ask for a reply to the caller's turn (Cue.ANSWER), or for another reason."""
        commands = [*self.discard_speculative(), *self._rest_of_turn()]
        reply = self.begin(cue)
        return [*commands, self._decided(reply, now_ms), self._ask(reply)]

    def speculate(self) -> Commands:
        """Ask for a speculative reply; while a reply is paused, to find out what the speech over it is."""
        self.speculative = Reply(self.next_number(), Cue.ANSWER, speculative=True)
        return [*self._rest_of_turn(), self._ask(self.speculative)]

    def accept(self, now_ms: float) -> Commands:
        """The caller's turn is over, and the speculative reply is the answer to it."""
        reply = self.speculative
        assert reply is not None
        self.current, self.speculative, reply.speculative = reply, None, False
        commands: Commands = [self._decided(reply, now_ms)]
        if reply.calls:
            commands += self._run_tools(reply, reply.calls, now_ms)
        waiting, reply.waiting = reply.waiting, []
        for piece in waiting:
            commands += self._speak(reply, piece, now_ms)
        return commands if reply.generating else commands + self._all_made(reply)

    def hear(self, pcm: bytes, wide: bytes) -> e.Hear:
        """More of the caller's turn for the recognizer."""
        caller, memory = self._caller, self._memory
        return e.Hear(caller.utterance.number, pcm, memory.expect, caller.over, wide, memory.expect_digits)

    def _rest_of_turn(self) -> Commands:
        block = self._caller.utterance.block(rest=True)
        return [self.hear(*block)] if block else []

    def _decided(self, reply: Reply, now_ms: float) -> e.TurnDecided:
        return e.TurnDecided(reply.number, reply.cue, now_ms, self._caller.speech_end_ms)

    def _ask(self, reply: Reply, cue: Cue | None = None) -> e.StartReply:
        cue = cue or reply.cue
        reply.generating = True
        request = self._memory.request(reply, cue, self._caller, self.current if reply.speculative else None)
        utterance = self._caller.utterance if self._caller.utterance.open and cue is Cue.ANSWER else None
        return e.StartReply(reply.number, request, utterance.number if utterance else None)

    def next_number(self) -> int:
        """For a reply, keys, or a person's voice."""
        self._number += 1
        return self._number

    # What comes of it

    def take(self, event: OfReply, now_ms: float) -> Commands:
        """The engine has something of a reply; nothing counts of a cancelled one, except that its tools have run."""
        if isinstance(event, e.ToolsFinished):
            self._memory.ran(event.results)
        reply = self.find(event.reply)
        if reply is None:
            return []
        match event:
            case e.CallerSaid():
                reply.transcript = event.text
                if reply.speculative:
                    self._caller.finished, self._caller.may_go_on = event.complete, event.may_go_on
                reply.meaning = event.meaning or meaning_of(event.text)
            case e.ReplyText():
                reply.text += event.text
            case e.ReplyUnfinished():
                reply.incomplete = True
            case e.ReplyAudio():
                return self._on_audio(reply, event, now_ms)
            case e.ReplyDone():
                return self._on_done(reply, event, now_ms)
            case e.ReplyEnded():
                reply.generating = False
                return [] if reply.speculative else self._all_made(reply)
            case e.ToolsFinished():
                reply.running_tools = False
                reply.rounds += 1
                return [self._ask(reply, Cue.TOOL)]
        return []

    def _on_audio(self, reply: Reply, piece: e.ReplyAudio, now_ms: float) -> Commands:
        if not piece.pcm:
            return []
        if reply.speculative:
            reply.waiting.append(piece)
            return []
        return self._speak(reply, piece, now_ms)

    def _on_done(self, reply: Reply, event: e.ReplyDone, now_ms: float) -> Commands:
        reply.done, reply.concluded = event.done, True
        if event.done.keys:
            reply.keys.append(event.done.keys)
        if reply.speculative:
            reply.calls = event.calls
        elif event.calls:
            return self._run_tools(reply, event.calls, now_ms)
        elif reply.begun:
            return self._keep(reply)
        return []

    def _run_tools(self, reply: Reply, calls: tuple[ToolCall, ...], now_ms: float) -> Commands:
        if reply.rounds >= MAX_ROUNDS:
            return []
        # Tools have effects, so from here on the turn counts, whatever the caller does.
        reply.running_tools = True
        return [*self._commit(reply, now_ms), e.RunTools(reply.number, calls)]

    def _speak(self, reply: Reply, piece: e.ReplyAudio, now_ms: float) -> Commands:
        commands = self._to_line(reply, now_ms)
        marks = reply.heard.add(len(piece.pcm) / BYTES_PER_MS, piece.words)
        return [*commands, e.Play(reply.number, piece.pcm, marks, piece.wide)]

    def _to_line(self, reply: Reply, now_ms: float) -> Commands:
        """Something of it goes to the line."""
        if reply.begun:
            return []
        reply.begun = True
        return self._commit(reply, now_ms)

    def _all_made(self, reply: Reply) -> Commands:
        marks = reply.heard.rest()
        return [e.Play(reply.number, b"", marks)] if marks else []

    def _commit(self, reply: Reply, now_ms: float) -> Commands:
        """A reply is definite: the caller's turn goes into the history, and the model's state counts."""
        commands: Commands = []
        caller = self._caller
        if reply.cue is Cue.ANSWER and not reply.committed:
            self.cut = False
            self.reprompts = 0
            if text := " ".join(filter(None, (reply.transcript, caller.digits))):
                commands.append(self._memory.caller_said(text, now_ms))
                if reply.transcript is None and caller.utterance.open:  # what was dialled counts
                    commands.append(e.ForgetUtterance(caller.utterance.number))
            elif reply.transcript is None and caller.utterance.open:
                commands.append(self._memory.caller_spoke(caller.utterance.number))
            caller.end()
        reply.committed = True
        return commands + self._keep(reply)

    def _keep(self, reply: Reply) -> Commands:
        """The model's state counts. What it asks for may be private, and what it answers may have been."""
        if reply.cue is Cue.OPERATOR:  # it is not the model's, whose question stays open
            return []
        self._memory.keep(reply.done)
        follow, utterance = self._memory.privacy.follow, self._caller.utterance.number
        return follow(reply.done, utterance, tools=reply.running_tools) if reply.concluded else []

    # Heard

    def played(self, event: e.Played) -> None:
        """The carrier has played the reply up to here, or its keys are out."""
        reply = self.current
        if reply is None or event.reply not in (reply.number, reply.pressing):
            return
        if event.reply == reply.pressing:
            reply.pressing = 0
        else:
            reply.heard.played(event.ms)

    def press(self, reply: Reply, now_ms: float) -> Commands:
        """Its words have been heard: now its keys."""
        commands = self._to_line(reply, now_ms) + self._heard_out(reply, now_ms)
        keys = reply.keys.pop(0)
        self._memory.pressed(keys)
        self.failures = 0
        reply.pressing = self.next_number()
        return [*commands, e.Press(reply.pressing, keys)]

    def finish(self, reply: Reply, now_ms: float) -> Commands:
        """It was heard to its end, or had nothing to say."""
        self.current = None
        return self._heard_out(reply, now_ms) if reply.begun else self._commit(reply, now_ms)

    def _heard_out(self, reply: Reply, now_ms: float) -> Commands:
        """All words of a reply have reached the caller's ear, and go into the history, once."""
        text, reply.text, reply.heard = reply.text.strip(), "", HeardReply()
        if not text:
            return []
        self.failures = 0
        return [self._memory.caller_heard(text, now_ms, operator=reply.cue is Cue.OPERATOR)]

    # Dropped

    def interrupt(self, onset_ms: float, now_ms: float) -> Commands:
        """The caller has talked over it since `onset_ms`, and meant to: the rest is dropped, what was heard is kept."""
        reply = self.current
        assert reply is not None
        return [
            e.Drop(reply.number),
            e.CancelReply(reply.number),
            e.Interrupted(reply.number, now_ms, onset_ms, reply.heard.text()),
            *self._cut_off(reply, now_ms),
        ]

    def fail(self, reply: Reply) -> Commands:
        """No more of it comes; what the line has of it is heard."""
        self.failures += 1
        reply.generating = reply.running_tools = False
        if reply.begun:
            return self._all_made(reply)
        self.current = None
        return []

    def discard(self) -> Commands:
        """The caller goes on before the reply was heard: forget it; its turn grows."""
        reply, self.current = self.current, None
        assert reply is not None
        if reply.ends_call:
            self.closing = self.closing or Cue.FAREWELL
        return [e.CancelReply(reply.number), *self._forget()]

    def discard_speculative(self) -> Commands:
        """The speculative reply is not wanted; the recognizer hears the turn again if it goes on."""
        speculative, self.speculative = self.speculative, None
        if speculative is None:
            return []
        self.discarded += 1
        commands: Commands = [e.CancelReply(speculative.number), e.ForgetUtterance(self._caller.utterance.number)]
        if self._caller.utterance.open:
            self._caller.listen_again()
        return commands

    def forget_turn(self) -> Commands:
        """What the caller is saying is not a turn, or is not to be answered."""
        commands = self.discard_speculative() + self._forget()
        if self._caller.utterance.open:
            self._caller.end()
        return commands

    def silence(self, now_ms: float) -> Commands:
        """A person stops the agent: what was heard is kept, and a turn that waits for its answer counts."""
        commands, reply, utterance = self.discard_speculative(), self.current, self._caller.utterance
        if reply is None:
            return commands
        commands.append(e.CancelReply(reply.number))
        if reply.begun:
            commands += [] if reply.pressing else [e.Drop(reply.number)]  # keys go out to their end
            commands += self._cut_off(reply, now_ms)
        elif utterance.open or self._caller.digits:
            if utterance.open:
                commands.append(e.ForgetUtterance(utterance.number))  # its transcript may be half made
                self._caller.listen_again()
            commands += self.unanswered(now_ms)
        self.current, self.cut = None, False
        return commands

    def unanswered(self, now_ms: float) -> Commands:
        """The caller's turn goes into the history, and a person answers it."""
        caller, commands = self._caller, self._rest_of_turn()
        if caller.digits:
            commands.append(self._memory.caller_said(caller.digits, now_ms))
        if caller.utterance.open:
            commands.append(self._memory.caller_spoke(caller.utterance.number))
        caller.end()
        return commands

    def hang_up(self, now_ms: float) -> Commands:
        """The line is gone: nothing more is made."""
        reply = self.current
        commands = self.discard_speculative()
        if reply:
            commands += [e.CancelReply(reply.number)]
            if reply.begun:
                commands += self._cut_off(reply, now_ms)
        return commands + self._forget()

    def _cut_off(self, reply: Reply, now_ms: float) -> Commands:
        self.current = None
        self.cut = not reply.said
        if text := reply.heard.text():
            operator = reply.cue is Cue.OPERATOR
            return [self._memory.caller_heard(text, now_ms, interrupted=self.cut, operator=operator)]
        return []

    def _forget(self) -> Commands:
        utterance = self._caller.utterance
        return [e.ForgetUtterance(utterance.number)] if utterance.open else []
