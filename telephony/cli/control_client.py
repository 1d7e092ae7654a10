"""A client of the running server's HTTP API: originates calls, follows them, acts on them, deletes those on record, and
has agents read anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from telephony.lines.exceptions import LineError
from telephony.lines.outbound_call import TOKEN_FILE, CallRequest, OutboundCall
from telephony.timing.status import Status

TIMEOUT_S = 10.0
RELOAD_S = 300.0  # decoders and voices of new agents are tried
SILENT_S = 40.0  # without a sign of life from a list of live calls
DELETE_S = 330.0  # the server writes its database anew, which may be large

T = TypeVar("T")


class DialFailed(LineError):
    """The server cannot be reached, or it refuses with this HTTP status."""

    def __init__(self, reason: str, status: int = 0) -> None:
        self.status = status
        super().__init__(reason)


class RefusedFile(msgspec.Struct):
    """An agent's file that was not taken."""

    file: str
    error: str


class AgentsRead(msgspec.Struct):
    """What came of reading the agents anew: their names, and the files that were refused."""

    read: list[str]
    unchanged: list[str]
    removed: list[str]
    refused: list[RefusedFile]


class ControlClient:
    """A server at `url`; `data` is its data folder, which holds the token. Every method raises DialFailed."""

    def __init__(self, url: str, data: Path) -> None:
        headers = {"Authorization": f"Bearer {_token(data)}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def originate(self, request: CallRequest) -> OutboundCall:
        """Have it place a call."""
        return self._ask(OutboundCall, "POST", "/calls", msgspec.json.encode(request))

    def look_up(self, call: OutboundCall) -> OutboundCall:
        """The call's present state."""
        return self._ask(OutboundCall, "GET", f"/calls/{call.id}")

    def give_up(self, call: OutboundCall) -> None:
        """Have it cancel the call, or hang up."""
        self._ask(OutboundCall, "DELETE", f"/calls/{call.id}")

    def delete_calls(self, name: str) -> int:
        """Have it delete the calls on record with this id; returns how many there were."""
        try:
            path = f"/api/calls/{quote(name, safe='')}"
            return self._ask(dict[str, int], "DELETE", path, timeout_s=DELETE_S).get("deleted", 0)
        except DialFailed as error:
            if error.status == 404:
                return 0
            raise

    def reload_agents(self) -> AgentsRead:
        """Have it read its agents anew."""
        return self._ask(AgentsRead, "POST", "/api/agents/reload", timeout_s=RELOAD_S)

    def act(self, name: str, act: str, body: dict[str, Any]) -> None:
        """Have something done with a live call."""
        path = f"/api/calls/{quote(name, safe='')}/{act}"
        self._ask(dict[str, bool], "POST", path, msgspec.json.encode(body))

    def live(self) -> Iterator[dict[str, Any]]:
        """What changes among the live calls, as GET /api/live tells it; all of them first."""
        timeout = httpx.Timeout(TIMEOUT_S, read=SILENT_S)
        try:
            with self._http.stream("GET", "/api/live", timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self._refused(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield msgspec.json.decode(line.removeprefix("data: "), type=dict[str, Any])
        except httpx.HTTPError as error:
            raise DialFailed(f"no answer from {self._http.base_url}: {error}") from None

    def status(self, call: str = "") -> Status:
        """What it has measured; with `call` of one call, by its id in the log."""
        return self._ask(
            Status, "GET", f"/streaming_metrics?call={quote(call, safe='')}" if call else "/streaming_metrics"
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _ask(self, kind: type[T], method: str, path: str, body: bytes | None = None, timeout_s: float = TIMEOUT_S) -> T:
        url = self._http.base_url
        try:
            answer = self._http.request(method, path, content=body, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise DialFailed(f"no answer from {url}: {error}") from None
        if answer.is_success:
            try:
                return msgspec.json.decode(answer.content, type=kind)
            except msgspec.DecodeError:
                raise DialFailed(f"{url} is no voxline server") from None
        raise self._refused(answer)

    def _refused(self, answer: httpx.Response) -> DialFailed:
        try:
            why = msgspec.json.decode(answer.content, type=dict[str, str])["error"]
        except (msgspec.DecodeError, KeyError):
            why = f"{self._http.base_url} is no voxline server"
        if answer.status_code == 401:
            why += "; is it the data folder of this server?"
        return DialFailed(f"{why} ({answer.status_code})", answer.status_code)


def _token(data: Path) -> str:
    path = data / TOKEN_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise DialFailed(f"cannot read {path}, which a running server writes: {error.strerror}") from None
