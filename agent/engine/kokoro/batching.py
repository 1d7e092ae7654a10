"""Chunks waiting for the model, and which of them share a batch."""

import asyncio
import bisect
import contextlib
import threading

import msgspec

from agent.engine.kokoro.forward import SynthesisInput, SynthesisOutput
from agent.engine.kokoro.phonemes import MAX_PHONEMES
from agent.exceptions import EngineError

SLACK = 12  # phonemes by which texts may differ in length and still share a batch
LONGER = 1.5  # or this factor
MAX_PADDED = 1536  # phonemes in one run, padding included: bounds its memory


class SynthesisJob(msgspec.Struct, frozen=True, eq=False):
    """One piece of one request."""

    request: str
    row: SynthesisInput
    first: bool  # a caller waits in silence for it
    result: "asyncio.Future[SynthesisOutput | None]"  # None: it was cancelled; the event loop's own, as in `deliver`

    @property
    def size(self) -> int:
        """Phonemes."""
        return len(self.row.tokens)

    def deliver(self, spoken: SynthesisOutput | EngineError) -> None:
        """Hand over the result, from any thread. It is discarded when nobody is waiting for it any more."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self.result.get_loop().call_soon_threadsafe(self._set, spoken)

    def _set(self, spoken: SynthesisOutput | EngineError) -> None:
        if self.result.done():
            return
        if isinstance(spoken, EngineError):
            self.result.set_exception(spoken)
            self.result.exception()  # the later pieces of a failed text are not awaited
        else:
            self.result.set_result(spoken)


def most_phonemes(batch: int) -> int:
    """In one run, padding included."""
    return max(MAX_PHONEMES, min(MAX_PADDED, batch * MAX_PHONEMES))


def is_first(request: str) -> bool:
    """Whether a chunk is the first of its reply: a request's id is the reply's, a dot, and the chunk's number."""
    return request.endswith(".0")


class BatchQueue:
    """A bounded queue from the event loop to the model's thread. First chunks of replies overtake the others."""

    def __init__(self, limit: int, batch: int) -> None:
        self._limit = limit
        self._batch = batch
        self._jobs: list[SynthesisJob] = []  # in the order in which they are served
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, jobs: list[SynthesisJob]) -> None:
        """Enqueue all pieces of a request, or none: raises EngineError when there is no room for them."""
        with self._changed:
            if self._closed:
                raise EngineError("Kokoro has been closed")
            if len(self._jobs) + len(jobs) > self._limit:
                raise EngineError(
                    f"Kokoro is too slow for so many calls: {len(self._jobs)} chunks wait already; "
                    "lower call.capacity, or raise engine.kokoro.waiting"
                )
            for job in jobs:
                bisect.insort(self._jobs, job, key=lambda waiting: not waiting.first)
            self._changed.notify()

    def drop(self, request: str) -> None:
        """Forget a request's waiting pieces."""
        with self._changed:
            self._jobs = [job for job in self._jobs if job.request != request]

    def take(self) -> list[SynthesisJob]:
        """Wait for work: the first in the queue and others of about its length, so that none waits for a longer one.
        Empty once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if self._closed:
                return []
            run = _together(self._jobs, self._batch)
            self._jobs = [job for job in self._jobs if job not in run]
            return run

    def close(self) -> None:
        """Stop handing out work, and forget what is waiting."""
        with self._changed:
            self._closed = True
            self._jobs = []
            self._changed.notify_all()


def _together(jobs: list[SynthesisJob], batch: int) -> list[SynthesisJob]:
    """The first job and those spoken together with it, at most `batch`."""
    head = jobs[0]
    most = max(head.size + SLACK, int(head.size * LONGER))
    least = min(head.size - SLACK, int(head.size / LONGER))
    run, longest = [head], head.size
    for job in jobs[1:]:
        if len(run) == batch:
            break
        padded = max(longest, job.size) * (len(run) + 1)
        if least <= job.size <= most and padded <= MAX_PADDED:
            run.append(job)
            longest = max(longest, job.size)
    return run
