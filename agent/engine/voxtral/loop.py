"""One thread that makes all replies at once: each step writes one token of every reply, and between steps one more
reply is admitted.

So no caller waits longer than it takes to read one prompt, and all share the cost of the model.
"""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from agent.engine.faults import judge
from agent.engine.host import use_own_stream
from agent.engine.voxtral.decoder import Decoder, SlotInput
from agent.engine.voxtral.slots import Slots
from agent.exceptions import DeviceLost, EngineError, OutOfMemory
from audio.rate import RATE

log = logging.getLogger(__name__)

CLOSE_S = 30.0  # for the thread to end: one step, or the capture of one graph


@dataclass(eq=False)
class DecodeJob:
    """One reply, or one transcript: what the loop is asked for."""

    id: str
    ids: list[int]  # the prompt's tokens
    audio: bytes = b""  # mono PCM16, for the prompt's audio tokens
    bands: torch.Tensor | None = None  # its spectrogram's frames, if known (see GrowingMel)
    call: str = ""  # a call's prompts begin alike
    shared: int = 0  # tokens before the audio, with which the call's next prompt may begin
    max_tokens: int = 250
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    forbidden: bool = False  # whether it must not begin with what `forbidden` names
    patient: bool = False  # admitted only when nothing else waits
    rate: int = RATE  # Hz
    cancelled: bool = field(default=False, init=False)


class DecodeEvent(NamedTuple):
    """A token of a job, or its end: None, or the error that ended it. A cancelled job has no end."""

    job: DecodeJob
    what: int | EngineError | None


@dataclass(eq=False)
class Running:
    """A job in its slot."""

    job: DecodeJob
    slot: int
    random: random.Random
    token: int = 0  # the last one, not yet read
    length: int = 0  # positions filled
    written: int = 0  # tokens

    def row(self) -> SlotInput:
        """What the next step needs, with a random number drawn for it."""
        job = self.job
        return SlotInput(self.slot, self.token, self.length, job.temperature, job.top_p, self.random.random())


class DecodeLoop:
    """Runs jobs on a decoder. `deliver` is called in the loop's thread with all events of a step or an admission."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        waiting: int,
        end: int,
        forbidden: list[int],
        prefixes: list[list[int]],
        deliver: Callable[[list[DecodeEvent]], None],
    ) -> None:
        self.slots = Slots(decoder.slots)
        self._decoder = decoder
        self._max_waiting = waiting
        self._end = end
        self._forbidden = forbidden
        self._prefixes = prefixes
        self._deliver = deliver
        self._waiting: deque[DecodeJob] = deque()
        self._patient: deque[DecodeJob] = deque()
        self._running: list[Running] = []  # newest last
        self._events: list[DecodeEvent] = []
        self._changed = threading.Condition()
        self._closing = False
        self._ready = threading.Event()
        self._failure: Exception | None = None  # during warm-up
        self._lost: DeviceLost | None = None  # why the loop ended, if not by `close`
        self._thread = threading.Thread(target=self._run, name="voxtral", daemon=True)

    def start(self) -> None:
        """Warm up and begin; raises EngineError when the warm-up fails. Blocks until then."""
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise EngineError(f"Voxtral could not warm up: {self._failure}") from self._failure

    def submit(self, job: DecodeJob) -> None:
        """Queue a job for a slot; raises EngineError when too many are waiting."""
        with self._changed:
            if self._closing:
                raise self._over()
            if len(self._waiting) + len(self._patient) >= self._max_waiting:
                if job.patient or not self._patient:
                    raise EngineError(
                        f"{self._max_waiting} replies wait already: the GPU is too slow for so many calls"
                    )
                self._events.append(DecodeEvent(self._patient.pop(), EngineError("a reply needs its place")))
            (self._patient if job.patient else self._waiting).append(job)
            self._changed.notify()

    def cancel(self, job: DecodeJob) -> None:
        """End a job before the next step; no event of it comes after that."""
        with self._changed:
            job.cancelled = True
            for queue in (self._waiting, self._patient):
                if job in queue:
                    queue.remove(job)
            self._changed.notify()

    def close(self) -> None:
        """End the thread, and every job with an error. Blocks until the running step is over."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    # In the thread

    @torch.inference_mode()
    def _run(self) -> None:
        try:
            use_own_stream(self._decoder.device.type)
            self._decoder.warm_up()
            for prefix in self._prefixes:
                self._decoder.learn(prefix)
            first = torch.tensor(self._forbidden, dtype=torch.long, device=self._decoder.device)
        except Exception as error:  # noqa: BLE001 (whoever starts the loop is told)
            self._failure = error
            return
        finally:
            self._ready.set()
        try:
            while self._turn(first):
                self._flush()
        except DeviceLost as error:
            log.exception("the decode loop is over")
            self._lost = error
        except Exception:
            log.exception("the decode loop has failed")
        with self._changed:
            self._closing = True
        for job in [*(running.job for running in self._running), *self._waiting, *self._patient]:
            self._events.append(DecodeEvent(job, self._over()))
        self._flush()

    def _turn(self, first: torch.Tensor) -> bool:
        """Admit a job and write one token of each; waits while there is nothing to do. False once the loop is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._running or self._events or self._can_admit())
            if self._closing:
                return False
            job = self._next() if self._can_admit() else None
        for running in [running for running in self._running if running.job.cancelled]:
            self._release(running)
        if job:
            self._admit(job, first)
            self._flush()  # a first word need not wait for the step
        if self._running:
            self._step()
        return True

    def _can_admit(self) -> bool:
        # A transcript never takes the last slot: a caller may want an answer.
        return self.slots.free > 0 if self._waiting else self.slots.free > 1 and bool(self._patient)

    def _next(self) -> DecodeJob:
        return self._waiting.popleft() if self._waiting else self._patient.popleft()

    def _admit(self, job: DecodeJob, first: torch.Tensor) -> None:
        """Read a job's prompt into a slot and write its first token."""
        source, length = self.slots.longest(job.call, job.ids)
        running = Running(job, self.slots.take(), random.Random(job.seed))  # noqa: S311 (no secret)
        self.slots.hold(running.slot, "", [])
        self._running.append(running)
        try:
            if job.bands is not None:
                self._decoder.hear(job.audio, job.bands, job.rate)
            known = self._decoder.inherit(running.slot, job.ids, source, length)
            logits = self._decoder.prefill(running.slot, job.ids[known:], job.audio, known, job.rate)
            token = self._decoder.pick(logits, running.row(), first if job.forbidden else None)
        except Exception as error:  # noqa: BLE001 (a bad job costs nobody else anything)
            self._shed([running], error)
            return
        self.slots.hold(running.slot, job.call, job.ids[: job.shared])
        running.length = len(job.ids)
        self._write(running, token)

    def _step(self) -> None:
        try:
            tokens = self._decoder.step([running.row() for running in self._running])
        except Exception as error:  # noqa: BLE001 (whatever torch raises)
            self._shed(self._running, error)
            return
        for running, token in zip(list(self._running), tokens, strict=True):
            running.length += 1
            self._write(running, token)

    def _write(self, running: Running, token: int) -> None:
        """Pass on a token of a job, or its end."""
        running.token = token
        running.written += 1
        if token != self._end:
            self._events.append(DecodeEvent(running.job, token))
        full = running.length >= self._decoder.context
        if token == self._end or running.written >= running.job.max_tokens or full:
            self._release(running)
            self._events.append(DecodeEvent(running.job, None))

    def _shed(self, among: list[Running], error: Exception) -> None:
        """Something has failed for these jobs. The newest gives way where memory was short, and the others repeat the
        step; else what was at fault cannot be known, and all are given up. Raises DeviceLost where nothing can go on.
        """
        fault = judge(error, "Voxtral", "lower engine.voxtral.slots or engine.voxtral.context")
        if isinstance(fault, DeviceLost):
            raise fault from error
        given_up = among[-1:] if isinstance(fault, OutOfMemory) else list(among)
        for running in given_up:
            log.error("%s: %s", running.job.id, fault, exc_info=None if isinstance(fault, OutOfMemory) else error)
            self._release(running)
            self._events.append(DecodeEvent(running.job, fault))

    def _release(self, running: Running) -> None:
        self._running.remove(running)
        self.slots.give_back(running.slot)

    def _over(self) -> EngineError:
        return DeviceLost(str(self._lost)) if self._lost else EngineError("Voxtral has been closed")

    def _flush(self) -> None:
        with self._changed:
            events, self._events = self._events, []
        if events:
            try:
                self._deliver([event for event in events if not event.job.cancelled])
            except Exception:
                log.exception("events were lost")
