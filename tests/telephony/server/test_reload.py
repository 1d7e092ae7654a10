"""Agents read anew: what is taken, what is refused with its line, and that calls keep what they have."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.engine.base import Engine
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer
from config.agent import AgentSettings
from config.engine import EngineSettings, SimulatedSettings
from telephony.cli.main import main
from telephony.lines.outbound_call import TOKEN_FILE
from telephony.server.agents import read_agents
from telephony.server.reload import Reload
from tests.simulated import quick
from tests.telephony.records.calls import NASTY
from tests.waiting import until

Serve = Callable[..., Any]
Dial = Callable[..., Awaitable[Any]]
InThread = Callable[..., Awaitable[Any]]

AGENT = """name: {name}
dialogue:
  texts: {{greeting: "{greeting}", nobody: "{greeting} Nobody is here."}}
  intents:
    hours: {{phrases: [hours], answer: Nine.}}
"""


def write(folder: Path, name: str, greeting: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(AGENT.format(name=name, greeting=greeting))
    return path


@pytest.fixture
async def server(serve: Serve, in_thread: InThread, tmp_path: Path) -> Any:
    """One with two agents, of which `desk` is the default. pocketsphinx hears, with one decoder."""
    write(tmp_path, "desk", "Old desk.")
    write(tmp_path, "bakery", "Old bakery.")
    return await in_thread(
        serve, {"agents": str(tmp_path), "call.agent": "desk", "engine.embedded.decoders": 1, "records.mode": "off"}
    )


@pytest.fixture
async def simulated(serve: Serve, in_thread: InThread, tmp_path: Path) -> Any:
    """The same with the simulated engine."""
    write(tmp_path, "desk", "Old desk.")
    write(tmp_path, "bakery", "Old bakery.")
    return await in_thread(serve, quick() | {"agents": str(tmp_path), "call.agent": "desk", "records.mode": "off"})


class Api:
    def __init__(self, server: Any) -> None:
        token = (server.data / TOKEN_FILE).read_text().strip()
        self._url, self._headers = f"{server.url}/api/agents", {"Authorization": f"Bearer {token}"}

    def reload(self) -> dict[str, Any]:
        answer = httpx.post(f"{self._url}/reload", headers=self._headers, timeout=60)
        assert answer.status_code == 200
        outcome: dict[str, Any] = answer.json()
        return outcome

    def agents(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(self._url, headers=self._headers, timeout=60).json()
        return answer


async def greeted(server: Any, dial: Dial, in_thread: InThread, **parameters: str) -> tuple[Any, str]:
    phone = await dial(server.url, **parameters)
    await phone.frame()
    said = await in_thread(server.wait_for, "said", 30, call=phone.call, role="agent")
    return phone, said["text"]


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_running_calls_keep_their_agent_and_the_next_has_the_new_one(
    server: Any, dial: Dial, in_thread: InThread, tmp_path: Path
) -> None:
    api = Api(server)
    phone, text = await greeted(server, dial, in_thread)
    assert text == "Old desk."
    write(tmp_path, "desk", "New desk.")
    write(tmp_path, "garage", "Garage.")
    outcome = await in_thread(api.reload)
    assert (outcome["read"], outcome["unchanged"], outcome["refused"]) == (["desk", "garage"], ["bakery"], [])
    _, text = await greeted(server, dial, in_thread)
    assert text == "New desk."
    _, text = await greeted(server, dial, in_thread, agent="garage")
    assert text == "Garage."
    phone.hold()
    await phone.press("0")

    def said() -> bool:
        return any("Old desk. Nobody is here." in line.get("text", "") for line in list(server.log))

    await until(said, 60)
    counts = {each["name"]: each["calls"] for each in (await in_thread(api.agents))["agents"]}
    assert counts["desk"] == 1  # of the new edition
    await phone.release()
    await phone.hang_up()


@pytest.mark.timeout(150)
async def test_a_broken_file_is_refused_with_its_line_and_the_old_one_stays(
    server: Any, dial: Dial, in_thread: InThread, tmp_path: Path
) -> None:
    api = Api(server)
    (tmp_path / "desk.yaml").write_text("name: desk\nlanguage: en-us\nspeed: 9\n")
    (tmp_path / "bakery.yaml").write_text("name: [bakery\n")
    (tmp_path / "strange.yaml").write_text("name: strange\nvoice: no_such_voice\n")
    (tmp_path / "foreign.yaml").write_text("name: foreign\nlanguage: nl\n")
    outcome = await in_thread(api.reload)
    assert outcome["read"] == outcome["unchanged"] == outcome["removed"] == []
    errors = {Path(each["file"]).name: each["error"] for each in outcome["refused"]}
    assert errors["desk.yaml"].endswith("speed: 9: Input should be less than or equal to 2 (line 3)")
    assert "line 2" in errors["bakery.yaml"]
    assert "no_such_voice" in errors["strange.yaml"]
    assert "language: 'nl'" in errors["foreign.yaml"]
    assert (await in_thread(api.agents))["last_reload"] == outcome
    _, text = await greeted(server, dial, in_thread)
    assert text == "Old desk."


async def test_an_agent_that_a_setting_names_cannot_be_removed(
    simulated: Any, in_thread: InThread, tmp_path: Path
) -> None:
    api = Api(simulated)
    for name in ("desk", "bakery"):
        (tmp_path / f"{name}.yaml").rename(tmp_path / f"{name}.off")
    outcome = await in_thread(api.reload)
    assert "holds no agent" in outcome["refused"][0]["error"]
    write(tmp_path, "garage", "Garage.")
    outcome = await in_thread(api.reload)
    assert (outcome["read"], outcome["removed"]) == (["garage"], ["bakery"])
    assert "is gone, but call.agent names this agent" in outcome["refused"][0]["error"]
    assert [each["name"] for each in (await in_thread(api.agents))["agents"]] == ["desk", "garage"]


async def test_by_signal_and_by_command(
    simulated: Any, in_thread: InThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "bakery", "New bakery.")
    simulated.process.send_signal(signal.SIGHUP)
    await in_thread(simulated.wait_for, "agents read anew", 60, read=["bakery"], unchanged=1)
    command = ["reload", "--url", simulated.url, "--data", str(simulated.data)]
    assert await in_thread(main, command) == 0
    assert capsys.readouterr().out == "unchanged: bakery, desk\n"
    (tmp_path / "bakery.yaml").write_text(f"name: bakery\n{NASTY!r}: 5\n")
    assert await in_thread(main, command) == 1
    out = capsys.readouterr().out
    assert "refused:" in out
    assert out.replace("\n", "").isprintable()


async def test_without_the_token_nothing_is_read(simulated: Any, in_thread: InThread) -> None:
    async with httpx.AsyncClient(base_url=simulated.url) as http:
        assert (await http.post("/api/agents/reload")).status_code == 401
        assert (await http.get("/api/agents")).status_code == 401


class Gate:
    """Learns slowly: not before it is opened."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.opened = asyncio.Event()
        self.known: set[str] = set()

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        self.waits.set()
        await self.opened.wait()
        self.known |= agents.keys()

    def forget(self, agents: Collection[str]) -> None:
        self.known.difference_update(agents)


async def test_until_everything_is_ready_calls_begin_with_the_old_ones(tmp_path: Path) -> None:
    for name in ("desk", "bakery"):
        write(tmp_path, name, "Old.")
    agents, gate = read_agents(tmp_path, 0), Gate()
    settled = SimulatedSettings()
    engine = Engine(SimulatedModel(settled), SimulatedSynthesizer(settled), learners=(gate,))
    agents.forgotten = engine.forget
    settings = EngineSettings.model_validate({"profile": "simulated"})
    reload = Reload(agents, engine, settings, {"desk": "call.agent"})
    for name in ("desk", "bakery"):
        write(tmp_path, name, "New.")
    reading = asyncio.create_task(reload.read())
    await gate.waits.wait()
    old = agents.find("desk")
    assert old
    assert old.known_as == "desk"
    agents.enter(old)
    gate.opened.set()
    assert (await reading).read == ["bakery", "desk"]
    new = agents.find("desk")
    assert new
    assert new.known_as in gate.known
    write(tmp_path, "desk", "Newer.")
    await reload.read()
    assert new.known_as not in gate.known  # nobody has it any more
    assert len(gate.known) == 2
    reload.soon()
    reload.soon()
    await until(lambda: reload._task is not None and reload._task.done())
    assert reload.last
    assert reload.last.unchanged == ["bakery", "desk"]
    await reload.close()


async def test_a_folder_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    write(folder, "desk", "Old.")
    settled = SimulatedSettings()
    engine = Engine(SimulatedModel(settled), SimulatedSynthesizer(settled))
    agents = read_agents(folder, 0)
    reload = Reload(agents, engine, EngineSettings(profile="simulated"), {})
    folder.rename(tmp_path / "elsewhere")
    outcome = await reload.read()
    assert "holds no agent" in outcome.refused[0].error
    assert list(agents) == ["desk"]
