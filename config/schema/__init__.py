"""JSON Schemas of the settings and of agents' files; editors use them to complete and explain keys.

`python -m config.schema` (or `make schema`) writes them from the models; a test checks that the files are up to date.
"""

import inspect
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from config import agent, conditions, dialogue, intent, slots
from config.settings import DEFAULT_FILE, Settings

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_YAML = re.compile(r"(?P<indent> *)(?:(?P<key>\w+):[^#]*?(?:\"[^\"]*\")?[^#]*?)?(?:# +(?P<comment>.*))?")
_FIELD = re.compile(r" {4}(\w+): .*  # (.+)")


def schemas() -> dict[str, str]:
    """Each file's name and the text that belongs in it."""
    settings = _plain(Settings)
    _explain_settings(settings)
    agents = _plain(agent.AgentSettings)
    for model in (agent, dialogue, intent, conditions, slots):
        _explain_models(agents, model)
    return {"settings.json": _text("settings", settings), "agent.json": _text("an agent's file", agents)}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write them; returns the files."""
    paths = []
    for name, text in schemas().items():
        paths.append(folder / name)
        paths[-1].write_text(text, encoding="utf-8")
    return paths


class _Schema(GenerateJsonSchema):
    """Leaves out the title of each field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def _plain(model: type[BaseModel]) -> dict[str, Any]:
    """The model's schema, without the defaults of whole groups (their keys have them) and of secrets."""
    schema = model.model_json_schema(schema_generator=_Schema)
    for definition in (schema, *schema["$defs"].values()):
        for field in definition.get("properties", {}).values():
            if isinstance(field.get("default"), dict) or field.get("writeOnly"):
                field.pop("default", None)
    return schema


def _explain_settings(schema: dict[str, Any]) -> None:
    """Give each setting its comment from voxline.yaml."""
    for path, comment in comments(DEFAULT_FILE.read_text(encoding="utf-8")).items():
        definition = schema
        for part in path[:-1]:
            definition = schema["$defs"][definition["properties"][part]["$ref"].rpartition("/")[2]]
        definition["properties"][path[-1]]["description"] = comment


def comments(text: str) -> dict[tuple[str, ...], str]:
    """Comments beside keys, by the keys' paths; a line with nothing but a comment goes on with the one before."""
    comments: dict[tuple[str, ...], str] = {}
    path: tuple[str, ...] = ()
    for line in text.splitlines():
        found = _YAML.fullmatch(line)
        if found is None or not line.strip():
            continue
        if found["key"]:
            path = (*path[: len(found["indent"]) // 2], found["key"])
            if found["comment"]:
                comments[path] = found["comment"]
        elif path in comments:
            comments[path] += f" {found['comment'].strip()}"
    return comments


def _explain_models(schema: dict[str, Any], module: Any) -> None:
    """Give each field its comment from the module's classes."""
    for name, model in inspect.getmembers(module, inspect.isclass):
        definition = schema if name == schema["title"] else schema["$defs"].get(name)
        if definition is None:
            continue
        for line in inspect.getsource(model).splitlines():
            if found := _FIELD.fullmatch(line):
                definition["properties"][found[1]]["description"] = found[2]


def _text(title: str, schema: dict[str, Any]) -> str:
    schema = {"$schema": DIALECT, "title": f"voxline: {title}"} | {k: v for k, v in schema.items() if k != "title"}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
