"""The agents over HTTP: GET /api/agents, POST /api/agents/reload.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from telephony.records.text import json_text
from telephony.server.agents import Agents
from telephony.server.reload import Reload
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role


class AgentsApi:
    """The endpoints of one server."""

    def __init__(self, agents: Agents, gate: Gate) -> None:
        self.reload: Reload | None = None  # once the server is up
        self._agents = agents
        self._gate = gate

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/api/agents", self._list, methods=["GET"]),
            Route("/api/agents/reload", self._read, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, Role.VIEWER), Response):
            return refusal
        agents = [
            {
                "name": edition.name,
                "file": edition.file,
                "read_ms": edition.read_ms,
                "sha256": edition.sha256,
                "calls": self._agents.calls(edition),
            }
            for edition in self._agents.editions
        ]
        last = self.reload.last if self.reload else None
        return _json({"agents": agents, "last_reload": last})

    async def _read(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, Role.ADMIN), Response):
            return refusal
        if self.reload is None:
            return self._gate.refused(request, 503, "the server is not ready")
        return _json(await self.reload.read())


def _json(value: Any) -> Response:
    return Response(json_text(msgspec.to_builtins(value)), media_type="application/json")
