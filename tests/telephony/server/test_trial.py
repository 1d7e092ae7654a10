"""POST /test_streaming: a real call within a real server, by a process of its own."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from telephony.lines.outbound_call import TOKEN_FILE
from tests.conftest import Server
from tests.telephony.server.test_control import control


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", "a" * 32])
def test_a_call_is_made_and_its_times_are_told(serve: Callable[..., Server], token: str) -> None:
    settings = {"server.public_url": "https://voice.example.com"} if token else {}
    server = serve(settings, **({"TWILIO_AUTH_TOKEN": token} if token else {}))
    headers = {"Authorization": f"Bearer {(server.data / TOKEN_FILE).read_text().strip()}"}
    body = {"mode": "interruption", "test_duration": 60}
    answer = httpx.post(f"{server.url}/test_streaming", json=body, headers=headers, timeout=120)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["error"] == ""
    assert report["times"]["interruption_response"]["count"] == 2
    assert all(time["target_ms"] and time["median_ms"] is not None for time in report["times"].values())
    assert report["long_reply"]["met"] is None  # its replies are written down
    assert server.metric('voxline_targets_total{outcome="met",target="first_word"}') > 0


@pytest.mark.slow
def test_a_call_that_takes_too_long_is_told_as_that(serve: Callable[..., Server]) -> None:
    server = serve()
    headers = {"Authorization": f"Bearer {(server.data / TOKEN_FILE).read_text().strip()}"}
    body = {"test_duration": 1}
    answer = httpx.post(f"{server.url}/test_streaming", json=body, headers=headers, timeout=120)
    assert answer.status_code == 502
    assert "the call took longer than 1 s" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"[]", 400, "Expected `object`"),
        (b'{"mod": ""}', 400, "unknown field `mod`"),
        (b'{"mode": "loud"}', 400, "Invalid enum value 'loud' - at `$.mode`"),
        (b'{"test_duration": 1e9}', 400, "Expected `float` <= 300.0 - at `$.test_duration`"),
        (b" " * 2000, 413, "longer than 1024 bytes"),
    ],
)
async def test_what_is_asked_wrongly_makes_no_call(tmp_path: Path, body: bytes, status: int, why: str) -> None:
    async with control(tmp_path, sip__enabled=False) as (_, client):
        answer = await client.post("/test_streaming", content=body)
        assert answer.status_code == status
        assert why in answer.json()["error"]
        del client.headers["authorization"]
        assert (await client.post("/test_streaming")).status_code == 401
