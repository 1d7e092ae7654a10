"""One thread that writes the files of all calls, so that a slow disk keeps no frame waiting."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

F = TypeVar("F")  # the file of one call
T = TypeVar("T")


class Writer(Generic[F]):
    """Flushes every open file once in `every_s`, and finishes those that are closed. All that it is given is called in
    its thread, and deals with its own errors."""

    def __init__(
        self,
        name: str,
        *,
        every_s: float,
        stop_s: float,
        begin: Callable[[], bool],
        flush: Callable[[F], None],
        finish: Callable[[F], None],
        idle: Callable[[], bool],
    ) -> None:
        """`begin` is called first of all, `idle` after each round; while they return true, the next round follows at
        once. `stop_s` is how long `stop` waits. `finish` comes after the last `flush` of a file."""
        self.end_s = float("inf")  # by which the thread is to have ended, on the monotonic clock
        self._every_s, self._stop_s = every_s, stop_s
        self._begin, self._flush, self._finish, self._idle = begin, flush, finish, idle
        self._open: set[F] = set()
        self._closed: list[F] = []
        self._jobs: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self.thread.start()

    def open(self, file: F) -> None:
        """A file for a call that begins."""
        with self._lock:
            self._open.add(file)

    def close(self, file: F, most: int) -> bool:
        """The call is over: what remains is written, and the file finished. False if `most` wait for that already: it
        is left as it is."""
        with self._lock:
            self._open.discard(file)
            room = len(self._closed) < most
            if room:
                self._closed.append(file)
        self._wake.set()
        return room

    def ask(self, job: Callable[[], T]) -> Future[T]:
        """Do something in the thread, after what was closed before has been finished. The result raises what the job
        does."""
        done: Future[T] = Future()

        def do() -> None:
            try:
                done.set_result(job())
            except Exception as error:  # noqa: BLE001 (it belongs to who asked)
                done.set_exception(error)

        with self._lock:
            self._jobs.append(do)
        self._wake.set()
        return done

    def stop(self) -> None:
        """Write everything and end."""
        self.end_s = min(self.end_s, time.monotonic() + self._stop_s)
        self._wake.set()
        self.thread.join(self._stop_s + self._every_s)

    def _run(self) -> None:
        busy = self._begin()
        while True:
            self._wake.wait(0 if busy else self._every_s)
            self._wake.clear()
            ending = self.end_s < float("inf")
            with self._lock:
                files, closed, jobs = list(self._open), self._closed, self._jobs
                self._closed, self._jobs = [], []
            for file in [*files, *closed]:
                self._flush(file)
            for file in [*files, *closed] if ending else closed:
                self._finish(file)
            for job in jobs:
                job()
            if ending:
                return
            busy = self._idle()
