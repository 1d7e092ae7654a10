"""What a caller's own page is shown of the conversation: states, words as far as `log.words` allows, latencies."""

from collections.abc import Callable

from agent import events as e
from agent.state import State

NAMES = {
    State.LISTENING: "listening",
    State.PROCESSING: "thinking",
    State.SPEAKING: "speaking",
    State.INTERRUPTED: "paused",
    State.HOLD: "on hold",
    State.CONNECTING: "connecting",
    State.TAKEN_OVER: "person",
    State.ENDED: "ended",
}


class PageEvents:
    """One call's. `show` is its line's."""

    def __init__(self, show: Callable[..., None], *, words: bool) -> None:
        self._show = show
        self._words = words
        self._state = State.IDLE
        self._silences_ms: dict[int, float] = {}  # by reply: from the caller's last speech to the decision

    def told(self, command: e.Command, state: State) -> None:
        """A command of the session, which is now in this state."""
        if state is not self._state:
            self._state = state
            self._show("state", state=NAMES.get(state, str(state)))
        match command:
            case e.TurnDecided() if command.cue == "answer":
                self._silences_ms = {command.reply: command.at_ms - command.speech_end_ms}
            case e.Interrupted():
                self._show("interrupted")
            case e.Said():
                text = command.text if self._words else None
                self._show("said", role=command.role, text=text, interrupted=command.interrupted)

    def answers(self, reply: int, took_ms: float) -> None:
        """The first audio of a reply has left, so long after its turn was decided."""
        silence_ms = self._silences_ms.pop(reply, None)
        if silence_ms is not None:
            self._show("latency", silence_ms=round(silence_ms), answer_ms=round(took_ms))
