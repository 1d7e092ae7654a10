"""How fast the server answers, and its switches: GET /streaming_metrics, GET /api/streaming/status and POST
/api/streaming/configure, by the names that other streaming agents have for them.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from config.exceptions import SettingsError
from config.settings import Settings
from telephony.lines.request_body import read_body
from telephony.server.openapi.operation import Operation
from telephony.server.runtime_settings import RuntimeSettings
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope
from telephony.timing.figures import Figures
from telephony.timing.status import Status

MAX_BYTES = 8192  # of a request
ON = {
    "streaming": ("recognition.streaming", "reply.streaming", "reply.speech_streaming"),
    "partials": ("recognition.partials",),
}


class Configure(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed, for calls that begin after it."""

    streaming: bool | None = None
    partials: bool | None = None
    concurrent_tts: bool | None = None
    settings: dict[str, Any] = {}  # by their keys, such as turn.endpoint_ms
    keep: bool = False  # also after a restart
    reset: bool = False  # first of all back to the settings that the server was started with


class MetricsQuery(msgspec.Struct):
    """Of which call."""

    call: Annotated[str, msgspec.Meta(description="A call's id in the log.")] = ""


METRICS = Operation(
    "GET",
    "/streaming_metrics",
    "How fast it answers, with the latest calls",
    Role.VIEWER,
    Scope.METRICS_READ,
    Status,
    query=MetricsQuery,
)
STATUS = Operation(
    "GET", "/api/streaming/status", "Switches, figures and targets", Role.VIEWER, Scope.METRICS_READ, Status
)
CONFIGURE = Operation(
    "POST",
    "/api/streaming/configure",
    "Change switches and settings for calls to come",
    Role.ADMIN,
    Scope.SETTINGS_WRITE,
    Status,
    body=Configure,
    errors=(400, 413, 422, 507),
)


class StreamingApi:
    """The endpoints of one server."""

    def __init__(self, figures: Figures, settings: RuntimeSettings, gate: Gate, *, by_model: bool) -> None:
        """`by_model`: replies are written by a language model, which can be asked for long ones."""
        self._figures = figures
        self._settings = settings
        self._gate = gate
        self._by_model = by_model

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            METRICS.route(self._metrics),
            STATUS.route(self._status),
            CONFIGURE.route(self._configure),
        ]

    async def _metrics(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, METRICS.role, METRICS.scope), Response):
            return refusal
        wanted = request.query_params.get("call") or None
        status = self._now()
        status.calls = [call for call in self._figures.calls if wanted in (None, call.call)][-20:]
        return _json(status)

    async def _status(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, STATUS.role, STATUS.scope), Response):
            return refusal
        return _json(self._now())

    async def _configure(self, request: Request) -> Response:
        who = self._gate.admit(request, CONFIGURE.role, CONFIGURE.scope)
        if isinstance(who, Response):
            return who
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return self._gate.refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        try:
            asked = msgspec.json.decode(body, type=Configure)
            self._change(asked, who.name)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._gate.refused(request, 400, "%s", error)
        except SettingsError as error:
            return self._gate.refused(request, 422, "%s", error)
        except OSError as error:
            return self._gate.refused(request, 507, "changed until the server ends; it cannot be kept: %s", error)
        return _json(self._now())

    def _change(self, asked: Configure, who: str) -> None:
        values = dict(asked.settings)
        for name, keys in ON.items():
            if (on := getattr(asked, name)) is not None:
                values |= dict.fromkeys(keys, on)
        if asked.concurrent_tts is not None:
            usual = self._settings.begun_with.reply.concurrent_tts_streams
            values["reply.concurrent_tts_streams"] = max(2, usual) if asked.concurrent_tts else 1
        if asked.reset:
            self._settings.reset(who)
        if values:
            self._settings.change(values, who, keep=asked.keep)

    def _now(self) -> Status:
        figures, since_start = self._figures, self._figures.since_start()
        return Status(
            by_model=self._by_model,
            switches=switches(self._settings.now),
            changed=self._settings.changes,
            kept=self._settings.kept,
            counts=figures.counts(),
            targets=figures.targets(),
            since_start=since_start,
            last_5_minutes=figures.recent(),
            avg_first_token_ms=since_start["first_token"].avg,
            avg_first_audio_ms=since_start["first_audio"].avg,
        )


def switches(settings: Settings) -> dict[str, bool]:
    """Which of them are on, by the names of their environment variables."""
    return {
        "STT_STREAMING_ENABLED": settings.recognition.streaming,
        "STT_PARTIALS_ENABLED": settings.recognition.partials,
        "PARTIAL_SUPPORT_ENABLED": settings.recognition.partials,
        "ORCH_STREAMING_ENABLED": settings.reply.streaming,
        "CONCURRENT_TTS_ENABLED": settings.reply.concurrent_tts_streams > 1,
        "TTS_STREAMING_ENABLED": settings.reply.speech_streaming,
    }


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
