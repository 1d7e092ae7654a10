"""Agents' files: the one that ships is right, and mistakes are named."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.agent import load_agent, load_agents
from config.dialogue import Dialogue
from config.exceptions import SettingsError
from config.parties import NOBODY

SHIPPED = Path(__file__).parent.parent.parent / "config" / "agents"


def test_the_shipped_agents_are_read() -> None:
    agents = load_agents(SHIPPED)
    desk = agents["front_desk"]
    assert desk.dialogue is not None
    assert desk.transfers[desk.dialogue.person].startswith("+")
    assert {intent.tool for intent in desk.dialogue.intents.values() if intent.tool} == set(desk.tools)


def shipped() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((SHIPPED / "front_desk.yaml").read_text())
    return content


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    *groups, last = path.split(".")
    for group in groups:
        tree = tree[group]
    tree[last] = value


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("colour", "blue", ["colour"]),
        ("speed", 9, ["speed", "9"]),
        ("transfers.reception", "5550100", ["transfers", "E.164"]),
        ("tools.book_appointment.file", "../../etc/passwd", ["file", "plain file name"]),
        ("dialogue.person", "boss", ["dialogue.person", "boss", "reception"]),
        ("dialogue.texts.greting", "Hi", ["texts", "greting"]),
        ("dialogue.texts.greeting", "", ["greeting"]),
        ("dialogue.slots.day", {"digits": 4, "values": {"monday": []}}, ["slots", "day"]),
        ("dialogue.intents.book.tool", "bok", ["book", "tool", "bok", "book_appointment"]),
        ("dialogue.intents.book.ask", {"day": "Day?", "time": "Time?", "dya": "?"}, ["book", "dya"]),
        ("dialogue.intents.book.phrases", ["book on {year}"], ["book", "phrases", "year"]),
        ("dialogue.intents.book.phrases", ["book ("], ["book", "phrases"]),
        ("dialogue.intents.book.answer", "See you on {moon}", ["book", "moon"]),
        ("dialogue.intents.hours.press", "12x", ["dialogue.intents.hours.press", "'12x'", "'x' is no key: 0-9 *"]),
        ("dialogue.intents.hours.press", 2, ["dialogue.intents.hours.press", "2", "string"]),
        ("dialogue.intents.hours.press", "1" * 33, ["dialogue.intents.hours.press", "1 to 32 keys"]),
        ("dialogue.intents.hours.answer", "", ["dialogue.intents.hours", "`answer` is missing", "`press`"]),
        ("dialogue.intents.hours.transfer", "boss", ["dialogue.intents.hours.transfer", "boss", "reception"]),
        ("dialogue.intents.hours.next", "moon", ["intents.hours.next", "moon", "book"]),
        ("dialogue.intents.hours.next", "hours", ["intents.hours.next", "leads back"]),
        ("dialogue.intents.hours.cases", [{"when": {}}], ["hours", "open, hours, slots, caller"]),
        ("dialogue.intents.hours.cases", [{"when": {"open": True}}], ["intents.hours", "needs the agent's `hours`"]),
        (
            "dialogue.intents.book.cases",
            [{"when": {"slots": {"day": "Sunday"}}}],
            ["when.slots.day", "Sunday", "Monday"],
        ),
        ("dialogue.intents.book.cases", [{"when": {"slots": {"moon": "x"}}}], ["when.slots", "moon"]),
        ("dialogue.intents.book.cases", [{"when": {"caller": True}, "transfer": "boss"}], ["book.transfer", "boss"]),
        ("dialogue.texts.greeting_closed", "Closed.", ["greeting_closed", "`hours`"]),
        ("dialogue.slots.day", "days", ["slots.day", "'date'"]),
        ("dialogue.slots.time", "yes_no", ["{time}", "yes_no"]),
        ("dialogue.slots.Day", "date", ["slots.Day", "small letters"]),
        ("dialogue.person_closed", "reception", ["person_closed", "`hours`"]),
        ("dialogue.person_closed", "boss", ["dialogue.person_closed", "boss", "reception"]),
        ("time_zone", "Mars/Base", ["time_zone", "Mars/Base", "Europe/London"]),
        ("hours", {"mo": "8-9"}, ["hours", "'mo'", "mon"]),
        ("press_keys", "maybe", ["press_keys", "maybe"]),
        ("dialogue.intents.hours.phrases", [], ["hours", "phrases"]),
        ("dialogue.intents.yes", {"phrases": ["yes"], "answer": "x"}, ["intents.yes", "built-in"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, path: str, value: Any, named: list[str]) -> None:
    content = shipped()
    put(content, path, value)
    file = tmp_path / "front_desk.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError) as error:
        load_agent(file)
    assert str(file) in str(error.value)
    for part in named:
        assert part in str(error.value)


def test_the_name_of_the_tool_that_presses_keys_is_taken(tmp_path: Path) -> None:
    content = shipped() | {"press_keys": True, "tools": {"press_keys": {"file": "keys.jsonl"}}, "dialogue": None}
    file = tmp_path / "front_desk.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=r"tools\.press_keys: the name is taken"):
        load_agent(file)


def test_the_names_of_the_tools_that_pause_the_recording_are_taken(tmp_path: Path) -> None:
    content = shipped() | {
        "pause_recording": True,
        "tools": {"resume_recording": {"file": "a.jsonl"}},
        "dialogue": None,
    }
    file = tmp_path / "front_desk.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=r"tools\.resume_recording: the name is taken"):
        load_agent(file)


def test_what_is_no_agent_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_agent(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        load_agents(tmp_path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=tmp_path.name):
        load_agents(tmp_path)


def test_yes_and_no_are_words(tmp_path: Path) -> None:
    file = tmp_path / "front_desk.yaml"
    text = (SHIPPED / "front_desk.yaml").read_text()
    file.write_text(text.replace("\ndialogue:\n", "\ndialogue:\n  phrases: {yes: [righto], no: [nah]}\n"))
    dialogue = load_agent(file).dialogue
    assert dialogue is not None
    assert set(dialogue.phrases) == {"yes", "no"}


def test_a_key_that_stands_twice_is_named(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("name: twice\nspeed: 1.0\nspeed: 2.0\n")
    with pytest.raises(SettingsError, match=r"(?s)twice\.yaml.*speed: stands twice"):
        load_agent(file)


def test_what_is_uninterruptible_must_exist() -> None:
    with pytest.raises(ValueError, match="'nonsense' is neither"):
        Dialogue.model_validate(
            {
                "texts": {"greeting": "Hello."},
                "intents": {"hours": {"phrases": ["hours"], "answer": "Nine."}},
                "uninterruptible": ["greeting", "nonsense"],
            }
        )


VARIABLES = """name: desk
variables: {customer: dear customer, offer: ""}
dialogue:
  texts: {greeting: "Hello {customer}"}
  slots: {day: {values: {Friday: []}}}
  intents: {hours: {phrases: [hours], answer: "Nine, {customer}. {offer}"}}
"""


def test_an_agents_variables_have_defaults_and_take_what_is_given(tmp_path: Path) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(VARIABLES)
    agent = load_agent(file)
    assert agent.known_of(NOBODY).fill("{customer}{offer}") == "dear customer"
    known = agent.known_of(NOBODY, {"customer": "Ann", "unknown": "x"})
    assert known.variables == {"customer": "Ann", "offer": ""}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("{offer}", "{offre}"), "dialogue.intents.hours: {offre} in"),
        (("customer: dear", "Customer: dear"), "variables.Customer"),
        (("offer:", "caller:"), "variables.caller: the name is taken"),
        (("offer:", "this:"), "variables.this: the name is taken"),
        (("offer:", "day:"), "variables.day: there is a slot of this name"),
        (('offer: ""', 'offer: "a\\nb"'), "on one line"),
    ],
)
def test_wrong_variables_are_named_with_their_line(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(VARIABLES.replace(*change))
    with pytest.raises(SettingsError, match=re.escape(told)) as refused:
        load_agent(file)
    assert re.search(r"\(line \d\)", str(refused.value))
