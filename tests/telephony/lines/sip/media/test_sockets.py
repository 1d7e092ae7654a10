"""Ports of audio: even and odd, within the range, given back."""

import socket
import sys
import time

import pytest

from telephony.lines.sip.media import sockets
from telephony.lines.sip.media.sockets import MediaSockets, NoPort


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
        for number in range(80):
            peer.sendto(bytes([number]), ("127.0.0.1", pair.port))
        got = [data for data, _, _ in sockets.receive(pair.audio)]
        assert got == [bytes([number]) for number in range(sockets.AT_ONCE)]
        got += [data for data, _, _ in sockets.receive(pair.audio)]
        assert len(got) == 80
    pair.close()


def test_what_cannot_be_sent_is_lost() -> None:
    pair = MediaSockets("127.0.0.1", 30_040, 30_049)
    sockets.send(pair.audio, b"x" * 70_000, ("127.0.0.1", 9))
    sockets.send(pair.audio, b"x", ("127.0.0.1", 9))
    sockets.send(pair.audio, None, ("127.0.0.1", 9))
    sockets.send(pair.audio, b"x", None)
    assert not list(sockets.receive(pair.audio))
    pair.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps")
def test_the_kernel_knows_when_a_packet_came(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = MediaSockets("127.0.0.1", 30_050, 30_059)
    clock = time.time_ns

    def receive() -> tuple[int, list[tuple[bytes, tuple[str, int], float]]]:
        """The packets received by now, and the time."""
        now = clock()
        monkeypatch.setattr(sockets.time, "time_ns", lambda: now)
        return now, list(sockets.receive(pair.audio))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(("127.0.0.1", pair.port))
        ages = [0.0]
        while not any(ages):  # the kernel begins to stamp a moment after the first socket has asked for it
            peer.send(b"early")
            ages = [age for _, _, age in receive()[1]]
        before = clock()
        peer.send(b"a")
        sent = clock()
        time.sleep(0.05)  # the call is busy with other things
        later = clock()
        peer.send(b"b")
        read, ((a, source, age_a), (b, _, age_b)) = receive()
        assert (a, b, source) == (b"a", b"b", peer.getsockname())
        assert min(sockets.MAX_AGE_MS, (read - sent) / 1e6) <= age_a <= (read - before) / 1e6
        assert 0 < age_b <= (read - later) / 1e6
    pair.close()


@pytest.mark.parametrize(("jump_s", "least", "most"), [(3600, 200, 200), (-3600, 0, 0), (0, 0, 200)])
def test_a_wall_clock_that_is_set_makes_no_packet_old(
    monkeypatch: pytest.MonkeyPatch, jump_s: int, least: float, most: float
) -> None:
    pair = MediaSockets("127.0.0.1", 30_060, 30_069)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"a", ("127.0.0.1", pair.port))
        now_ns = time.time_ns()
        monkeypatch.setattr(sockets.time, "time_ns", lambda: now_ns + jump_s * 1_000_000_000)
        ((_, _, age_ms),) = sockets.receive(pair.audio)
        assert least <= age_ms <= most
    pair.close()
