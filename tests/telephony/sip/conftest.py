"""Phones that call a real server over real sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from telephony.app import App
from telephony.sip.line import SipCall
from tests.telephony.sip.phone import Phone

Open = Callable[..., Awaitable[Phone]]


@pytest.fixture
async def phone() -> AsyncIterator[Open]:
    """Opens phones; closes them afterwards."""
    opened: list[Phone] = []

    async def open_one(app: App, *args: Any) -> Phone:
        opened.append(Phone(*args))
        return await opened[-1].open(app)

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What conversations have given to their lines."""
    pieces: list[bytes] = []
    play = SipCall.play

    def played(self: SipCall, reply: int, pcm: bytes, marks: Any) -> None:
        pieces.append(pcm)
        play(self, reply, pcm, marks)

    monkeypatch.setattr(SipCall, "play", played)
    return pieces
