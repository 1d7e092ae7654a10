"""The examples do what they say: each is read by the loader that a server uses, and talked to."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.engine.base import Cue, Done, Next, ReplyRequest, Text, ToolCall, ToolResult
from agent.engine.embedded.dialogue import DialogueModel
from config import strict_yaml
from config.agent import load_agents
from config.exceptions import SettingsError
from config.schema import FOLDER
from config.settings import Settings, load_settings
from telephony.simulator.call import run_call
from telephony.simulator.script import Say, load_script

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
AGENTS = load_agents(EXAMPLES / "agents")
SCRIPT = load_script(EXAMPLES / "caller.yaml")
TRUNK = EXAMPLES / "sip_trunk.yaml"
MARK = "# yaml-language-server: $schema="


class Caller:
    """Talks with one of the agents by text; every tool succeeds."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.model = DialogueModel(AGENTS)
        self.done = Done()
        self.tools: list[ToolCall] = []

    def hear(self, cue: Cue, **fields: Any) -> str:
        async def collect() -> list[Any]:
            request = ReplyRequest("1", "CA1", self.agent, cue, state=self.done.state, **fields)
            return [event async for event in self.model.reply(request)]

        *events, self.done = asyncio.run(collect())
        text = "".join(event.text for event in events if isinstance(event, Text))
        calls = [event for event in events if isinstance(event, ToolCall)]
        if not calls:
            return text
        self.tools += calls
        results = tuple(ToolResult(call.name, call.arguments) for call in calls)
        return " ".join(filter(None, (text, self.hear(Cue.TOOL, tool_results=results))))

    def say(self, text: str) -> str:
        return self.hear(Cue.ANSWER, transcript=text)


def test_every_example_stands_in_the_table_of_the_folder() -> None:
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.rglob("*.yaml") if f"]({path.relative_to(EXAMPLES)})" not in table] == []


@pytest.mark.parametrize("path", [*sorted((EXAMPLES / "agents").glob("*.yaml")), TRUNK], ids=lambda path: path.stem)
def test_an_editor_finds_nothing_wrong(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    schema = (path.parent / text.partition("\n")[0].removeprefix(MARK)).resolve()
    assert schema.parent == FOLDER
    assert list(Draft202012Validator(json.loads(schema.read_text())).iter_errors(strict_yaml.load(text))) == []


def test_the_museum_answers_both_questions() -> None:
    caller = Caller("museum")
    assert caller.hear(Cue.GREET) == "Hello, this is the city museum. What can I do for you?"
    assert caller.say("when are you open").startswith("We are open from ten to six")
    assert caller.say("how much is a ticket").startswith("A ticket is eight pounds")


def test_the_callers_script_orders_a_cake_at_the_bakery() -> None:
    caller = Caller("bakery")
    assert caller.hear(Cue.GREET) == "Hello, this is Hill Street Bakery. How can I help you?"
    heard = [caller.say(step.say) for step in SCRIPT.steps if isinstance(step, Say)]
    assert heard[0].startswith("Which cake would you like?")
    assert heard[1].startswith("For which day?")
    assert heard[2] == "That is a chocolate cake for Saturday. Is that right?"
    assert heard[3].startswith("Your chocolate cake will be ready on Saturday.")
    assert heard[4] == "Thank you for calling Hill Street Bakery. Goodbye!"
    assert caller.tools == [ToolCall("order_cake", {"cake": "chocolate", "day": "Saturday"})]
    assert (caller.done.next, SCRIPT.expect) == (Next.HANG_UP, "hung_up_by_agent")


def test_the_bakery_puts_callers_through_and_presses_keys() -> None:
    caller = Caller("bakery")
    caller.hear(Cue.GREET)
    caller.say("leave a message")
    assert caller.done.keys == "w2"
    caller.say("can i speak to a person")
    assert (caller.done.next, caller.done.transfer_to) == (Next.TRANSFER, "shop")


def test_the_trunks_settings_are_read_with_a_password_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("VOXLINE_SIP__TRUNKS__PROVIDER__PASSWORD", "s3cret")
    sip = load_settings(TRUNK).sip
    assert sip.trunks["provider"].password.get_secret_value() == "s3cret"
    assert sip.networks == ("198.51.100.0/24",)
    assert (sip.transfer, sip.codecs[0]) == ("attended", "G722")


def test_the_trunks_settings_without_the_trunk_would_not_open_the_port() -> None:
    values = strict_yaml.load(TRUNK.read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match=r"sip\.trunks"):
        Settings(**values | {"sip": values["sip"] | {"trunks": {}}})
    with pytest.raises(SettingsError, match="advertised"):
        load_settings(TRUNK, {"sip.advertised": ""})


@pytest.mark.slow
async def test_the_bakery_takes_the_order_by_telephone(serve: Callable[..., Any], tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "agents" / "bakery.yaml", tmp_path)  # a server is slower to start with all of them
    server = serve({"agents": str(tmp_path), "call.agent": "bakery"})
    report = await run_call(server.url, SCRIPT)
    said = [(line["role"], line["text"]) for line in server.log if line["message"] == "said"]
    assert report.ok, (report.outcome, report.error, said)
    [order] = [json.loads(line) for line in (server.data / "orders.jsonl").read_text().splitlines()]
    assert order["arguments"] == {"cake": "chocolate", "day": "Saturday"}
