"""How fast the server answers, and its switches, over HTTP."""

from pathlib import Path

import httpx
import pytest

from telephony.server.runtime_settings import FILE
from tests.telephony.server.test_control import control

ENDPOINTS = [("GET", "/streaming_metrics"), ("GET", "/api/streaming/status"), ("POST", "/api/streaming/configure")]


async def test_every_endpoint_wants_the_token(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (_, client):
        del client.headers["authorization"]
        for method, path in ENDPOINTS:
            assert (await client.request(method, path)).status_code == 401


async def test_switches_are_shown_changed_kept_and_reset(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (app, client):
        before = app.shared.settings
        shown = (await client.get("/api/streaming/status")).json()
        assert all(shown["switches"].values())
        assert shown["targets"]["first_word"] == {"target_ms": 120, "measured": 0, "missed": 0}
        assert shown["avg_first_token_ms"] is None
        off = {"streaming": False, "partials": False, "concurrent_tts": False, "keep": True}
        shown = (await client.post("/api/streaming/configure", json=off)).json()
        assert not any(shown["switches"].values())
        assert shown["changed"] == shown["kept"]
        assert not app.shared.settings.reply.speech_streaming
        assert (tmp_path / FILE).exists()
        shown = (await client.post("/api/streaming/configure", json={"reset": True, "partials": False})).json()
        assert [name for name, on in shown["switches"].items() if not on] == [
            "STT_PARTIALS_ENABLED",
            "PARTIAL_SUPPORT_ENABLED",
        ]
        assert (shown["changed"], shown["kept"]) == ({"recognition.partials": False}, {})
        assert app.shared.settings.reply == before.reply
        assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{", 400, "truncated"),
        (b'{"stream": true}', 400, "unknown field `stream`"),
        (b'{"streaming": "yes"}', 400, "Expected `bool | null`"),
        (b'{"settings": {"server.port": 1}}', 422, "'server.port' cannot change while the server runs"),
        (b'{"settings": {"turn.endpoint_ms": -1}}', 422, "turn.endpoint_ms: Input should be greater than"),
        (b" " * 9000, 413, "longer than 8192 bytes"),
    ],
)
async def test_what_is_asked_wrongly_changes_nothing(tmp_path: Path, body: bytes, status: int, why: str) -> None:
    async with control(tmp_path, sip__enabled=False) as (app, client):
        before = app.shared.settings
        answer = await client.post("/api/streaming/configure", content=body)
        assert (answer.status_code, app.shared.settings) == (status, before)
        assert why in answer.json()["error"]


async def test_the_figures_of_one_call_are_found_by_its_id(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (app, client):
        for name in ("CA1", "CA2"):
            app.shared.figures.add(app.shared.figures.open(name), "first_word", 130)
        shown = (await client.get("/streaming_metrics", params={"call": "CA2"})).json()
        assert [call["call"] for call in shown["calls"]] == ["CA2"]
        assert shown["calls"][0]["values"] == {"first_word": [130]}
        assert shown["targets"]["first_word"] == {"target_ms": 120, "measured": 2, "missed": 2}
        assert shown["last_5_minutes"]["first_word"]["p95"] == 130
        everything: httpx.Response = await client.get("/streaming_metrics")
        assert len(everything.json()["calls"]) == 2
