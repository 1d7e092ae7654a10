"""Phones that call a real server over real sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from config.settings import HERE
from telephony.lines.sip.call import SipCall
from telephony.server.app import App
from telephony.server.bridge import Bridge
from tests.telephony.lines.sip.callee import Callee
from tests.telephony.lines.sip.nameserver import NameServer
from tests.telephony.lines.sip.phone import Phone

Open = Callable[..., Awaitable[Phone]]


@pytest.fixture
async def phone() -> AsyncIterator[Open]:
    """Opens phones; closes them afterwards."""
    opened: list[Phone] = []

    async def open_one(app: App, *args: Any, **options: Any) -> Phone:
        opened.append(Phone(*args, **options))
        return await opened[-1].open(app)

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The audio that conversations gave to their lines."""
    pieces: list[bytes] = []
    play = SipCall.play

    def played(self: SipCall, reply: int, pcm: bytes, marks: Any) -> None:
        pieces.append(pcm)
        play(self, reply, pcm, marks)

    monkeypatch.setattr(SipCall, "play", played)
    return pieces


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The caller's audio that lines passed to their conversations."""
    return _overheard(monkeypatch, "audio")


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that lines passed to their conversations."""
    return _overheard(monkeypatch, "dtmf")


def _overheard(monkeypatch: pytest.MonkeyPatch, method: str) -> list[Any]:
    told: list[Any] = []
    tell = getattr(Bridge, method)

    def overhear(self: Bridge, value: Any, *more: Any) -> None:
        told.append(value)
        tell(self, value, *more)

    monkeypatch.setattr(Bridge, method, overhear)
    return told


@pytest.fixture
async def nameserver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[NameServer]:
    """A DNS server that all lookups go to, and a hosts file with a few names."""
    (tmp_path / "hosts").write_text("# names\n127.0.0.1 localhost\n192.0.2.77 pbx PBX.example.net # ours\n::1 pbx\n")
    monkeypatch.setattr("telephony.lines.sip.network.locator.HOSTS", tmp_path / "hosts")
    server = NameServer({})
    monkeypatch.setattr("dns.asyncresolver.default_resolver", await server.open())
    yield server
    server.close()


@pytest.fixture
async def callee() -> AsyncIterator[Callable[..., Awaitable[Callee]]]:
    """Opens called parties; closes them afterwards."""
    async with AsyncExitStack() as stack:

        async def begin(*args: Any, **options: Any) -> Callee:
            return await stack.enter_async_context(Callee(*args, **options))

        yield begin


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    """A folder of two agents: the front desk, and the same one as `night`."""
    shipped = (HERE / "agents" / "front_desk.yaml").read_text(encoding="utf-8")
    (tmp_path / "front_desk.yaml").write_text(shipped, encoding="utf-8")
    (tmp_path / "night.yaml").write_text(shipped.replace("name: front_desk", "name: night", 1), encoding="utf-8")
    return tmp_path
