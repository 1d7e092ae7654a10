"""Narrates a call as it happens, line by line, for people to read. Sans-I/O."""

from audio.rate import RATE, SAMPLES_PER_MS
from telephony.simulator.talk import Cleared, Talk


class Narrator:
    """Watches a talk. Each line tells one utterance: the caller's when it begins, the agent's when it is over."""

    def __init__(self, talk: Talk, quiet_ms: int) -> None:
        self._talk = talk
        self._quiet = quiet_ms * SAMPLES_PER_MS
        self._said = 0  # utterances of the caller told so far
        self._heard = 0  # talkspurts of the agent told so far

    def look(self, now: int, *, over: bool = False) -> list[str]:
        """The lines to tell now; once the talk is over, the rest."""
        said = self._talk.runner.said
        lines = self._agent(now, over=over)
        for item in said[self._said :]:
            way = "talks over the agent: " if item.interrupts else ""
            lines.append(f"{_seconds(item.onset)}  caller ▸ {way}{item.text}")
        self._said = len(said)
        return lines

    def _agent(self, now: int, *, over: bool) -> list[str]:
        """Finished utterances of the agent: talkspurts with neither a `clear` nor a long silence between them."""
        spurts, lines = self._talk.ear.spurts, []
        while self._heard < len(spurts):
            start, last = spurts[self._heard].start, self._heard
            clear = next((clear for clear in self._talk.clears if clear.at >= start), None)
            until = float("inf") if clear is None else clear.at
            while last + 1 < len(spurts) and spurts[last + 1].start < min(spurts[last].end + self._quiet, until):
                last += 1
            end = spurts[last].end
            if not over and last + 1 == len(spurts) and clear is None and now - end < self._quiet:
                break
            lines.append(self._line(start, end, clear if until < end + self._quiet else None))
            self._heard = last + 1
        return lines

    def _line(self, start: int, end: int, clear: Cleared | None) -> str:
        said = self._talk.runner.said
        asked = next((item for item in reversed(said) if item.answer and item.onset < start), None)
        line = f"{_seconds(start)}  agent  ▸ speaks {(end - start) / RATE:.1f} s"
        if asked is None:
            line += f", first heard {start // SAMPLES_PER_MS} ms after start"
        else:
            line += f", {(start - asked.end) // SAMPLES_PER_MS} ms after the caller"
        over = next((item for item in reversed(said) if clear and start < item.onset <= clear.at), None)
        if clear is not None and over is not None:
            line += f"; stopped {(clear.at - over.onset) // SAMPLES_PER_MS} ms after being talked over"
        return line


def _seconds(samples: int) -> str:
    return f"{samples / RATE:7.2f}"
