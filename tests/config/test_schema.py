"""The JSON Schemas that editors read: they are of the models, they know no secret, and they judge as the loaders do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from config import strict_yaml
from config.schema import FOLDER, schemas
from config.settings import DEFAULT_FILE

ROOT = Path(__file__).parent.parent.parent
AGENT = ROOT / "config" / "agents" / "front_desk.yaml"
MARK = "# yaml-language-server: $schema="


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def fields(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for model, definition in schema["$defs"].items():
        for name, field in definition["properties"].items():
            yield f"{model}.{name}", field


@pytest.mark.parametrize("name", ["settings.json", "agent.json"])
def test_the_files_are_what_the_models_say(name: str) -> None:
    """To write them anew: make schema."""
    assert (FOLDER / name).read_text(encoding="utf-8") == schemas()[name]


def test_no_secret_has_a_default_and_none_is_masked() -> None:
    text = (FOLDER / "settings.json").read_text(encoding="utf-8")
    assert "**" not in text
    secret = {name for name, field in fields(json.loads(text)) if field.get("writeOnly")}
    assert secret == {
        "ServerSettings.metrics_token",
        "TwilioSettings.auth_token",
        "OpenAISettings.api_key",
        "RecordsSettings.url",
        "HooksSettings.before_call",
        "HooksSettings.after_call",
        "HooksSettings.secret",
        "TrunkSettings.password",
        "ConsoleUser.password",
        "TracesSettings.header",
    }
    assert [name for name, field in fields(json.loads(text)) if name in secret and "default" in field] == []


def test_every_setting_is_explained_as_in_the_shipped_file() -> None:
    schema = json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))
    bare = {name for name, field in fields(schema) if not field.get("description") and "$ref" not in field}
    nested = ("TrunkSettings.", "ConsoleUser.")  # they stand in the comments beside `trunks` and `users`
    assert {name for name in bare if not name.startswith(nested)} == {
        "CallSettings.busy_message",
        "CallSettings.failed_message",
    }
    shortest = schema["$defs"]["TurnSettings"]["properties"]["endpoint_min_ms"]["description"]
    assert shortest in DEFAULT_FILE.read_text(encoding="utf-8")


def test_the_shipped_files_are_right_and_name_their_schema() -> None:
    for path, name in ((DEFAULT_FILE, "settings.json"), (AGENT, "agent.json")):
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        assert (path.parent / first.removeprefix(MARK)).resolve() == FOLDER / name
        assert list(validator(name).iter_errors(strict_yaml.load(rest))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"turn": {"endpont_ms": 5}},
        {"turn": {"endpoint_ms": 5}},
        {"log": {"level": "loud"}},
        {"sip": {"trunks": {"provider": {"server": "example.com"}}}},
        {"sip": {"codecs": ["G729"]}},
    ],
)
def test_an_editor_marks_a_wrong_setting(wrong: dict[str, Any]) -> None:
    assert not validator("settings.json").is_valid(wrong)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("colour", "blue"),
        ("speed", 9),
        ("transfers.reception", "5550100"),
        ("tools.book_appointment.file", "../../etc/passwd"),
        ("dialogue.texts.greting", "Hi"),
        ("dialogue.intents.hours.press", "12x"),
        ("dialogue.intents.hours.phrases", []),
        ("dialogue.intents.hours.phrases", [7]),
        ("dialogue.intents.book.ask.day", 7),
    ],
)
def test_an_editor_marks_a_wrong_agent(path: str, value: object) -> None:
    content: dict[str, Any] = yaml.safe_load(AGENT.read_text(encoding="utf-8"))
    *groups, last = path.split(".")
    tree = content
    for group in groups:
        tree = tree[group]
    tree[last] = value
    assert not validator("agent.json").is_valid(content)
