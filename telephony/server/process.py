"""`voxline serve` in a process of its own, for the demo, the tests and the benchmarks."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Any, Protocol, Self

from telephony.lines.exceptions import LineError

START_S = 180  # loading and warming up on a very busy machine
STOP_S = 15
KEPT_LINES = 20_000

LogLine = dict[str, Any]


class Process(Protocol):
    """What we need of a process; `subprocess.Popen` is one."""

    pid: int
    stderr: IO[str] | None

    def poll(self) -> int | None:
        """Its exit status, once it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for it. Raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int) -> None:
        """Send a signal; does nothing if it has ended."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""


class ServerProcessError(LineError):
    """The server did not start, or the expected log line did not come."""


class ServerProcess:
    """A server on 127.0.0.1 with these settings, on a free port unless they say otherwise.

    Neither the caller's environment nor its settings file count, apart from `environment`. `log` holds the JSON lines
    it has written, `other_output` the rest of its standard error.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[LogLine], None] | None = None,
    ) -> None:
        """Start it and wait until it listens; raises ServerProcessError with its last output when it ends instead."""
        arguments = [
            part
            for key, value in {"server.port": 0, **settings}.items()
            for part in ("--set", f"{key}={json.dumps(value)}")
        ]
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("VOXLINE_", "TWILIO_"))}
        self.log: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self.other_output: deque[str] = deque(maxlen=KEPT_LINES)
        self._on_line = on_line
        self._news = threading.Condition()
        self._output_over = False
        self.process = self._start(["serve", *arguments], {**clean, **(environment or {})})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url: str = self.wait_for("listening", START_S, logger="voxline.server")["url"]
        except ServerProcessError:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_for(self, message: str, timeout_s: float = 10, **fields: Any) -> LogLine:
        """The first log line with this message and these fields; waits for it."""

        def found() -> LogLine | None:
            wanted = {"message": message, **fields}
            return next((line for line in self.log if wanted.items() <= line.items()), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._output_over, timeout_s)
            if line := found():
                return line
            last = [*self.other_output, *map(str, self.log)][-20:]
        state = f"the server has ended with {self.process.poll()}" if self._output_over else f"waited {timeout_s} s"
        raise ServerProcessError("\n".join([f"no log line {message!r} {fields or ''}: {state}", *last]))

    def stop(self) -> int:
        """End it gracefully if it is running, by force if it does not end; returns its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        status = self.process.wait(STOP_S)
        self._reader.join(STOP_S)
        assert self.process.stderr
        self.process.stderr.close()
        return status

    def _start(self, arguments: list[str], environment: dict[str, str]) -> Process:
        command = [sys.executable, "-m", "telephony.cli", *arguments]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603 (our own)

    def _read(self) -> None:
        assert self.process.stderr
        for text in self.process.stderr:
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            with self._news:
                if isinstance(line, dict):
                    self.log.append(line)
                else:
                    self.other_output.append(text)
                self._news.notify_all()
            if line and self._on_line:
                self._on_line(line)
        with self._news:
            self._output_over = True
            self._news.notify_all()
