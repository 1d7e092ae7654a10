"""Operations as routes."""

import msgspec

from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope


async def nothing() -> None:
    pass


def test_a_route_is_where_its_operation_says() -> None:
    operation = Operation("DELETE", "/api/calls/{id}", "Delete", Role.ADMIN, Scope.CALLS_DELETE)
    route = operation.route(nothing)
    assert (route.path, route.methods, route.operation) == ("/api/calls/{id}", {"DELETE"}, operation)
    socket = msgspec.structs.replace(operation, method="WEBSOCKET").socket(nothing)
    assert socket.path == operation.path
