"""The kernel's filter, with real sockets."""

import socket
import sys
from collections.abc import Iterator

import pytest

from telephony.lines.sip.media.socket_filter import only_from
from telephony.lines.sip.network.sockets import bind_udp

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="socket filters are Linux's")


@pytest.fixture(params=["127.0.0.1", "::1"])
def three(request: pytest.FixtureRequest) -> Iterator[list[socket.socket]]:
    """A call's socket, its peer's and a stranger's."""
    sockets = [bind_udp(request.param, 0) for _ in range(3)]
    yield sockets
    for one in sockets:
        one.close()


def read(sock: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(sock.recv(100))
        except BlockingIOError:
            return found


def test_only_the_peer_is_taken_until_anybody_is_again(three: list[socket.socket]) -> None:
    ours, peer, stranger = three
    to = ours.getsockname()[:2]

    def both() -> list[bytes]:
        peer.sendto(b"peer", to)
        stranger.sendto(b"stranger", to)
        return read(ours)

    assert both() == [b"peer", b"stranger"]
    only_from(ours, [peer.getsockname()[:2]])
    assert both() == [b"peer"]
    only_from(ours, [stranger.getsockname()[:2]])
    assert both() == [b"stranger"]
    nobody = (peer.getsockname()[0], 9)
    for sources in ([nobody, peer.getsockname()[:2]], [peer.getsockname()[:2], nobody]):
        only_from(ours, sources)
        assert both() == [b"peer"]
    only_from(ours, [stranger.getsockname()[:2], peer.getsockname()[:2]])
    assert both() == [b"peer", b"stranger"]
    only_from(ours, ())
    only_from(ours, ())
    assert both() == [b"peer", b"stranger"]


def test_another_address_with_the_same_port_is_not_taken() -> None:
    with bind_udp("127.0.0.1", 0) as ours, bind_udp("127.0.0.1", 0) as peer:
        only_from(ours, [("127.0.0.2", peer.getsockname()[1])])
        peer.sendto(b"x", ours.getsockname())
        assert read(ours) == []


def test_a_flood_does_not_push_the_peer_out() -> None:
    with bind_udp("127.0.0.1", 0) as ours, bind_udp("127.0.0.1", 0) as peer, bind_udp("127.0.0.1", 0) as stranger:
        for filtered in (False, True):
            if filtered:
                only_from(ours, [peer.getsockname()])
            for _ in range(2000):
                stranger.sendto(bytes(172), ours.getsockname())
            peer.sendto(b"peer", ours.getsockname())
            assert (b"peer" in read(ours)) == filtered
