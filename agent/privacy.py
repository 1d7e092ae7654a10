"""Whether what is said and dialled in a call may be kept now: recorded, taped and logged. Sans-I/O."""

from agent import events as e
from agent.engine.base import Done


class Privacy:
    """The privacy of one call. Two things ask for it: a secret that the agent has asked for, until the caller has
    given it; and a model or a person, until one of them says that recording goes on."""

    def __init__(self) -> None:
        self.secret = False
        self.asked = False
        self._resumes = False  # once the tools that run have finished
        self._told = False  # what the last `Record` has said
        self._until = 0  # the caller's last utterance that was private

    @property
    def on(self) -> bool:
        """Whether nothing may be kept."""
        return self.secret or self.asked

    def follow(self, done: Done, utterance: int, *, tools: bool) -> list[e.Command]:
        """A reply counts. `utterance` is the number of the caller's last one. While its `tools` run, which may be given
        what is private, privacy does not end."""
        self.secret = done.secret or (tools and self.secret)
        if done.recording:
            self._resumes = done.recording == "resume"
            self.asked = self.asked or not self._resumes
        if self._resumes and not tools:
            self.asked = self._resumes = False
        return self._change(utterance)

    def switch(self, utterance: int, *, on: bool) -> list[e.Command]:
        """A person wants recording to go on, or to pause."""
        self.asked = not on
        return self._change(utterance)

    def covers(self, event: e.Event | None, utterance: int) -> bool:
        """Whether an event is private: it comes now, or belongs to what was said before privacy ended."""
        if self.on:
            return True
        match event:
            case e.Partial() | e.Transcribed():
                return event.utterance <= self._until
            case e.CallerSaid():
                return utterance <= self._until
        return False

    def _change(self, utterance: int) -> list[e.Command]:
        if self._told == self.on:
            return []
        self._told = self.on
        if not self.on:
            self._until = utterance
        return [e.Record(not self.on)]
