"""What the agent knows when it is asked for a reply: what was said, its state, what its tools returned. Sans-I/O."""

from typing import Any

import msgspec

from agent import events as e
from agent.engine.base import ANY_DIGITS, HIDDEN, Cue, Done, Expect, ReplyRequest, ToolResult, Turn
from agent.engine.embedded.dialogue_state import filled
from agent.history import History
from agent.listening.caller_turn import CallerTurn
from agent.privacy import Privacy
from agent.speaking.reply import Reply
from config.parties import NOBODY, Parties


class Memory:
    """The memory of one call."""

    def __init__(
        self, call: str, agent: str, max_turns: int, parties: Parties = NOBODY, started_s: float = 0.0
    ) -> None:
        self.history = History(max_turns)
        self.expect = Expect.OPEN  # of the caller's next turn
        self.expect_digits = ANY_DIGITS
        self.privacy = Privacy()
        self._call = call
        self._agent = agent
        self._parties = parties
        self._started_s = started_s
        self.filled: dict[str, str] = {}  # the slots that a dialogue has filled in this call; none that is secret
        self._private: set[str] = set()  # those that were filled while nothing might be kept
        self._state: dict[str, Any] = {}  # the model's
        self._results: tuple[ToolResult, ...] = ()  # of tools that ran, not yet told to the caller

    def keep(self, done: Done) -> None:
        """What a reply that counts has left behind."""
        if done.state:
            self._state = done.state
            self._fill(filled(done.state))
        self.expect, self.expect_digits = done.expect, done.expect_digits

    def _fill(self, slots: dict[str, str]) -> None:
        new = {name: value for name, value in slots.items() if self.filled.get(name) != value}
        if self.privacy.on:
            self._private |= new.keys()
        self.filled |= {name: value for name, value in new.items() if name not in self._private}

    def ran(self, results: tuple[ToolResult, ...]) -> None:
        """Tools have run: every request tells their results until the caller has heard something of the agent."""
        if self.privacy.on:
            results = tuple(msgspec.structs.replace(result, private=True) for result in results)
        self._results += results

    def caller_said(self, text: str, at_ms: float) -> e.Said:
        """A turn of the caller goes into the history; a secret does not."""
        private, secret = self.privacy.on, self.privacy.secret
        self.history.add(Turn("caller", HIDDEN if secret else text, private=private))
        return e.Said("caller", HIDDEN if private else text, False, at_ms)

    def caller_spoke(self, utterance: int) -> e.Command:
        """So does one whose words are not known yet."""
        if self.privacy.secret:
            self.history.add(Turn("caller", HIDDEN, private=True))
            return e.ForgetUtterance(utterance)
        self.history.add(Turn("caller", "", private=self.privacy.on), utterance)
        return e.Transcribe(utterance)

    def transcribed(self, utterance: int, text: str, at_ms: float) -> list[e.Command]:
        """Now they are."""
        turn = self.history.fill(utterance, text) if text else None
        return [e.Said("caller", HIDDEN if turn.private else text, False, at_ms)] if turn else []

    def caller_heard(self, text: str, at_ms: float, *, interrupted: bool = False, operator: bool = False) -> e.Said:
        """A turn of the agent goes into the history: the words that the caller heard. `operator`: they are a
        person's."""
        self._results = ()
        private = self.privacy.on if operator else self.privacy.asked  # what a dialogue says tells no secret
        self.history.add(Turn("agent", text, interrupted, private=private))
        return e.Said("agent", HIDDEN if private else text, interrupted, at_ms)

    def pressed(self, keys: str) -> None:
        """So do keys that the agent pressed."""
        self._results = ()
        self.history.add(Turn("keys", keys, private=self.privacy.on))

    def instructed(self, text: str) -> None:
        """So does what a person tells the model."""
        self.history.add(Turn("operator", text, private=self.privacy.on))

    def taken_over(self) -> None:
        """A person talks with the caller from here on, and nobody knows what they say."""
        self.history.add(Turn("taken_over", ""))

    def given_back(self) -> None:
        """They have left."""
        self.history.add(Turn("given_back", ""))

    def request(self, reply: Reply, cue: Cue, caller: CallerTurn, paused: Reply | None) -> ReplyRequest:
        """What a model is asked. What was heard of a paused reply counts as if the caller had cut it off there."""
        history = self.history.turns()
        if paused and (heard := paused.heard.text()):
            history = (*history, Turn("agent", heard, interrupted=True))
        answer = cue is Cue.ANSWER
        audio, wide = caller.utterance.whole() if answer and caller.utterance.open else (b"", b"")
        return ReplyRequest(
            id=f"{self._call}/{reply.number}.{reply.rounds}",
            call=self._call,
            agent=self._agent,
            cue=cue,
            audio=audio,
            wide=wide,
            digits=caller.digits if answer else "",
            history=history,
            state=self._state,
            tool_results=self._results,
            early=reply.speculative,
            parties=self._parties,
            started_s=self._started_s,
            turn_end_ms=caller.speech_end_ms,
            over=paused is not None,
        )
