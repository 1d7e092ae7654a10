"""When what became of one call's replies, from the turn's decision to the first audio: ms of any steady clock.

Sans-I/O. A reply may have been begun before its turn was decided; what was there by then took no time.
"""

from collections.abc import Callable

from agent import events as e
from agent.engine.base import Cue
from telephony.timing.figures import CallFigures, Figures, Kind
from telephony.timing.turn_times import TurnTimes

MAX_REPLIES = 16  # that are followed at once; of older ones nothing comes any more


class _Times:
    """Of one reply."""

    def __init__(self) -> None:
        self.asked: float | None = None  # the model, or first the recognizer
        self.understood: float | None = None
        self.decided: float | None = None
        self.silence = 0.0  # of the caller, before that; in audio time
        self.text: float | None = None
        self.audio: float | None = None
        self.done = False  # the model has written all of it
        self.sent = False
        self.words = 0


class CallTiming:
    """Follows one call. `on_turn` is told of each turn whose answer is on its way."""

    def __init__(self, figures: Figures, call: str, on_turn: Callable[[TurnTimes], None] | None = None) -> None:
        self._on_turn = on_turn
        self._figures = figures
        self._call: CallFigures = figures.open(call)
        self._replies: dict[int, _Times] = {}

    def told(self, item: e.Event | e.Command, now: float) -> None:
        """An event of the engine, or a command of the session."""
        match item:
            case e.StartReply():
                times = self._of(item.reply)
                times.asked = now if times.asked is None else times.asked
            case e.TurnDecided() if item.cue == Cue.ANSWER:
                times = self._of(item.reply)
                times.decided, times.silence = now, item.at_ms - item.speech_end_ms
            case e.CallerSaid():
                self._of(item.reply).understood = now
            case e.ReplyText():
                self._text(self._of(item.reply), item.text, now)
            case e.ReplyAudio():
                self._audio(self._of(item.reply), now)
            case e.ReplyDone():
                self._of(item.reply).done = True
            case e.Partial() if item.text:
                self._call.partial_transcripts += 1
                self._figures.count("partial_transcripts")
            case e.Pause() if item.onset_ms is not None:
                self._figures.add(self._call, "interruption_response", item.at_ms - item.onset_ms)

    def sent(self, reply: int, now: float) -> None:
        """The first audio of a reply is on its way to the caller."""
        times = self._replies.get(reply)
        if times is None or times.decided is None or times.text is None or times.sent:
            return
        times.sent = True
        text = max(times.text, times.decided)
        self._add("first_word", text - times.decided)
        self._add("word_to_audio", now - text)
        self._add("perceived", now - times.decided)
        self._add("end_to_end", times.silence + now - times.decided)
        if self._on_turn:
            self._on_turn(
                TurnTimes(
                    reply,
                    times.decided - times.silence,
                    times.decided,
                    times.asked,
                    times.understood,
                    times.text,
                    times.audio,
                    now,
                    times.words,
                )
            )

    def _text(self, times: _Times, text: str, now: float) -> None:
        times.words += len(text.split())
        self._call.longest_reply_words = max(self._call.longest_reply_words, times.words)
        if times.text is None:
            times.text = now
            if times.asked is not None:
                self._add("first_token", now - times.asked)

    def _audio(self, times: _Times, now: float) -> None:
        if times.audio is not None:
            return
        times.audio = now
        if times.text is not None:
            self._add("first_audio", now - times.text)
        self._call.replies += 1
        if self._call.replies == 1:
            self._figures.count("talks")
        if not times.done:
            self._call.concurrent_tts_triggers += 1
            self._figures.count("concurrent_tts_triggers")
            if self._call.concurrent_tts_triggers == 1:
                self._figures.count("concurrent_talks")

    def _add(self, kind: Kind, ms: float) -> None:
        self._figures.add(self._call, kind, ms)

    def _of(self, reply: int) -> _Times:
        if reply not in self._replies:
            self._replies[reply] = _Times()
            while len(self._replies) > MAX_REPLIES:
                del self._replies[min(self._replies)]
        return self._replies[reply]
