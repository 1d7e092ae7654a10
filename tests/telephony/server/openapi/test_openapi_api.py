"""GET /api/openapi.json, and every operation in it without a session."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from telephony.server.app import App
from telephony.server.sign_in import api_tokens
from telephony.server.sign_in.scope import Scope
from tests.telephony.server.test_control import Client, control
from tests.waiting import until


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[App, Client]]:
    async with control(tmp_path) as (app, client):
        yield app, client


async def requests(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation but the socket's."""
    paths = (await client.get("/api/openapi.json")).json()["paths"]
    return [
        (method.upper(), path.replace("{id}", "x"), operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "x-websocket" not in operation
    ]


async def test_without_a_session_every_operation_is_refused(served: tuple[App, Client]) -> None:
    _, client = served
    for authorization in ("", "Bearer wrong", f"Bearer {api_tokens.PREFIX}wrong", "Basic YTpi"):
        for method, path, _ in await requests(client):
            answer = await client.request(method, path, headers={"Authorization": authorization}, json={})
            assert (answer.status_code, method, path) == (401, method, path)
            assert answer.json() == {"error": "the token is missing or wrong"}


async def test_a_path_without_a_parameter_answers_no_other_method(served: tuple[App, Client]) -> None:
    _, client = served
    paths = (await client.get("/api/openapi.json")).json()["paths"]
    for path, methods in paths.items():
        for method in {"get", "post", "put", "patch", "delete"} - methods.keys():
            if "{" not in path:
                answer = await client.request(method, path)
                assert (answer.status_code, method, path) == (405, method, path)
                assert set(answer.headers["allow"].lower().split(", ")) - {"head"} == methods.keys()


@pytest.mark.parametrize("scope", list(Scope))
async def test_an_api_token_opens_just_the_operations_of_its_scope(
    tmp_path: Path, served: tuple[App, Client], scope: Scope
) -> None:
    """The running server notices it by itself. What is asked for makes no sense, so that nothing happens."""
    _, client = served
    given = api_tokens.create(tmp_path, "crm", (scope,), None, 0)
    bearer = {"Authorization": f"Bearer {given}"}
    everything = await requests(client)

    async def known() -> bool:
        return (await client.get("/api/openapi.json", headers=bearer)).status_code == 200

    await until(known)
    for method, path, operation in everything:
        scopes = operation["security"][0]["token"]
        if scopes == [scope] and path in ("/api/live", "/api/agents/reload"):
            continue  # the one does not end, the other does what it says
        answer = await client.request(method, path, headers=bearer, content=b"[" if method == "POST" else None)
        opened = answer.status_code not in (401, 403)
        assert (opened, method, path) == (not scopes or scopes == [scope], method, path)
    api_tokens.revoke(tmp_path, "crm")

    async def forgotten() -> bool:
        return (await client.get("/api/openapi.json", headers=bearer)).status_code == 401

    await until(forgotten)
