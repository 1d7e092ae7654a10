"""What is kept of a call, as files over HTTP: its recording, which browsers play in pieces, and its tape."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute

from telephony.recordings.removal import find_recording
from telephony.records.call_filter import FilterError
from telephony.records.database import StoreError
from telephony.records.eraser import EraseError
from telephony.server.api import CallsApi, name_of
from telephony.server.errands import Errands
from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope
from telephony.tapes.removal import find_tape

MEDIA_TYPES = {".ogg": "audio/ogg", ".wav": "audio/wav", ".gz": "application/gzip"}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
_READ = (Role.VIEWER, Scope.CALLS_READ)
_ERRORS = (400, 404, 409, 503)
RECORDING = Operation(
    "GET",
    "/api/calls/{id}/recording",
    "A call's finished recording",
    *_READ,
    media=(MEDIA_TYPES[".ogg"], MEDIA_TYPES[".wav"]),
    errors=_ERRORS,
    ranges=True,
)
TAPE = Operation(
    "GET",
    "/api/calls/{id}/tape",
    "A call's finished tape",
    *_READ,
    media=(MEDIA_TYPES[".gz"],),
    errors=_ERRORS,
    ranges=True,
)
Find = Callable[[Path, str], Path | None]


class FilesApi:
    """The endpoints of one server."""

    def __init__(self, gate: Gate, api: CallsApi, errands: Errands, data: Path) -> None:
        """`data` is the folder that holds the tapes and recordings."""
        self._gate = gate
        self._api = api
        self._errands = errands
        self._data = data

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            RECORDING.route(self._recording),
            TAPE.route(self._tape),
        ]

    async def _recording(self, request: Request) -> Response:
        return await self._file(request, RECORDING, "recording", "recordings", find_recording)

    async def _tape(self, request: Request) -> Response:
        return await self._file(request, TAPE, "tape", "tapes", find_tape)

    async def _file(self, request: Request, what: Operation, field: str, folder: str, find: Find) -> Response:
        if isinstance(refusal := self._gate.admit(request, what.role, what.scope), Response):
            return refusal
        try:
            rows = await self._api.known().get(name_of(request))
        except (FilterError, EraseError, StoreError) as error:
            return self._api.failed(request, error)
        name = rows[0][field] if rows else ""
        path, status = await self._errands.run(_look, find, self._data / folder, name)
        if path is None:
            return self._gate.refused(request, 404, "there is no such call, or no finished %s of it here", field)
        media_type = MEDIA_TYPES[path.suffix]
        return FileResponse(path, 200, HEADERS, media_type, filename=path.name, stat_result=status)


def _look(find: Find, folder: Path, name: str) -> tuple[Path | None, Any]:
    """The file and its size; a slow disk keeps nobody waiting but this request."""
    path = find(folder, name) if name else None
    try:
        return path, path.stat() if path else None
    except OSError:
        return None, None
