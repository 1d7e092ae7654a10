"""What became of each reply of a call, followed through its tape. Times are ms of media time."""

from collections.abc import Iterator

from audio.rate import SAMPLES_PER_MS
from telephony.report.caller_speech import CallerSpeech
from telephony.report.replies import TOLERANCE_MS, Break, ReplyStory, Span, TimedWord
from telephony.report.tape import CarrierEvent, Item, Tape, TapeLine

INTERVENTIONS = ("Held", "Retrieved", "TakenOver", "TransferRequested")


class Story:
    """Follows a whole tape."""

    def __init__(self, tape: Tape) -> None:
        self.replies: dict[int, ReplyStory] = {}
        self.breaks: list[Break] = []
        self.resumed: set[int] = set()  # replies that went on after a break
        self.holes: list[tuple[float, float]] = []  # the ear ran dry within a reply, as the line has counted it
        self.spans: list[Span] = []  # of all replies, in order
        self.forgotten: list[float] = []  # when an utterance turned out to be none
        self.speech = CallerSpeech(tape.header)
        self._keys: list[float] = []  # pressed since the last turn went into the history
        self._replies_to: dict[int, int] = {}  # by the utterance
        self._playing: int | None = None
        self._flowing = False  # the next block is to follow the last one without a break
        self._dry_ms = 0.0  # before the next block
        for line in tape.lines:
            self._follow(line)

    def turns(self) -> Iterator[ReplyStory]:
        """The replies that answer a turn of the caller and were not taken back."""
        return (reply for reply in self.replies.values() if reply.cue == "answer" and not self.taken_back(reply))

    def stretches(self) -> list[Span]:
        """What the ear heard, blocks without a hole between them taken as one."""
        joined: list[Span] = []
        for span in self.spans:
            last = joined[-1] if joined else None
            if last and last.reply == span.reply and abs(span.start_ms - last.end_ms) <= TOLERANCE_MS:
                last.end_ms = span.end_ms
            else:
                joined.append(Span(span.reply, span.start_ms, span.end_ms, span.from_ms))
        return joined

    @staticmethod
    def taken_back(reply: ReplyStory) -> bool:
        """Whether it was given up before the caller could hear any of it."""
        return reply.cancelled_at is not None and reply.played_at is None and not reply.spans

    def reply(self, number: int) -> ReplyStory:
        """The reply of this number."""
        return self.replies.setdefault(number, ReplyStory(number))

    def _follow(self, line: TapeLine) -> None:
        if line.wire:
            self._on_wire(line.wire)
        if line.event:
            self._on_event(line.at, line.event)
        if _is_hold(line):
            self._on_hold(line.at)
        for command in line.commands:
            self._on_command(line, command)
        if _was_noise(line):
            self.forgotten.append(line.at)

    def _on_wire(self, wire: CarrierEvent) -> None:
        if wire.out == "media":
            self._on_media(wire)
        elif wire.out == "underrun":
            self._dry_ms = wire.ms
        elif wire.out == "clear":
            self._close(wire.at)
            self._clear(wire.at)
        elif wire.out == "mark" and wire.mark and self.spans and self.spans[-1].reply == wire.mark[0]:
            span = self.spans[-1]
            self._close(span.start_ms + wire.mark[1] / SAMPLES_PER_MS - span.from_ms)

    def _on_media(self, wire: CarrierEvent) -> None:
        from_ms, start_ms = wire.position / SAMPLES_PER_MS, wire.plays_at
        last = self.spans[-1] if self.spans else None
        if last and last.reply == wire.reply and self._flowing:
            self._close(last.start_ms + from_ms - last.from_ms)
            # Media time moves on in frames, and stands still with the caller's audio, so the tape tells the time of a
            # block only roughly; that blocks follow one another without a break, or how long it was, is certain.
            start_ms = last.end_ms + self._dry_ms
            if self._dry_ms:
                self.holes.append((last.end_ms, start_ms))
        elif last:
            start_ms = max(start_ms, last.end_ms)
        self._dry_ms = 0.0
        self._playing = wire.reply
        self._flowing = True
        end_ms = start_ms + len(wire.ulaw) / SAMPLES_PER_MS
        span = Span(wire.reply, start_ms, end_ms, from_ms, wire.ulaw, open=not wire.ulaw)
        self.spans.append(span)
        self.reply(wire.reply).spans.append(span)

    def _on_hold(self, at: float) -> None:
        """A sound over the agent has ended; the pause that a hold makes is not one. What was being said or dialled is
        forgotten."""
        self._flowing = False
        self._keys.clear()
        self.speech.held(at)
        if self.breaks and self.breaks[-1].over_ms is None:
            self.breaks[-1].over_ms, self.breaks[-1].resumed = at, True

    def _close(self, end_ms: float) -> None:
        if self.spans and self.spans[-1].open:
            span = self.spans[-1]
            span.end_ms = max(span.start_ms, end_ms)
            span.open = False

    def _clear(self, at: float) -> None:
        self._flowing = False
        while self.spans and self.spans[-1].start_ms >= at:
            span = self.spans.pop()
            self.reply(span.reply).spans.pop()
        if self.spans:
            self.spans[-1].end_ms = min(self.spans[-1].end_ms, at)

    def _on_event(self, at: float, event: Item) -> None:
        if event.type == "SpeechProbability":
            self.speech.add(event.value, event.at_ms)
        elif event.type == "Dtmf" and event.digit != "#":
            self._keys.append(at)
        elif event.type == "Partial" and self.breaks and self.breaks[-1].over_ms is None:
            self.breaks[-1].guess = event.text
            self.breaks[-1].meaning = event.meaning or ""
        elif event.type == "HungUp":
            self._clear(at)
        if event.reply is not None:
            self._on_reply_event(at, event, self.reply(event.reply))

    def _on_reply_event(self, at: float, event: Item, reply: ReplyStory) -> None:
        match event.type:
            case "Played":
                reply.played_ms = max(reply.played_ms, event.ms)
            case "Paused":
                reply.played_ms = max(reply.played_ms, event.ms)
                if self.breaks and self.breaks[-1].over_ms is None:
                    self.breaks[-1].heard_ms = event.ms
            case "CallerSaid":
                reply.transcript_at = _first(reply.transcript_at, at)
                reply.caller_text = event.text
            case "ReplyText":
                reply.text_at = _first(reply.text_at, at)
                reply.text += event.text
            case "ReplyAudio":
                reply.made_at = _first(reply.made_at, at)
                start = reply.audio_ms
                reply.words += [TimedWord(w.text, start + w.start_ms, start + w.end_ms) for w in event.words]
                reply.audio_ms += len(event.ulaw) / SAMPLES_PER_MS
            case "ReplyFailed":
                reply.failed = event.reason or "no reason given"
            case "ReplyUnfinished":
                reply.unfinished = True

    def _on_command(self, line: TapeLine, command: Item) -> None:
        if command.type == "Said":
            self._on_said(line, command)
        elif command.type == "TurnDecided" and command.reply is not None:
            self._on_decided(line, command, self.reply(command.reply))
        elif command.reply is not None and not self._is_intervention(line, command):
            self._on_reply_command(line.at, command, self.reply(command.reply))

    def _is_intervention(self, line: TapeLine, command: Item) -> bool:
        """Whether a hold or an operator has paused or ended a reply, which the caller's speech had not."""
        if command.type in ("Pause", "Resume"):
            return line.event is not None and line.event.type in INTERVENTIONS
        if command.type != "Drop" or any(other.type == "Interrupted" for other in line.commands):
            return False
        self._flowing = False
        return not self.breaks or self.breaks[-1].over_ms is not None

    def _on_decided(self, line: TapeLine, command: Item, reply: ReplyStory) -> None:
        reply.cue = command.cue
        reply.decided_at = _first(reply.decided_at, command.at_ms)
        reply.speech_end_ms = command.speech_end_ms
        if command.cue != "answer":
            return
        for other in line.commands:  # a speculative reply had no keys to answer
            if other.type == "StartReply" and other.reply == reply.number:
                count = len(self._keys) if other.request.digits is None else len(other.request.digits)
                reply.keys_at = tuple(self._keys[-count:] if count else ())
        if not reply.keys_at:
            self.speech.decided(command.speech_end_ms)

    def _on_reply_command(self, at: float, command: Item, reply: ReplyStory) -> None:
        match command.type:
            case "StartReply" if command.utterance is not None:
                self._replies_to[command.utterance] = reply.number
            case "Play":
                reply.played_at = _first(reply.played_at, at)
            case "Press":
                reply.pressed_at, reply.text = at, command.keys
            case "CancelReply":
                reply.cancelled_at = at
                if self.taken_back(reply) and reply.decided_at is not None:
                    self.speech.taken_back.append(reply.decided_at)
            case "Pause":
                onset_ms = self.speech.onset(at) if command.onset_ms is None else command.onset_ms
                self.breaks.append(Break(reply.number, at, onset_ms))
            case "Resume" | "Drop":
                self._flowing = False
                self._break_over(reply, at, resumed=command.type == "Resume")
                if command.type == "Resume":
                    self.resumed.add(reply.number)
                    self.speech.dismissed()
            case "Interrupted":
                reply.interrupted = True
                reply.heard_text = command.heard
                talk_over = self._break_over(reply, command.at_ms)
                talk_over.onset_ms = command.onset_ms or talk_over.onset_ms

    def _break_over(self, reply: ReplyStory, at: float, *, resumed: bool = False) -> Break:
        """The caller's sound over this reply is understood. `Drop` and `Interrupted` come together, in any order."""
        last = self.breaks[-1] if self.breaks else None
        if last is None or last.reply != reply.number or last.resumed:
            last = Break(reply.number, None)
            self.breaks.append(last)
        if last.over_ms is None:
            last.over_ms = at
            last.resumed = resumed
        return last

    def _on_said(self, line: TapeLine, said: Item) -> None:
        """It names no reply: that is named next to it, or is the one being played. Words that come late are those of
        their utterance."""
        items = [line.event, *line.commands] if line.event else line.commands
        number = next((item.reply for item in items if item and item.reply is not None), self._playing)
        if line.event and line.event.type == "Transcribed" and line.event.utterance is not None:
            number = self._replies_to.get(line.event.utterance)
        elif said.role == "caller":
            self._keys.clear()
        if number is None:
            return
        reply = self.reply(number)
        if said.role == "caller":
            reply.caller_text = said.text or reply.caller_text
        elif said.interrupted:
            reply.interrupted = True
            reply.heard_text = said.text
        else:
            reply.finished = True


def _is_hold(line: TapeLine) -> bool:
    """Whether the caller has put the call on hold, or taken it off."""
    return line.event is not None and line.event.type in ("Held", "Retrieved")


def _was_noise(line: TapeLine) -> bool:
    """Whether an utterance is forgotten for good. It is also forgotten, to be heard anew, when an answer to it is taken
    back, and at the end of a pause or of the call.
    """
    kinds = [command.type for command in line.commands]
    if "Resume" in kinds or _is_hold(line) or (line.event and line.event.type in ("HungUp", "Shutdown")):
        return False
    return kinds.count("ForgetUtterance") > ("CancelReply" in kinds)


def _first(known: float | None, at: float) -> float:
    return at if known is None else known
