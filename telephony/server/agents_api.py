"""The agents over HTTP: GET /api/agents, POST /api/agents/reload.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from telephony.records.text import json_text
from telephony.server.agents import Agents
from telephony.server.openapi.operation import Operation
from telephony.server.reload import Outcome, Reload
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope


class LoadedAgent(msgspec.Struct, frozen=True):
    """An agent as it is loaded; twice in a list where calls keep an earlier state of it."""

    name: str
    file: str
    read_ms: int  # Unix time
    sha256: str
    calls: int  # that it has now


class LoadedAgents(msgspec.Struct, frozen=True):
    """The agents, and what came of the last reading."""

    agents: list[LoadedAgent]
    last_reload: Outcome | None


LIST = Operation("GET", "/api/agents", "The agents as they are loaded", Role.VIEWER, Scope.AGENTS_RELOAD, LoadedAgents)
READ = Operation(
    "POST",
    "/api/agents/reload",
    "Have the agents' files read anew",
    Role.ADMIN,
    Scope.AGENTS_RELOAD,
    Outcome,
    errors=(503,),
)


class AgentsApi:
    """The endpoints of one server."""

    def __init__(self, agents: Agents, gate: Gate) -> None:
        self.reload: Reload | None = None  # once the server is up
        self._agents = agents
        self._gate = gate

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            LIST.route(self._list),
            READ.route(self._read),
        ]

    async def _list(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, LIST.role, LIST.scope), Response):
            return refusal
        agents = [
            LoadedAgent(edition.name, edition.file, edition.read_ms, edition.sha256, self._agents.calls(edition))
            for edition in self._agents.editions
        ]
        last = self.reload.last if self.reload else None
        return _json(LoadedAgents(agents, last))

    async def _read(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, READ.role, READ.scope), Response):
            return refusal
        if self.reload is None:
            return self._gate.refused(request, 503, "the server is not ready")
        return _json(await self.reload.read())


def _json(value: Any) -> Response:
    return Response(json_text(msgspec.to_builtins(value)), media_type="application/json")
