"""`voxline dial` as people use it: processes of their own, real sockets."""

import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from telephony.cli.main import main
from telephony.lines.sip.syntax.message import Request, encode, parse
from telephony.lines.sip.transactions.answers import respond
from tests.forked import Forked
from tests.simulated import SIP, quick

SERVER = quick() | SIP


@pytest.fixture(scope="module")
def ours(serve: Callable[..., Any]) -> Any:
    """The server that calls."""
    return serve(SERVER)


@pytest.fixture(scope="module")
def theirs(serve: Callable[..., Any]) -> Any:
    """The server that is called, and hangs up."""
    return serve(SERVER | {"call.max_s": 1})


class Bob:
    """Somebody who is called, without a user agent."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(50)
        self.uri = f"sip:bob@127.0.0.1:{self._socket.getsockname()[1]}"

    def take(self, method: str, status: int, reason: bytes = b"") -> None:
        """Wait for the next request of that kind, and answer it; `reason` after the usual one."""
        while True:
            data, source = self._socket.recvfrom(65_535)
            request = parse(data)
            if isinstance(request, Request) and request.method == method:
                line, rest = encode(respond(request, status, tag="bob")).split(b"\r\n", 1)
                self._socket.sendto(line + reason + b"\r\n" + rest, source)
                return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def bob() -> Iterator[Bob]:
    """Bob, for one test."""
    one = Bob()
    yield one
    one.close()


@pytest.fixture
def start(ours: Any) -> Iterator[Callable[..., Forked]]:
    """Starts `voxline dial`; kills processes that have not ended."""
    started: list[Forked] = []

    def begin(*arguments: str) -> Forked:
        started.append(Forked(["dial", *arguments], output=True))
        return started[-1]

    yield begin
    for process in started:
        process.close()


def address(server: Any) -> str:
    port = server.wait_for("listening", sip="127.0.0.1")["ports"]["UDP"]
    return f"sip:front_desk@127.0.0.1:{port}"


def where(server: Any) -> list[str]:
    return ["--url", server.url, "--data", str(server.data)]


def test_a_call_from_one_server_to_another(ours: Any, theirs: Any, start: Callable[..., Any]) -> None:
    dial = start(address(theirs), *where(ours))
    out, errors = dial.communicate(timeout=50)
    assert (dial.returncode, errors) == (0, "")
    first, *between, last = out.splitlines()
    assert first.startswith(f"calling {address(theirs)} (call ")
    assert between in (["answered"], [])  # which a busy machine may be too late to see
    assert last == "ended: the called party hung up (hangup)"
    call = first.split()[-1].rstrip(")")
    assert ours.wait_for("ended", call=call)["outcome"] == "hangup"


def test_ctrl_c_gives_the_call_up(ours: Any, start: Callable[..., Any], bob: Bob) -> None:
    dial = start(bob.uri, *where(ours))
    bob.take("INVITE", 180)
    assert dial.stdout.readline().startswith("calling ")
    assert dial.stdout.readline() == "ringing\n"
    dial.send_signal(signal.SIGINT)
    bob.take("CANCEL", 200)
    out, errors = dial.communicate(timeout=50)
    assert (dial.returncode, out, errors) == (1, "cancelled\n", "")


@pytest.mark.parametrize(
    ("status", "said"), [(486, "busy: 486 Busy Here"), (603, "declined: 603 Decline"), (404, "failed: 404 Not Found")]
)
def test_a_call_that_is_not_answered_says_why(
    ours: Any, start: Callable[..., Any], bob: Bob, status: int, said: str
) -> None:
    dial = start(bob.uri, *where(ours))
    bob.take("INVITE", status)
    out, _ = dial.communicate(timeout=50)
    assert (dial.returncode, out.splitlines()[1:]) == (1, [said])


def test_what_the_other_side_says_does_not_command_the_terminal(ours: Any, start: Callable[..., Any], bob: Bob) -> None:
    dial = start(bob.uri, *where(ours))
    bob.take("INVITE", 486, b"\x1b[2J")
    out, _ = dial.communicate(timeout=50)
    assert out.splitlines()[1:] == ["busy: 486 Busy Here\\x1b[2J"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sip:bob@127.0.0.1", "--trunk", "acme"], "there is no trunk 'acme'; there are: none (422)"),
        (["bob"], "to: a URI without a scheme"),
        (["sip:bob@127.0.0.1", "--keys", "12-34"], "keys: '-' is no key: 0-9 * # A-D are keys"),
        (["sip:bob@127.0.0.1", "--data", "/nowhere"], "cannot read /nowhere/control-token, which a running server"),
        (["sip:bob@127.0.0.1", "--url", "http://127.0.0.1:1"], "no answer from http://127.0.0.1:1"),
    ],
)
def test_what_went_wrong_is_said_in_one_line(
    ours: Any, start: Callable[..., Any], arguments: list[str], said: str
) -> None:
    dial = start(arguments[0], *where(ours), *arguments[1:])
    out, errors = dial.communicate(timeout=50)
    assert (dial.returncode, out) == (1, "")
    assert errors.startswith("voxline: ")
    assert said in errors
    assert len(errors.splitlines()) == 1


def test_token_of_another_server(ours: Any, theirs: Any, start: Callable[..., Any]) -> None:
    dial = start("sip:bob@127.0.0.1", "--url", ours.url, "--data", str(theirs.data))
    _, errors = dial.communicate(timeout=50)
    assert dial.returncode == 1
    assert "the token is missing or wrong; is it the data folder of this server? (401)" in errors


def test_help_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["dial", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for part in ("to ", "--agent", "--trunk", "--keys", "--url", "--config", "--data", "Ctrl-C", "Exit status"):
        assert part in text
