"""An agent: who answers, with which voice, tools and transfers. One YAML file each, in config/agents."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from config import strict_yaml
from config.dialogue import Dialogue
from config.exceptions import SettingsError
from config.hours import Hours
from config.parties import FIELDS, Parties, is_plain

_NUMBER = re.compile(r"\+[1-9]\d{6,14}|sip:[^\s@<>\"]+@[^\s@<>\"]+")
_FILE = re.compile(r"[\w-][\w.-]*")
MAX_BYTES = 1 << 20  # of an agent's file
MAX_VARIABLES = 50  # of an agent
MAX_VARIABLE = 500  # characters of one
OWN_FIELDS = ("heard", "this", "that")  # what single texts of a dialogue fill in themselves
FAILED_REQUESTS = "failed_requests.jsonl"  # what callers asked for and a tool could not do, for a person to follow up


def dialable(number: str) -> str:
    """The same, if a caller can be transferred to it. Raises ValueError."""
    if not _NUMBER.fullmatch(number):
        raise ValueError('a number is in E.164 ("+15550100123") or a SIP address ("sip:desk@example.com")')
    return number


def _plain_file(name: str) -> str:
    if not _FILE.fullmatch(name):
        raise ValueError("a plain file name without folders, such as bookings.jsonl")
    if name == FAILED_REQUESTS:
        raise ValueError("this file is for requests that have failed; take another name, such as bookings.jsonl")
    return name


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("there is no such time zone; allowed are names such as Europe/London or UTC") from None
    return name


def _plain_text(text: str) -> str:
    if text and not is_plain(text, MAX_VARIABLE):
        raise ValueError(f"a text of up to {MAX_VARIABLE} characters is wanted, on one line")
    return text


_TimeZone = Annotated[str, AfterValidator(_zone)]
_Number = Annotated[
    str, AfterValidator(dialable), WithJsonSchema({"type": "string", "pattern": f"^(?:{_NUMBER.pattern})$"})
]
_FileName = Annotated[
    str, AfterValidator(_plain_file), WithJsonSchema({"type": "string", "pattern": f"^{_FILE.pattern}$"})
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_VariableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
_VariableText = Annotated[str, AfterValidator(_plain_text)]


class ToolSettings(_Model):
    """A tool: every call appends its arguments as one JSON line to `file` in the server's data folder."""

    file: _FileName
    description: str = ""  # for language models
    parameters: dict[str, str] = {}  # each argument's name and what it means


class AgentSettings(_Model):
    """One agent, as its YAML file states it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    language: str = "en-us"
    voice: str = ""  # the synthesizer's own name for it; empty: its default
    speed: float = Field(default=1.0, ge=0.5, le=2.0)  # 1.0 is the voice's usual pace
    time_zone: _TimeZone = "UTC"  # where it is, such as Europe/London: what "today" is, and when it is open
    hours: Hours = {}  # when it is open, by weekday, such as mon-fri: "08:00-17:00"
    instructions: str = ""  # for language models; the scripted dialogue does not read it
    variables: Annotated[dict[_VariableName, _VariableText], Field(max_length=MAX_VARIABLES)] = {}  # {name} and default
    transfers: dict[str, _Number] = {}
    tools: dict[str, ToolSettings] = {}
    recording: bool = False  # whether its calls are recorded where recording.mode is `asked`
    press_keys: bool = False  # whether language models may press keys, such as for the menus of those they call
    pause_recording: bool = False  # whether language models may pause the recording, such as for a card's number
    dialogue: Dialogue | None = None

    def known_of(self, parties: Parties, given: Mapping[str, str] | None = None) -> Parties:
        """The parties of a call with this agent's variables: those that are `given`, else their defaults."""
        if not self.variables and not parties.variables:
            return parties
        variables = self.variables | {name: value for name, value in (given or {}).items() if name in self.variables}
        return msgspec.structs.replace(parties, variables=variables)

    @model_validator(mode="after")
    def _references(self) -> "AgentSettings":
        if self.press_keys and "press_keys" in self.tools:
            raise ValueError("tools.press_keys: the name is taken, since press_keys is true")
        for name in ("pause_recording", "resume_recording"):
            if self.pause_recording and name in self.tools:
                raise ValueError(f"tools.{name}: the name is taken, since pause_recording is true")
        for name in self.variables:
            if name in (*FIELDS, *OWN_FIELDS):
                raise ValueError(f"variables.{name}: the name is taken")
        if self.dialogue:
            self._check_variables(self.dialogue)
            self._check_transfers(self.dialogue)
            self._check_hours(self.dialogue)
            self._check_tools(self.dialogue)
        return self

    def _check_variables(self, dialogue: Dialogue) -> None:
        for name in self.variables.keys() & dialogue.slots.keys():
            raise ValueError(f"variables.{name}: there is a slot of this name")
        for key, intent in dialogue.intents.items():
            for name, text in intent.unfilled(self.variables):
                known = ", ".join((*FIELDS, *self.variables))
                raise ValueError(
                    f"dialogue.intents.{key}: {{{name}}} in {text!r} is no slot that `ask` fills, nor one of {known}"
                )

    def _check_transfers(self, dialogue: Dialogue) -> None:
        named = [("person", dialogue.person), ("person_closed", dialogue.person_closed)]
        for name, intent in dialogue.intents.items():
            named += [(f"intents.{name}.transfer", transfer) for transfer in sorted(intent.all_of("transfer"))]
        for key, transfer in named:
            if transfer and transfer not in self.transfers:
                raise ValueError(f"dialogue.{key}: {transfer!r} is no transfer; allowed: {sorted(self.transfers)}")

    def _check_hours(self, dialogue: Dialogue) -> None:
        """What depends on the opening hours needs some."""
        depends: dict[str, str | bool] = {
            "texts.greeting_closed": dialogue.texts.greeting_closed,
            "person_closed": dialogue.person_closed,
        }
        for name, intent in dialogue.intents.items():
            depends[f"intents.{name}: when.open"] = any(when.open is not None for when in intent.conditions())
        for key, given in depends.items():
            if given and not self.hours:
                raise ValueError(f"dialogue.{key} needs the agent's `hours`")

    def _check_tools(self, dialogue: Dialogue) -> None:
        for name, intent in dialogue.intents.items():
            if not intent.tool:
                continue
            if intent.tool not in self.tools:
                raise ValueError(
                    f"dialogue.intents.{name}.tool: {intent.tool!r} is no tool; allowed: {sorted(self.tools)}"
                )
            if set(parameters := self.tools[intent.tool].parameters) != set(intent.ask):
                raise ValueError(
                    f"dialogue.intents.{name}.ask: {sorted(intent.ask)} are not the parameters of the tool "
                    f"{intent.tool!r}, which are {sorted(parameters)}"
                )


def load_agent(path: Path) -> AgentSettings:
    """Read one agent's file. SettingsError names the file, the key, its value, what is allowed, and the line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        content = strict_yaml.load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must be a mapping of keys, such as `name: {path.stem}`")
    try:
        agent = AgentSettings.model_validate(content)
    except ValidationError as error:
        complaints = (f"{path}: {_complaint(each)}{_place(text, each)}" for each in error.errors())
        raise SettingsError("\n".join(complaints)) from error
    if agent.name != path.stem:
        raise SettingsError(f"{path}: name: {agent.name!r} must be the file's own name, {path.stem!r}")
    return agent


def load_agents(folder: Path) -> dict[str, AgentSettings]:
    """Read every *.yaml in a folder, by name. SettingsError when there is none, or one is wrong."""
    agents = [load_agent(path) for path in sorted(folder.glob("*.yaml"))]
    if not agents:
        raise SettingsError(f"{folder}: holds no agent; at least one NAME.yaml is needed")
    return {agent.name: agent for agent in agents}


def agent_file(folder: Path, agent: str) -> Path:
    """The file of the agent that a person names: NAME of the folder's NAME.yaml, or a file of its own. Raises
    SettingsError when the folder has none of this name."""
    if agent.endswith(".yaml"):
        return Path(agent)
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if agent not in names:
        raise SettingsError(f"{folder}: holds no agent {agent!r}; there are {', '.join(names) or 'none'}")
    return folder / f"{agent}.yaml"


def _place(text: str, error: Any) -> str:
    """The line of what is wrong; a message about several keys begins with one of them."""
    line = strict_yaml.line_of(text, error["loc"] or _message(error).partition(":")[0].split("."))
    return f" (line {line})" if line else ""


def _message(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _complaint(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{key}: there is no such key"
    message = _message(error)
    if error["type"] == "missing":
        return f"{key}: is missing"
    if isinstance(error["input"], dict):  # the whole mapping is no help to the reader
        return f"{key}: {message}" if key else message
    return f"{key}: {error['input']!r}: {message}"
