"""Talks with an agent's dialogue in plain text, tools included."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec

from agent.engine.base import Cue, Done, ReplyRequest, Text, ToolCall, ToolResult
from agent.engine.embedded.dialogue import DialogueModel
from config.agent import AgentSettings
from config.parties import NOBODY, Parties

MONDAY = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)


class PlainCaller:
    """One call, which began at `now` and takes no time."""

    def __init__(self, agent: AgentSettings, now: datetime = MONDAY, parties: Parties = NOBODY) -> None:
        self.model = DialogueModel({agent.name: agent})
        self.agent = agent
        self.state: dict[str, Any] = {}
        self.done = Done()
        self.tools: list[ToolCall] = []
        self.turns = 0
        self._now = now
        self._parties = parties

    def ask(self, cue: Cue, **fields: Any) -> str:
        async def collect() -> list[Any]:
            request = ReplyRequest(
                "1",
                "CA1",
                self.agent.name,
                cue,
                state=self.state,
                started_s=self._now.timestamp(),
                turn_end_ms=self.turns * 1000,
                parties=self._parties,
                **fields,
            )
            return [event async for event in self.model.reply(request)]

        events = asyncio.run(collect())
        self.done = events[-1]
        self.state = msgspec.json.decode(msgspec.json.encode(self.done.state))  # it must survive a tape
        text = "".join(event.text for event in events if isinstance(event, Text))
        if calls := [event for event in events if isinstance(event, ToolCall)]:
            self.tools += calls
            results = tuple(ToolResult(call.name, call.arguments) for call in calls)
            text = " ".join(filter(None, (text, self.ask(Cue.TOOL, tool_results=results))))
        return text

    def says(self, words: str) -> str:
        self.turns += 1
        return self.ask(Cue.ANSWER, transcript=words)

    def dials(self, digits: str) -> str:
        self.turns += 1
        return self.ask(Cue.ANSWER, transcript="", digits=digits)


def shop(**intents: Any) -> PlainCaller:
    """A shop that is closed in the evening; `now` is Monday at ten."""
    return PlainCaller(
        AgentSettings.model_validate(
            {
                "name": "shop",
                "hours": {"mon": "08:00-12:00"},
                "transfers": {"sales": "+15550100111", "night": "+15550100112"},
                "tools": {"note": {"file": "notes.jsonl", "parameters": {"cake": "which", "name": "who"}}},
                "dialogue": {
                    "texts": {"greeting": "Hello.", "greeting_closed": "We are closed."},
                    "slots": {"cake": {"values": {"apple": [], "plum": [], "lemon": []}}, "name": "text"},
                    "intents": {"help": {"phrases": ["help"], "answer": "Ask."}, **intents},
                },
            }
        )
    )
