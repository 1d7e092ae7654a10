"""Who calls whom, from Twilio's webhook to the log and the tape."""

import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

ANN, DESK = "+15550100123", "+15550100199"


@pytest.mark.parametrize(
    ("settings", "logged", "taped"),
    [
        ({"log.numbers": "masked", "tape.mode": "full"}, "*********123", ANN),
        ({"log.numbers": "full", "tape.mode": "metadata"}, ANN, ANN),
        ({"log.numbers": "masked", "tape.mode": "metadata"}, "*********123", "*********123"),
        ({"log.numbers": "off", "tape.mode": "metadata"}, None, None),
    ],
)
async def test_the_number_reaches_log_and_tape(  # noqa: PLR0917 (fixtures)
    serve: Callable[..., Any],
    dial: Callable[..., Awaitable[Any]],
    in_thread: Callable[..., Awaitable[Any]],
    settings: dict[str, str],
    logged: str | None,
    taped: str | None,
) -> None:
    server = await in_thread(serve, {"engine.profile": "simulated", **settings})
    phone = await dial(server.url, start=False)
    form = {"CallSid": phone.call, "From": ANN, "To": DESK, "CallerName": "Ann\x1b Lee", "ForwardedFrom": "9" * 500}
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{server.url}/twilio/voice", data=form)
    assert answer.status_code == 200
    assert ANN not in answer.text  # a reservation keeps it, no address
    await phone.start()
    started = await in_thread(server.wait_for, "started", call=phone.call)
    assert started.get("caller") == logged
    assert "caller_name" not in started
    await phone.hang_up()
    await in_thread(server.wait_for, "ended", call=phone.call)
    server.stop()
    [path] = (Path(server.data) / "tapes").iterdir()
    with gzip.open(path) as tape:
        head = json.loads(tape.readline())
    assert head["parties"].get("caller") == taped
    assert "caller_name" not in head["parties"]
    assert not head["parties"].get("verified")
