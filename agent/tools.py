"""What an agent can do besides talking: each tool appends to a file of JSON lines.

Hanging up, transfers and keys are no tools of this kind: they come here only where a model has asked for them wrongly.
"""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from agent.engine.base import ToolCall, ToolResult
from agent.engine.prompt import PRESS_KEYS
from config.agent import ToolSettings
from config.keys import ALLOWED, MOST


class Tools:
    """The tools of one agent. Files are relative to `folder`; with `presses` models may press keys."""

    def __init__(self, tools: dict[str, ToolSettings], folder: Path, *, presses: bool = False) -> None:
        self._tools = tools
        self._folder = folder
        self._presses = presses

    async def run(self, call_id: str, call: ToolCall) -> ToolResult:
        """Run one call; whatever goes wrong stands in the result's `error`."""
        tool = self._tools.get(call.name)
        if call.name == PRESS_KEYS and self._presses:
            return ToolResult(call.name, call.arguments, error=f"nothing was pressed: at most {MOST}; {ALLOWED}")
        if tool is None:
            return ToolResult(call.name, call.arguments, error=f"there is no tool {call.name!r}")
        if wrong := sorted(call.arguments.keys() ^ tool.parameters.keys()):
            return ToolResult(call.name, call.arguments, error=f"missing or unknown arguments: {', '.join(wrong)}")
        time = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"time": time, "call": call_id, "tool": call.name, "arguments": call.arguments}
        try:
            await asyncio.to_thread(_append, self._folder / tool.file, json.dumps(record) + "\n")
        except (OSError, ValueError) as error:
            return ToolResult(call.name, call.arguments, error=f"cannot write {tool.file}: {error}")
        return ToolResult(call.name, call.arguments, result={"ok": True})


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
