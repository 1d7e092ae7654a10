"""What sessions of the console may do with the API: by role, and with the pages' token."""

from pathlib import Path

import pytest

from tests.telephony.console.served import csrf, served
from tests.telephony.server.sign_in.users import USERS

ROLES = ["viewer", "operator", "admin"]


@pytest.mark.parametrize("name", ["vera", "otto", "ada"])
async def test_a_session_opens_what_its_role_may(tmp_path: Path, name: str) -> None:
    """What is asked for makes no sense, so that nothing happens."""
    async with served(tmp_path) as server, server.signed_in(name) as browser:
        given = {"X-CSRF-Token": await csrf(browser)}
        paths = (await browser.get("/api/openapi.json")).json()["paths"]
        rank = ROLES.index(USERS[name]["role"])
        for path, methods in paths.items():
            for method, operation in methods.items():
                if path in ("/api/live", "/api/agents/reload") or "x-websocket" in operation:
                    continue
                wanted = ROLES.index(operation["security"][1]["session"][0])
                where, content = path.replace("{id}", "x"), None if method in ("get", "delete") else b"["
                answer = await browser.request(method, where, headers=given, content=content)
                assert answer.status_code != 401
                assert ((answer.status_code == 403), method, path) == (rank < wanted, method, path)
                if method != "get":
                    assert (await browser.request(method, where, content=content)).status_code == 403
