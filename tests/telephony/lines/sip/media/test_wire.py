"""A call's audio on the network: sockets and media together."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from telephony.lines.rtp import packet
from telephony.lines.rtp.codec import PCMU
from telephony.lines.rtp.parameters import Parameters
from telephony.lines.sip.media.sockets import MediaSockets
from telephony.lines.sip.media.wire import Wire

pytestmark = pytest.mark.looptime
HOST = "127.0.0.1"
LOUD = b"\x10\x20" * 160


def frame(wire: Wire, now_ms: float) -> bytes | None:
    wire.send(now_ms)
    return wire.hear(now_ms)


@asynccontextmanager
async def wired(mux: bool = False) -> AsyncIterator[tuple[Wire, MediaSockets, Parameters, list[str]]]:
    """A wire, its peer's sockets, what they agree on, and the keys that come."""
    keys: list[str] = []
    ours, theirs = MediaSockets(HOST, 30_200, 30_899), MediaSockets(HOST, 30_200, 30_899)
    wire = Wire(ours, lambda: LOUD, keys.append, nat=False)
    agreed = Parameters(
        remote=(HOST, theirs.port),
        control=(HOST, theirs.port + 1),
        codecs={0: PCMU},
        mux=mux,
        event_type=101,
        events={101: 8000},
    )
    yield wire, theirs, agreed, keys
    wire.close()
    theirs.close()


async def test_frames_go_out_and_come_in() -> None:
    async with wired() as (wire, peer, agreed, _):
        assert frame(wire, 0) is None
        assert wire.silent_ms(1e9) == 0
        wire.agree(agreed)
        heard = frame(wire, 1000 * asyncio.get_running_loop().time())
        assert heard is not None
        assert len(heard) == 320
        data, source = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(peer.audio, 2000), 5)
        assert PCMU.encode(LOUD) == packet.parse(data).payload
        peer.audio.sendto(b"\x80\x00" + bytes(10) + PCMU.silence, source)
        frame(wire, 20)
        assert wire.media is not None
        assert wire.media.counters.received == 1


async def test_keys_are_told() -> None:
    async with wired() as (wire, peer, agreed, keys):
        wire.agree(agreed)
        frame(wire, 0)
        _, source = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(peer.audio, 2000), 5)
        for number in range(3):
            event = packet.Packet(101, number, 800, 9, bytes([5, 0x8A, 1, 64]), number == 0)
            peer.audio.sendto(packet.encode(event), source)
        frame(wire, 20)
        assert keys == ["5"]


@pytest.mark.parametrize("mux", [False, True])
async def test_the_last_report_says_goodbye_on_the_agreed_port(mux: bool) -> None:
    async with wired(mux) as (wire, peer, agreed, _):
        wire.agree(agreed)
        wire.close()
        wire.close()
        loop = asyncio.get_running_loop()
        data, source = await asyncio.wait_for(loop.sock_recvfrom(peer.audio if mux else peer.control, 2000), 5)
        assert packet.is_rtcp(data)
        assert (source[1] % 2 == 0) == mux


async def test_who_sends_is_locked_until_another_address_is_agreed_on() -> None:
    async with wired() as (wire, peer, agreed, _):
        other = MediaSockets(HOST, 30_200, 30_899)
        wire.agree(agreed)
        assert wire.media is not None
        to = wire._sockets.audio.getsockname()

        async def received(sender: MediaSockets, sequence: int) -> bool:
            before = wire.media.counters.received if wire.media else 0
            sender.audio.sendto(packet.encode(packet.Packet(0, sequence, 160 * sequence, 7, PCMU.silence)), to)
            frame(wire, 20.0 * sequence)
            return wire.media is not None and wire.media.counters.received == before + 1

        assert [await received(each, n) for n, each in enumerate((peer, other, peer))] == [True, False, True]
        wire.agree(replace(agreed, remote=(HOST, other.port), control=(HOST, other.port + 1)))
        assert [await received(each, n) for n, each in enumerate((other, peer, other), 3)] == [True, False, True]
        other.close()


async def test_a_wall_clock_that_is_set_ends_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the hour that the clock has jumped, the last packet seemed to have come an hour ago."""
    async with wired() as (wire, peer, agreed, _):
        wire.agree(agreed)
        to = wire._sockets.audio.getsockname()
        peer.audio.sendto(packet.encode(packet.Packet(0, 1, 160, 7, PCMU.silence)), to)
        came_ns = time.time_ns()
        monkeypatch.setattr("telephony.lines.sip.media.sockets.time.time_ns", lambda: came_ns + 3_600_000_000_000)
        now_ms = 1000 * asyncio.get_running_loop().time()
        frame(wire, now_ms)
        assert wire.media is not None
        assert wire.media.counters.received == 1
        assert wire.silent_ms(now_ms) <= 200
