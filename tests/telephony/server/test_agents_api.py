"""/api/agents: what is told of the agents, and that nothing is read before the server is up."""

import hashlib
from pathlib import Path

import config
from telephony.server.app import App
from tests.telephony.server.test_control import control

FILE = Path(config.__file__).parent / "agents" / "front_desk.yaml"


async def test_agents_are_listed_with_their_files(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (_, client):
        answer = (await client.get("/api/agents")).json()
        [desk] = answer["agents"]
        assert (desk["name"], desk["file"], desk["calls"]) == ("front_desk", str(FILE), 0)
        assert desk["sha256"] == hashlib.sha256(FILE.read_bytes()).hexdigest()
        assert desk["read_ms"] > 0
        assert answer["last_reload"] is None
        outcome = (await client.post("/api/agents/reload")).json()
        assert (outcome["read"], outcome["unchanged"], outcome["refused"]) == ([], ["front_desk"], [])
        assert (await client.get("/api/agents")).json()["last_reload"] == outcome


async def test_nothing_is_read_before_the_server_is_up(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (app, client):
        assert isinstance(app, App)
        app._agents_api.reload = None
        assert (await client.post("/api/agents/reload")).status_code == 503
