"""`voxline` as a process of its own that starts at once: forked from one that has already imported everything.

A new process would spend 1 s of a core on imports, every time. That `python -m telephony.cli` does the same is seen by
`tests/telephony/cli/test_serve.py` and the demo.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import IO

from telephony.cli import main as cli

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "telephony.server.app",
        "telephony.cli.main",
        "telephony.server.draining",
        "telephony.cli.welcome",
        "telephony.cli.control_client",
        __name__,
    ]
)


class Forked:
    """`main` with these arguments; used as a `subprocess.Popen` is."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        main: Callable[[list[str]], int] = cli.main,
        output: bool = False,
    ) -> None:
        """Without `environment`, in that of this process without its settings. Standard output is kept only with
        `output`."""
        if environment is None:
            environment = {key: os.environ[key] for key in os.environ if not key.startswith(("VOXLINE_", "TWILIO_"))}
        self.stderr: IO[str] | None
        self.stdout: IO[str] | None
        self.stderr, errors = _pipe()
        self.stdout, out = _pipe() if output else (None, None)
        self._process = CONTEXT.Process(target=_main, args=(main, list(arguments), dict(environment), errors, out))
        self._process.start()
        for end in (errors, out):
            if end is not None:
                end.close()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("voxline", timeout or 0)
        return status

    def communicate(self, timeout: float) -> tuple[str, str]:
        """The rest of its output. There is so little of it that the pipes can be read one after the other."""
        assert self.stdout
        assert self.stderr
        with self.stdout, self.stderr:
            said = self.stdout.read(), self.stderr.read()
        self.wait(timeout)
        return said

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kill it if it has not ended, and close its pipes."""
        self.kill()
        self.wait()
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()


def _pipe() -> tuple[IO[str], Connection]:
    """The end to read from, and the end for the process."""
    read, write = os.pipe()
    return os.fdopen(read), Connection(write, readable=False)


def _main(
    main: Callable[[list[str]], int],
    arguments: list[str],
    environment: dict[str, str],
    errors: Connection,
    out: Connection | None,
) -> None:
    for number, end in ((1, out), (2, errors)):
        if end is not None:
            os.dup2(end.fileno(), number)
            end.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal, not as in the background of a shell
    os.environ.clear()
    os.environ.update(environment)
    sys.exit(main(arguments))
