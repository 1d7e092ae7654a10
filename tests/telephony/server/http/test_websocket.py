"""The bounds of one WebSocket: not too many frames."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

Dial = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    return serve(
        {
            "engine.profile": "simulated",
            "engine.simulated.greeting": False,
            "twilio.max_ahead_s": 2,  # so a burst of 400 frames
        }
    )


async def test_burst_of_frames_is_taken_and_more_is_refused(server: Any, dial: Dial, in_thread: Dial) -> None:
    phone = await dial(server.url)
    for _ in range(50):
        await phone.frame()
    for _ in range(300):
        await phone.send({"event": "of no interest"})
    await phone.frame()
    with suppress(ConnectionClosed):  # the server does not wait for what is still on its way
        for _ in range(3000):
            await phone.send({"event": "of no interest"})
    await phone.closed()
    await in_thread(server.wait_for, "socket lost", call=phone.call, code=1008, reason="more than 200 frames a second")
    line = await in_thread(server.wait_for, "ended", call=phone.call)
    assert (line["frames"], line["outcome"]) == (51, "failed")
