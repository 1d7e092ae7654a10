"""One operation of the API: where it is, who may, what it takes and answers. Its route and its entry in the OpenAPI
document are made from it."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import Scope

from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Needed

JSON = "application/json"
CALL = "A call: its id, 16 hex digits, or its id in the log."


class Operation(msgspec.Struct, frozen=True):
    """See above. `path` has at most one parameter, `{id}`."""

    method: str  # WEBSOCKET for an upgrade
    path: str
    summary: str
    role: Role
    scope: Needed
    answer: Any = None  # the type of the answer, as JSON; None: it is none
    status: int = 200
    media: tuple[str, ...] = (JSON,)
    body: type[msgspec.Struct] | None = None
    has_usual: bool = False  # an empty body stands for the usual values
    query: type[msgspec.Struct] | None = None
    errors: tuple[int, ...] = ()  # beside 401, 403 and 421, which every operation may answer
    ranges: bool = False  # a part of the answer may be asked for (RFC 9110, section 14)
    follow: bool = False  # the answer says where to follow what was begun
    id: str = CALL  # what the path's parameter is

    def route(self, endpoint: Callable[..., Any]) -> "ApiRoute":
        """Its route."""
        return ApiRoute(self, endpoint)

    def socket(self, endpoint: Callable[..., Any]) -> "ApiSocket":
        """Its route, if it is a WebSocket."""
        return ApiSocket(self, endpoint)


class ApiRoute(Route):
    """A route in the document."""

    def __init__(self, operation: Operation, endpoint: Callable[..., Any]) -> None:
        super().__init__(operation.path, endpoint, methods=[operation.method])
        self.operation = operation

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See Route. A path without a parameter is this route's by any method, for which it answers 405: it is no value
        of the parameter of a later one, such as `export` in /api/calls/{id}."""
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and not self.param_convertors else match), child


class ApiSocket(WebSocketRoute):
    """A WebSocket in the document."""

    def __init__(self, operation: Operation, endpoint: Callable[..., Any]) -> None:
        super().__init__(operation.path, endpoint)
        self.operation = operation
