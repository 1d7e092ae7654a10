"""Ports that are free, taken, or cannot be had."""

import errno
import socket

import pytest

from telephony.doctor.ports import ADVICE, is_local, leaves_from, try_port
from telephony.lines.sip.network.sockets import bind_udp


def test_a_free_port_is_given_back_at_once() -> None:
    with bind_udp("127.0.0.1", 0) as drawn:
        port = drawn.getsockname()[1]
    finding = try_port("sip", "UDP", "127.0.0.1", port, bind_udp, running=False)
    assert (finding.level, finding.text) == ("ok", f"UDP 127.0.0.1:{port}: free to listen on")
    bind_udp("127.0.0.1", port).close()


def test_a_taken_port_is_a_problem_unless_voxline_runs() -> None:
    with bind_udp("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        finding = try_port("sip", "UDP", "127.0.0.1", port, bind_udp, running=False)
        assert (finding.level, finding.advice) == ("problem", ADVICE[errno.EADDRINUSE])
        assert f"127.0.0.1:{port}" in finding.text
        assert try_port("sip", "UDP", "127.0.0.1", port, bind_udp, running=True).level == "ok"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EADDRNOTAVAIL])
def test_what_else_keeps_a_port_from_us_is_a_problem_even_while_voxline_runs(number: int) -> None:
    def refuse(host: str, port: int) -> socket.socket:
        raise OSError(number, "no")

    finding = try_port("sip", "UDP", "127.0.0.1", 80, refuse, running=True)
    assert (finding.level, finding.advice) == ("problem", ADVICE[number])


def test_addresses_of_this_machine_are_told_from_others() -> None:
    assert is_local("127.0.0.1")
    assert not is_local("192.0.2.1")  # for documentation


def test_the_address_that_packets_leave_from_is_one_of_ours() -> None:
    address = leaves_from(4)
    assert not address or is_local(address)
