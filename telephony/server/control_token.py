"""Who may control a server over HTTP: whoever can read the file `control-token` in its data folder.

The token is new after each start. Requests without it are refused, and so is everything else here, in one way: as JSON,
with a log line and the metric.
"""

import hmac
import logging
import os
import secrets
from pathlib import Path

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response

from config import private
from telephony.lines.outbound_call import TOKEN_FILE
from telephony.lines.refusals import MAX_PATH, Refusals

logger = logging.getLogger("voxline.control")


class Problem(msgspec.Struct):
    """Why a request is refused."""

    error: str


class ControlToken:
    """The token of one server."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._token = secrets.token_urlsafe(32)

    def publish(self, folder: Path) -> None:
        """Write the token to a file that only the server's own user can read. If that fails, nobody can control the
        server, and the log says so."""
        path = folder / TOKEN_FILE
        new = path.with_name(f"{TOKEN_FILE}.{os.getpid()}")
        try:
            private.make_folder(folder)
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(self._token + "\n")
            new.replace(path)
        except OSError as error:
            logger.warning("no calls can be placed: cannot write %s: %s", path, error.strerror)

    def fits(self, request: HTTPConnection) -> bool:
        """Whether a request has the token."""
        given = request.headers.get("authorization", "").encode("latin-1")
        return hmac.compare_digest(given, f"Bearer {self._token}".encode())

    def refused(self, request: HTTPConnection, status: int, reason: str, *details: object) -> Response:
        """The answer to a request that is refused; `details` fill in the reason, see Refusals.tell."""
        text = self._refusals.tell(status, reason, *details, path=request.url.path[:MAX_PATH])
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return Response(msgspec.json.encode(Problem(text)), status, headers, media_type="application/json")
