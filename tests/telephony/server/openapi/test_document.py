"""The OpenAPI document: valid, and of just what the server serves."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route, WebSocketRoute

from config.settings import load_settings
from telephony.records.call_filter import KEYS
from telephony.records.export import NAMES
from telephony.server import call_shapes, hooks_api
from telephony.server.app import App
from telephony.server.openapi.document import SOCKET, document
from telephony.server.openapi.operation import ApiRoute, ApiSocket, Operation
from telephony.server.sign_in.scope import OPENS, Scope
from tests.telephony.lines.sip.phone import QUICK

PREFIXES = ("/api", "/calls", "/streaming_metrics", "/test_streaming", "/browser/token")


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(load_settings(None, QUICK | {"server.data": str(tmp_path)}))


def operations(app: App) -> list[Operation]:
    return [route.operation for route in app.asgi.routes if isinstance(route, (ApiRoute, ApiSocket))]


def described(app: App) -> dict[str, Any]:
    """As a client reads it."""
    shown: dict[str, Any] = json.loads(json.dumps(document(operations(app), "1")))
    return shown


def test_it_is_valid(app: App) -> None:
    assert list(OpenAPIV31SpecValidator(described(app)).iter_errors()) == []


def test_every_route_is_in_it_and_every_entry_is_a_route(app: App) -> None:
    served = set()
    for route in app.asgi.routes:
        if isinstance(route, Route) and route.path.startswith(PREFIXES):
            served |= {(method.lower(), route.path) for method in (route.methods or ()) if method != "HEAD"}
        elif isinstance(route, WebSocketRoute) and route.path.startswith(PREFIXES):
            served.add(("get", route.path))
    shown = {(method, path) for path, methods in described(app)["paths"].items() for method in methods}
    assert shown == served
    assert len(shown) == len(operations(app))  # no entry hides another


def test_each_operation_names_who_may(app: App) -> None:
    for path, methods in described(app)["paths"].items():
        for operation in methods.values():
            token, session = operation["security"]
            assert set(token["token"]) <= set(Scope)
            assert token["token"] or path == "/api/openapi.json"
            assert session["session"] in (["viewer"], ["operator"], ["admin"])
            assert {"401", "403"} <= operation["responses"].keys()


def test_each_scope_opens_something(app: App) -> None:
    assert {operation.scope for operation in operations(app)} == {*Scope, "any"}
    assert all(text in described(app)["info"]["description"] for text in OPENS.values())


def test_names_are_of_one_operation_each(app: App) -> None:
    names = [operation["operationId"] for methods in described(app)["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_a_socket_says_so(app: App) -> None:
    shown = [operation for methods in described(app)["paths"].values() for operation in methods.values()]
    sockets = sum(operation.method == SOCKET for operation in operations(app))
    assert sum("x-websocket" in operation for operation in shown) == sockets == 1


def test_parts_of_files_may_be_asked_for(app: App) -> None:
    shown = described(app)["paths"]
    for path in ("/api/calls/{id}/recording", "/api/calls/{id}/tape"):
        assert {"200", "206", "416"} <= shown[path]["get"]["responses"].keys()


def test_queries_are_those_that_are_understood() -> None:
    assert set(call_shapes.CallsQuery.__struct_fields__) == set(KEYS)
    assert set(call_shapes.ExportQuery.__struct_fields__) == {*KEYS, "format"}
    assert set(hooks_api.DeliveriesQuery.__struct_fields__) == set(hooks_api.KEYS)


def test_calls_have_the_fields_that_are_shown() -> None:
    assert set(call_shapes.Call.__struct_fields__) == set(NAMES)


def test_endpoints_ask_for_no_role_but_their_operations(app: App) -> None:
    """A role or a scope that is written into an endpoint would not be in the document."""
    for route in app.asgi.routes:
        if isinstance(route, (ApiRoute, ApiSocket)):
            text = inspect.getsource(route.endpoint)
            assert "Role." not in text
            assert "Scope." not in text
