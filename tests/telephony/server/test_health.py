"""What operators are told: whether the server lives and takes calls, and its metrics."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from config.settings import load_settings
from telephony.lines.admission import Admission
from telephony.lines.descriptors import Descriptors
from telephony.lines.metrics import Metrics
from telephony.lines.refusals import Refusals
from telephony.server.control_token import ControlToken
from telephony.server.health import Health
from telephony.server.http.access import Access
from telephony.server.sign_in import api_tokens
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.scope import Scope
from telephony.server.sign_in.token_file import TokenFile


class Place:
    """A server's health, with all that it looks at."""

    def __init__(self, client: str = "127.0.0.1", **settings: Any) -> None:
        self.calls: Any = SimpleNamespace(is_ready=True)
        self.admission = Admission(2, 60, time.monotonic)
        self.descriptors = Descriptors()
        metrics = Metrics()
        refusals = Refusals(metrics)
        given = load_settings(None, settings)
        access = Access(given, refusals)
        self.tokens = TokenFile(given.server.data)
        health = Health(
            self.calls,
            admission=self.admission,
            descriptors=self.descriptors,
            metrics=metrics,
            access=access,
            gate=Gate(given, access, ControlToken(refusals), self.tokens),
            refusals=refusals,
        )
        self._transport = httpx.ASGITransport(Starlette(routes=health.routes()), client=(client, 5000))

    async def get(self, path: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://localhost") as client:
            return await client.get(path, headers=headers)

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        answer = await self.get("/readyz")
        return answer.status_code, answer.json()


async def test_it_lives_whatever_else_it_does() -> None:
    place = Place()
    place.calls.is_ready = False
    assert (await place.get("/healthz")).json() == {"status": "ok"}


async def test_it_is_ready_while_there_are_places() -> None:
    place = Place()
    assert await place.readiness() == (200, {"status": "ready", "active": 0, "free": 2})
    place.admission.claim("CA1")
    place.admission.reserve("CA2")
    assert await place.readiness() == (503, {"status": "full", "active": 1, "free": 0})
    place.admission.release("CA1")
    assert await place.readiness() == (200, {"status": "ready", "active": 0, "free": 1})


async def test_what_keeps_it_from_taking_calls_is_named() -> None:
    place = Place()
    place.calls.is_ready = False
    assert await place.readiness() == (503, {"status": "loading", "active": 0, "free": 2})
    place.calls.is_ready = True
    place.descriptors.out = True
    assert await place.readiness() == (503, {"status": "out of file descriptors", "active": 0, "free": 2})
    place.descriptors.out = False
    place.admission.drain()
    assert await place.readiness() == (503, {"status": "draining", "active": 0, "free": 0})


async def test_strangers_are_not_told_how_many_calls_are_on() -> None:
    place = Place(client="192.0.2.7")
    assert await place.readiness() == (200, {"status": "ready"})
    answer = await place.get("/metrics")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "server.metrics_token" in answer.text
    assert "voxline_" not in answer.text


@pytest.mark.parametrize(("token", "status"), [("Bearer t0ken", 200), ("Bearer token", 401), ("t0ken", 401)])
async def test_with_a_token_it_alone_opens_the_metrics(token: str, status: int) -> None:
    place = Place(**{"server.metrics_token": "t0ken"})
    answer = await place.get("/metrics", Authorization=token)
    assert answer.status_code == status
    assert ("voxline_calls_active" in answer.text) is (status == 200)


async def test_metrics_are_for_api_tokens_with_their_scope_too(tmp_path: Path) -> None:
    place = Place("10.0.0.9", **{"server.data": str(tmp_path)})
    for scope, wanted in ((Scope.METRICS_READ, 200), (Scope.CALLS_READ, 401)):
        given = api_tokens.create(tmp_path, scope.replace(":", "."), (scope,), None, 0)
        await place.tokens.look()
        assert (await place.get("/metrics", Authorization=f"Bearer {given}")).status_code == wanted
