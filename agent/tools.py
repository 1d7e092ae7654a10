"""What an agent can do besides talking: each tool appends to a file of JSON lines.

Hanging up, transfers and keys are not tools of this kind: they come here only when a model has asked for them wrongly.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from agent.engine.base import ToolCall, ToolResult
from agent.engine.prompt import PRESS_KEYS
from agent.records import Records
from config.agent import FAILED_REQUESTS, ToolSettings
from config.keys import ALLOWED, MOST
from config.logging import Log
from config.parties import NOBODY, Parties

TIMEOUT_S = 3.0
KEEP_S = 1.0  # for keeping a request that has failed: the caller is waiting to be told
UNKNOWN = "unknown"  # counts every tool that there is not

NO_CALL = Log(logging.getLogger("voxline.tools"), {})


class Tools:
    """The tools of one agent in one call. With `presses` models may press keys.

    `ran` is told each result. `count` is told each tool's name and what came of it: done, refused (the model asked for
    what cannot be, and is told so) or failed. A request that has failed is kept for a person in
    `failed_requests.jsonl`; where that fails too, the log has it, if it may (`words`).
    """

    def __init__(
        self,
        tools: dict[str, ToolSettings],
        records: Records,
        *,
        presses: bool = False,
        timeout_s: float = TIMEOUT_S,
        words: bool = False,
        log: Log = NO_CALL,
        count: Callable[[str, str], None] = lambda _tool, _outcome: None,
        ran: Callable[[ToolResult], None] = lambda _result: None,
        parties: Parties = NOBODY,
    ) -> None:
        self.longest_s = timeout_s + KEEP_S  # that a call of a tool may take
        self._tools = tools
        self._records = records
        self._presses = presses
        self._timeout_s = timeout_s
        self._words = words
        self._log = log
        self._count = count
        self._ran = ran
        self._parties = parties.record()

    async def run(self, call_id: str, call: ToolCall) -> ToolResult:
        """Run one call; whatever goes wrong stands in the result's `error`."""
        result = await self._run(call_id, call)
        self._ran(result)
        return result

    async def _run(self, call_id: str, call: ToolCall) -> ToolResult:
        if wrong := self._wrong(call):
            self._count(call.name if call.name in self._tools else UNKNOWN, "refused")
            self._log.info("tool", extra={"tool": call.name, "error": wrong})
            return ToolResult(call.name, call.arguments, error=wrong)
        file = self._tools[call.name].file
        time = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"time": time, "call": call_id, "tool": call.name, "arguments": call.arguments | call.secrets}
        record |= {"heard_ms": call.heard_ms} if call.heard_ms else {}
        record |= {"parties": self._parties} if self._parties else {}
        try:
            await self._records.append(file, record, self._timeout_s)
        except Exception as error:  # noqa: BLE001 (whatever it is, the caller waits to be told)
            return await self._failed(call, record, f"cannot write {file}: {reason(error)}")
        self._count(call.name, "done")
        self._log.info("tool", extra={"tool": call.name, "error": ""})
        return ToolResult(call.name, call.arguments, result={"ok": True})

    def _wrong(self, call: ToolCall) -> str:
        """What is wrong with the model's wish; empty: nothing."""
        if call.name == PRESS_KEYS and self._presses:
            return f"nothing was pressed: at most {MOST}; {ALLOWED}"
        tool = self._tools.get(call.name)
        if tool is None:
            return f"there is no tool {call.name!r}"
        if wrong := sorted(call.arguments.keys() ^ tool.parameters.keys()):
            return f"missing or unknown arguments: {', '.join(wrong)}"
        return ""

    async def _failed(self, call: ToolCall, record: dict[str, Any], error: str) -> ToolResult:
        """Keep the request for a person, and report the failure."""
        self._count(call.name, "failed")
        extra: dict[str, Any] = {"tool": call.name, "error": error, "kept": FAILED_REQUESTS}
        try:
            await self._records.append(FAILED_REQUESTS, {**record, "error": error}, KEEP_S, late=True)
            error += "; the request is kept for a person to see to"
        except Exception as also:  # noqa: BLE001
            extra["kept"] = f"no: {reason(also)}"
            if self._words:
                extra["arguments"] = call.arguments
        self._log.warning("tool", extra=extra)
        return ToolResult(call.name, call.arguments, error=error)


def reason(error: Exception) -> str:
    """Why, without the paths of this machine, which are no business of a model's callers."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
