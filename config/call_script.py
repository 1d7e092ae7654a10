"""Calls to an agent in plain text, with what it must answer: a YAML file beside an agent's own, for its author to try
changes on. `agent/rehearsal.py` runs them.

    calls:
      - name: a burst pipe at night
        at: 2026-12-01 02:30
        turns:
          - {says: my pipe burst, agent: [night, street]}
          - {keys: "5550123456", agent: "5 5 5"}
        tools: [{book: {street: 12 Hill Road}}]
        ends: transferred to on_call
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from config import strict_yaml
from config.exceptions import SettingsError

MAX_BYTES = 1 << 20
LISTENING, HUNG_UP, TRANSFERRED = "listening", "hung up", "transferred to "


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Texts = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScriptedTurn(_Model):
    """One turn of the caller, and what the agent must say to it."""

    says: str = ""  # the caller's words
    keys: str = ""  # keys the caller presses
    silent: bool = False  # the caller says nothing for a while
    unreached: bool = False  # nobody answers where the caller was put through to
    agent: _Texts = ()  # parts of what the agent says then
    never: _Texts = ()  # what it does not say

    @model_validator(mode="after")
    def _one(self) -> "ScriptedTurn":
        if bool(self.says or self.keys) + self.silent + self.unreached != 1:
            raise ValueError("a turn is one of: `says` or `keys` (or both), `silent`, `unreached`")
        return self


class ScriptedCall(_Model):
    """One call."""

    name: str
    at: datetime  # when it begins, by the agent's clock
    caller: str = ""  # the caller's number; empty: unknown
    greeting: _Texts = ()  # parts of the agent's first words
    turns: tuple[ScriptedTurn, ...] = Field(min_length=1)
    tools: tuple[dict[str, dict[str, str]], ...] = ()  # the tools that run, in order, each with its arguments
    ends: str = LISTENING  # how: listening, hung up, or transferred to one of the agent's transfers


class CallScript(_Model):
    """The calls of one file."""

    calls: tuple[ScriptedCall, ...] = Field(min_length=1)


def load_calls(path: Path) -> tuple[ScriptedCall, ...]:
    """Read one file of calls. SettingsError names the file and what is wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes")
        return CallScript.model_validate(strict_yaml.load(path.read_text(encoding="utf-8"))).calls
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        lines = (f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise SettingsError("\n".join(lines)) from error
