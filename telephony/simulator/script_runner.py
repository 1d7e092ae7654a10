"""Runs a caller's script: goes through its steps and gives one 20 ms frame after another.

Sans-I/O; times in samples of the line (8 kHz) since the start of the stream.
"""

from collections.abc import Sequence

import msgspec

from audio.rate import FRAME, SAMPLES_PER_MS
from telephony.simulator.clip import Clip
from telephony.simulator.ear import Ear, Talkspurt
from telephony.simulator.script import Dtmf, HangUp, Interrupt, Noise, Say, Script, Silence, Step, Wait, Wav

MID_WORD = 100 * SAMPLES_PER_MS  # of the agent's voice before and after the moment of a mid-word interruption
KEY_EVERY = 250 * SAMPLES_PER_MS  # between two keys of a `dtmf` step


class ScriptedUtterance(msgspec.Struct, frozen=True):
    """Something the caller said, and its place in the stream."""

    step: int  # number in the script, from 1
    text: str
    noise: bool
    answer: bool  # the agent is expected to answer
    interrupts: bool  # meant to talk over the agent
    onset: int
    end: int


class ScriptRunner:
    """One caller in one call."""

    def __init__(self, script: Script, clips: Sequence[Clip | None], floor: Sequence[bytes]) -> None:
        self.said: list[ScriptedUtterance] = []
        self.keys: list[str] = []  # pressed with the last frame; the sender empties the list
        self.hangs_up = False  # the caller puts the receiver down
        self.error = ""  # why the script cannot go on
        self.steps_done = 0
        self._script = script
        self._clips = clips
        self._floor = floor
        self._steps = len(script.steps) * script.repeat
        self._clip: Clip | None = None
        self._frame = 0  # of the clip
        self._entered = 0  # when the current step began
        self._since = -1  # anything the agent begins to say after this is its next utterance
        self._heard_out = False  # the caller has waited for the agent, and done nothing since
        self._keys_sent = 0

    @property
    def complete(self) -> bool:
        """All steps are done."""
        return self.steps_done == self._steps

    def next_frame(self, position: int, ear: Ear) -> bytes:
        """The frame at `position`; `ear` has heard the agent until now."""
        if self._clip is None:
            self._act(position, ear)
        clip = self._clip
        if clip is None:
            return self._floor[position // FRAME % len(self._floor)]
        frame = clip.frames[self._frame]
        self._frame += 1
        if self._frame == len(clip.frames):
            self._clip = None
        return frame

    def cleared(self, now: int) -> None:
        """The agent gave up its utterance: whatever comes next is a new one."""
        self._since = max(self._since, now)

    def agent_left(self) -> None:
        """The agent has hung up: a caller who was only waiting for it to finish is done."""
        last = self.steps_done == self._steps - 1 and isinstance(self._script.steps[-1], Wait)
        self.steps_done += last and self._clip is None

    def _act(self, position: int, ear: Ear) -> None:
        while self._clip is None and not self.hangs_up and not self.error:
            if self.complete:
                self._stay(position)
                return
            index = self.steps_done % len(self._script.steps)
            if not self._step(self._script.steps[index], self._clips[index], position, ear):
                return
            self.steps_done += 1
            self._entered = position if self._clip is None else position + len(self._clip.frames) * FRAME

    def _step(self, step: Step, clip: Clip | None, position: int, ear: Ear) -> bool:
        """Begin or continue the step; True when the next one may begin (a clip is played out before it does)."""
        match step:
            case Say() | Wav() | Noise():
                assert clip is not None
                self._begin(clip, position)
                return True
            case Wait():
                return self._wait(step, position, ear)
            case Interrupt():
                assert clip is not None
                return self._interrupt(step, clip, position, ear)
            case Silence():
                return position - self._entered >= step.silence * SAMPLES_PER_MS
            case Dtmf():
                return self._press(step, position)
            case HangUp():
                self.hangs_up = True
                return True

    def _begin(self, clip: Clip, position: int, *, interrupts: bool = False) -> None:
        self._clip, self._frame = clip, 0
        utterance = ScriptedUtterance(
            step=self._number,
            text=clip.text,
            noise=clip.noise,
            answer=clip.answer,
            interrupts=interrupts,
            onset=position + clip.onset,
            end=position + clip.end,
        )
        self.said.append(utterance)
        if utterance.answer:
            self._heard_out = False
            self._since = max(self._since, utterance.onset)

    def _wait(self, step: Wait, position: int, ear: Ear) -> bool:
        quiet_ms = step.wait.quiet_ms or self._script.quiet_ms
        spurt = self._next_utterance(ear)
        if spurt is None and self._heard_out:
            return True
        if spurt is not None and position - spurt.end >= quiet_ms * SAMPLES_PER_MS:
            self._since, self._heard_out = position, True
            return True
        self._check(step.wait.timeout_ms, position, "wait", "finish speaking" if spurt else "speak")
        return False

    def _interrupt(self, step: Interrupt, clip: Clip, position: int, ear: Ear) -> bool:
        spurt = self._next_utterance(ear, first=True)
        ready = spurt is not None and position - spurt.start >= step.interrupt.after_ms * SAMPLES_PER_MS
        if ready and step.interrupt.mid_word:
            since, until = ear.unbroken(position)
            ready = min(position + clip.onset - since, until - position - clip.onset) >= MID_WORD
        if ready:
            self._begin(clip, position, interrupts=True)
            return True
        if spurt is None or step.interrupt.mid_word:
            self._check(step.interrupt.timeout_ms, position, "interrupt", "speak on" if spurt else "speak")
        return False

    def _press(self, step: Dtmf, position: int) -> bool:
        if self._keys_sent == len(step.dtmf):
            self._keys_sent, self._heard_out = 0, False
            self._since = max(self._since, position)  # dialling is a turn: the answer comes after it
            return True
        if position - self._entered >= self._keys_sent * KEY_EVERY:
            self.keys.append(step.dtmf[self._keys_sent])
            self._keys_sent += 1
        return False

    def _stay(self, position: int) -> None:
        """The script has ended: hang up, unless the agent is expected to end the call."""
        if self._script.expect in (None, "hung_up_by_caller"):
            self.hangs_up = True
        elif position - self._entered > self._script.timeout_ms * SAMPLES_PER_MS:
            self.error = f"the script is over, but the agent did not end the call in {self._script.timeout_ms} ms"

    def _next_utterance(self, ear: Ear, *, first: bool = False) -> Talkspurt | None:
        """The last (or first) talkspurt of the agent's next utterance."""
        if not ear.spurts or ear.spurts[-1].start <= self._since:
            return None
        if not first:
            return ear.spurts[-1]
        return next(spurt for spurt in ear.spurts if spurt.start > self._since)

    def _check(self, timeout_ms: int | None, position: int, kind: str, what: str) -> None:
        limit = self._script.timeout_ms if timeout_ms is None else timeout_ms
        if position - self._entered > limit * SAMPLES_PER_MS:
            self.error = f"step {self._number} ({kind}): the agent did not {what} within {limit} ms"

    @property
    def _number(self) -> int:
        return self.steps_done % len(self._script.steps) + 1
