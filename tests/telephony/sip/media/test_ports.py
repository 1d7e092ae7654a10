"""Ports of audio: even and odd, within the range, given back."""

import socket

import pytest

from telephony.sip.media import ports
from telephony.sip.media.ports import MediaSockets, NoPort


@pytest.mark.parametrize(("first", "last"), [(30_000, 30_003), (30_001, 30_004), (30_001, 30_005)])
def test_a_pair_lies_within_the_range(first: int, last: int) -> None:
    for _ in range(8):
        pair = MediaSockets("127.0.0.1", first, last)
        assert pair.port % 2 == 0
        assert first <= pair.port < pair.port + 1 <= last
        assert (pair.audio.getsockname()[1], pair.control.getsockname()[1]) == (pair.port, pair.port + 1)
        pair.close()


def test_full_range_is_said_and_nothing_is_kept() -> None:
    pair = MediaSockets("127.0.0.1", 30_010, 30_011)
    with pytest.raises(NoPort, match="from 30010 to 30011"):
        MediaSockets("127.0.0.1", 30_010, 30_011)
    pair.close()
    MediaSockets("127.0.0.1", 30_010, 30_011).close()


def test_a_taken_control_port_makes_the_pair_unusable() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 30_021))
        with pytest.raises(NoPort):
            MediaSockets("127.0.0.1", 30_020, 30_021)


def test_a_flood_is_read_a_little_at_a_time() -> None:
    pair = MediaSockets("127.0.0.1", 30_030, 30_039)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for number in range(40):
            peer.sendto(bytes([number]), ("127.0.0.1", pair.port))
        got: list[bytes] = []
        ports.receive(pair.audio, lambda data, source: got.append(data))
        assert got == [bytes([number]) for number in range(ports.AT_ONCE)]
        for _ in range(5):
            ports.receive(pair.audio, lambda data, source: got.append(data))
        assert len(got) == 40
    pair.close()


def test_what_cannot_be_sent_is_lost() -> None:
    pair = MediaSockets("127.0.0.1", 30_040, 30_049)
    ports.send(pair.audio, b"x" * 70_000, ("127.0.0.1", 9))
    ports.send(pair.audio, b"x", ("127.0.0.1", 9))
    ports.send(pair.audio, None, ("127.0.0.1", 9))
    ports.send(pair.audio, b"x", None)
    ports.receive(pair.audio, lambda data, source: pytest.fail("nothing was sent here"))
    pair.close()
