"""The OpenAPI 3.1 document of a server, made from the operations of its routes and the types they take and answer."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from telephony.server.control_token import Problem
from telephony.server.openapi.operation import JSON, Operation
from telephony.server.sign_in.scope import OPENS, Scope

SOCKET = "WEBSOCKET"
MAX_ID = 128  # characters
REFS = "#/components/schemas/{name}"
TEXT = {"text/plain": {"schema": {"type": "string"}}}
ABOUT = """voxline's API.

Programs send a token, `Authorization: Bearer TOKEN`: one made by `voxline api-token create`, good for its scopes, or
the server's own `control-token`, good for everything. Pages of the console send their session's cookie and, with
whatever changes something, the header `X-CSRF-Token`.

Errors are JSON: `{"error": "..."}`. What is wrong with the connection is told as plain text.

Scopes:
"""
SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, or the server's control token."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-voxline",
        "description": "Of the console; on the server's own machine its name is voxline- and the port.",
    },
    "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
}
SAID = {  # of errors, where HTTP's own phrase does not do
    400: "It is asked for wrongly, or the body is not JSON.",
    401: "The token or the session is missing or wrong.",
    403: "The scope or the role does not allow it, or a page of another site asks.",
    409: "It cannot be done now.",
    413: "It is too long.",
    421: "It is for another host.",
    422: "It cannot be meant.",
    503: "It cannot be had now: try again.",
}


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """All of it, as plain data."""
    types = list(dict.fromkeys([Problem, *filter(None, _types(operations))]))
    schemas, components = msgspec.json.schema_components(types, ref_template=REFS)
    known = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        method = "get" if operation.method == SOCKET else operation.method.lower()
        paths.setdefault(operation.path, {})[method] = _shown(operation, known)
    scopes = "\n".join(f"- `{scope}`: {text}" for scope, text in OPENS.items())
    return {
        "openapi": "3.1.0",
        "info": {"title": "voxline", "version": version, "description": ABOUT + scopes},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": SECURITY},
    }


def _types(operations: Sequence[Operation]) -> list[Any]:
    return [kind for operation in operations for kind in (operation.answer, operation.body)]


def _shown(operation: Operation, known: dict[Any, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _name(operation),
        "tags": [_tag(operation.path)],
        "security": _security(operation),
        "responses": _responses(operation, known),
    }
    if parameters := [*_path(operation), *_query(operation)]:
        shown["parameters"] = parameters
    if operation.body:
        content = {JSON: {"schema": known[operation.body]}}
        shown["requestBody"] = {"required": not operation.has_usual, "content": content}
    if operation.method == SOCKET:
        shown["x-websocket"] = True
    return shown


def _name(operation: Operation) -> str:
    """Of the operation, for programs that make clients."""
    parts = [part.strip("{}") for part in operation.path.replace("openapi.json", "openapi").split("/")]
    return "_".join([operation.method.lower(), *filter(None, parts)])


def _tag(path: str) -> str:
    parts = path.removeprefix("/api").strip("/").split("/")
    return parts[0].removesuffix(".json")


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """For what is no OAuth, OpenAPI lets the list name roles."""
    session = {"session": [operation.role.name.lower()]}
    if operation.method not in ("GET", SOCKET):
        session["csrf"] = []
    return [{"token": [operation.scope] if isinstance(operation.scope, Scope) else []}, session]


def _path(operation: Operation) -> list[dict[str, Any]]:
    if "{id}" not in operation.path:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_ID}
    return [{"name": "id", "in": "path", "required": True, "description": operation.id, "schema": schema}]


def _query(operation: Operation) -> list[dict[str, Any]]:
    """Empty values count as absent."""
    if operation.query is None:
        return []
    _, components = msgspec.json.schema_components([operation.query])
    properties = components[operation.query.__name__]["properties"]
    shown = []
    for name, schema in properties.items():
        plain = {key: value for key, value in schema.items() if key not in ("default", "description")}
        described = {"description": schema["description"], "allowEmptyValue": True}
        shown.append({"name": name, "in": "query", **described, "schema": plain})
    return shown


def _responses(operation: Operation, known: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {str(operation.status): _success(operation, known)}
    if operation.ranges:
        found["206"] = {**found["200"], "description": "The part that is asked for."}
        found["416"] = {"description": "There is no such part.", "content": TEXT}
    for status in sorted({401, 403, 421, *operation.errors}):
        plain = status == 403 or (status == 400 and operation.ranges)
        content = {JSON: {"schema": known[Problem]}} | (TEXT if plain else {})
        content = TEXT if status == 421 else content
        found[str(status)] = {"description": SAID.get(status, HTTPStatus(status).phrase), "content": content}
    return found


def _success(operation: Operation, known: dict[Any, Any]) -> dict[str, Any]:
    if operation.method == SOCKET:
        return {"description": "The socket is open."}
    content: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in operation.media}
    if operation.answer is not None:
        content[JSON] = {"schema": known[operation.answer]}
    success: dict[str, Any] = {"description": operation.summary, "content": content}
    if operation.follow:
        success["headers"] = {"Location": {"description": "Where to follow it.", "schema": {"type": "string"}}}
    return success
