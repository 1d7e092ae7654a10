"""The worker's process itself, spoken to frame by frame over its socket."""

import json
import logging
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.engine.base import Cue, Done, ReplyRequest, SpeechBlock, Text
from agent.engine.process import protocol
from config.engine import EngineSettings
from config.extras import install_command

SECONDS = 20  # on a busy machine


class Process:
    """A worker and our end of its socket."""

    def __init__(self, grace_s: float = 10) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(SECONDS)
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "agent.engine.process.worker",
                    "--fd",
                    str(theirs.fileno()),
                    "--grace",
                    str(grace_s),
                ],
                pass_fds=[theirs.fileno()],
                stderr=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self._frames = protocol.Frames(protocol.FromWorker)
        self._came: list[Any] = []
        self._requests = 0

    def start(self, factory: str = "build", model: str = "", *, text: bool = False) -> Any:
        """Have it load; gives its answer."""
        settings = EngineSettings.model_validate({"profile": "gpu", "voxtral": {"model": model}})
        given = pickle.dumps((settings, {}))
        self.send(protocol.Start(f"tests.agent.engine.remote_parts.{factory}", given, logging.WARNING, log_text=text))
        return self.get()

    def send(self, *frames: Any) -> None:
        self.socket.sendall(b"".join(map(bytes, map(protocol.encode, frames))))

    def get(self) -> Any:
        while not self._came:
            data = self.socket.recv(1 << 16)
            assert data, "the worker has closed its socket"
            self._came += self._frames.feed(data)
        return self._came.pop(0)

    def number(self) -> int:
        """For the next request."""
        self._requests += 1
        return self._requests

    def ask(self, words: str) -> int:
        """Request a reply; gives its number."""
        number = self.number()
        self.send(protocol.Reply(number, ReplyRequest(f"r{number}", "CA1", "desk", Cue.ANSWER, words)))
        return number

    def answer(self, number: int) -> list[Any]:
        """What comes of a request, until its last word; nothing else may come in between."""
        came = [self.get()]
        while not isinstance(came[-1], protocol.Ended | protocol.Failed):
            came.append(self.get())
        assert {frame.id for frame in came} == {number}
        return came

    def end(self) -> tuple[int, str]:
        """Close our end; gives the exit status and what it wrote."""
        self.socket.close()
        output, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, output + errors

    def clean(self) -> None:
        self.socket.close()
        self.process.kill()
        self.process.communicate(timeout=SECONDS)


@pytest.fixture(scope="module")
def worker() -> Iterator[Callable[..., Process]]:
    """Starts workers that find the tests' engines."""
    started: list[Process] = []

    def start(grace_s: float = 10) -> Process:
        started.append(Process(grace_s))
        return started[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[4]))
        yield start
    for process in started:
        process.clean()


@pytest.fixture(scope="module")
def loaded(worker: Callable[..., Process]) -> Process:
    """One that serves several tests."""
    process = worker()
    assert process.start() == protocol.Ready(recognizer=True, transcribes_in_background=True)
    return process


def test_it_loads_answers_and_ends_with_its_socket(worker: Callable[..., Process], tmp_path: Path) -> None:
    process = worker()
    assert process.start("build_tidy", str(tmp_path / "closed")) == protocol.Ready(
        recognizer=True, transcribes_in_background=True
    )
    number = process.ask("count 2")
    assert process.answer(number) == [
        protocol.Said(number, Text("1")),
        protocol.Said(number, Text("2")),
        protocol.Said(number, Done()),
        protocol.Ended(number),
    ]
    process.ask("wait forever")
    assert process.get().item == Text("waiting")
    assert process.end() == (0, "")
    assert (tmp_path / "closed").read_text() == "closed"


def test_what_it_has_not_got_is_refused(worker: Callable[..., Process]) -> None:
    process = worker()
    number = process.ask("count 1")
    assert process.answer(number) == [protocol.Failed(number, "the engine's process has not loaded its engine")]
    assert process.start("build_without_ears") == protocol.Ready(recognizer=False, transcribes_in_background=True)
    process.send(protocol.Cancel("recognizer", "u1"), protocol.Finish(99, "u1"))
    assert process.answer(99) == [protocol.Failed(99, "the engine's process has no recognizer")]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("build_unloadable", "no weights in /models: put them there"),
        ("build_broken", "the engine cannot be loaded: OSError('the disk is on fire')"),
        (
            "build_missing",
            "the profile 'gpu' needs a package that is not installed: a_package_that_is_not_there; "
            f"{install_command('gpu')}",
        ),
    ],
)
def test_why_it_cannot_load_is_passed_on(worker: Callable[..., Process], factory: str, message: str) -> None:
    process = worker()
    assert process.start(factory) == protocol.Refused(message)
    status, log = process.end()
    assert status == 0
    if factory == "build_broken":  # a bug, or the machine's fault: how it came about is in the log
        assert "Traceback" in json.loads(log)["exc_info"]
    else:
        assert log == ""


def test_no_more_than_the_window_is_on_its_way(loaded: Process) -> None:
    number = loaded.ask("count 100")
    assert [loaded.get().item.text for _ in range(protocol.WINDOW)] == [str(n + 1) for n in range(protocol.WINDOW)]
    # Meanwhile other streams are answered, and this one makes nothing ahead but the item that waits.
    assert loaded.answer(loaded.ask("made_so_far"))[0].item == Text(str(protocol.WINDOW + 1))
    loaded.send(protocol.Ack(number, 2))
    assert [loaded.get().item.text for _ in range(2)] == [str(protocol.WINDOW + 1), str(protocol.WINDOW + 2)]
    assert loaded.answer(loaded.ask("made_so_far"))[0].item == Text(str(protocol.WINDOW + 3))
    loaded.send(protocol.Ack(number, 100))
    assert loaded.answer(number)[-2:] == [protocol.Said(number, Done()), protocol.Ended(number)]


def test_late_and_unknown_frames_do_no_harm(loaded: Process) -> None:
    number = loaded.ask("count 1")
    loaded.answer(number)
    loaded.send(
        protocol.Stop(number),
        protocol.Ack(number, 5),
        protocol.Cancel("model", "r1"),
        protocol.Stop(999),
        protocol.Ack(999, 1),
    )
    newer = protocol.encode(protocol.Cancel("model", "r1")).replace(b"Cancel", b"Cantor")
    loaded.socket.sendall(newer)
    loaded.send(protocol.Ping())
    assert loaded.get() == protocol.Pong()
    assert isinstance(loaded.answer(loaded.ask("count 1"))[-1], protocol.Ended)


def test_a_stream_that_is_stopped_is_closed(loaded: Process) -> None:
    number = loaded.ask("wait forever")
    assert loaded.get().item == Text("waiting")
    loaded.send(protocol.Stop(number))
    assert loaded.get() == protocol.Failed(number, "the request was cancelled")
    assert loaded.answer(loaded.ask(f"wait closed r{number}"))[1].item == Text("over")


def test_a_cancel_right_behind_its_block_still_forgets_it(loaded: Process) -> None:
    hear, finish = loaded.number(), loaded.number()
    block = SpeechBlock("u1", "c", "desk", b"\0" * 320)
    loaded.send(protocol.Hear(hear, block), protocol.Cancel("recognizer", "u1"))
    loaded.answer(hear)
    loaded.send(protocol.Finish(finish, "u1"))
    assert loaded.answer(finish)[0].item.text == "0"


def test_a_part_that_cancels_itself_ends_its_stream(loaded: Process) -> None:
    number = loaded.ask("cancelled")
    assert loaded.answer(number)[-1] == protocol.Failed(number, "the request was cancelled")


def test_signals_to_both_processes_leave_it_alone(loaded: Process) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        loaded.process.send_signal(signum)
    assert isinstance(loaded.answer(loaded.ask("count 1"))[-1], protocol.Ended)


def test_its_log_is_in_the_servers_format(worker: Callable[..., Process]) -> None:
    process = worker()
    process.start(text=True)
    number = process.ask("bug")
    assert process.answer(number)[-1] == protocol.Failed(number, "the engine failed: ValueError('a bug')")
    log = process.end()[1]
    assert " a request failed\n" in log
    assert not log.startswith("{")
    assert log.endswith("ValueError: a bug\n")


def test_a_crash_leaves_a_trace(worker: Callable[..., Process]) -> None:
    process = worker()
    process.start()
    process.ask("crash")
    _, log = process.process.communicate(timeout=SECONDS)
    assert process.process.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in log
    assert "in _crash" in log


def test_garbage_ends_it(worker: Callable[..., Process]) -> None:
    process = worker()
    process.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert process.process.wait(SECONDS) == 0


def test_an_engine_that_does_not_close_is_ended_by_force(worker: Callable[..., Process]) -> None:
    process = worker(grace_s=0.2)
    process.start("build_clinging")
    assert process.end() == (1, "the process of the models did not close in time\n")


def test_so_is_one_whose_event_loop_hangs(worker: Callable[..., Process]) -> None:
    process = worker(grace_s=0.2)
    process.start()
    process.ask("block")
    assert process.get().item == Text("now")
    assert process.end()[0] == 1
