"""POST /test_streaming: a real call to this server, made by `voxline test` in a process of its own, and its report."""

import asyncio
import json
import os
import sys
from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from config.settings import Settings
from telephony.lines.request_body import read_body
from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope
from telephony.timing.verdict import Verdict

MAX_BYTES = 1024  # of a request
LONGEST_S = 300
GRACE_S = 20.0  # to set out and to tell


class TrialRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be tried."""

    mode: Literal["full", "response", "interruption", "long"] = "full"
    test_duration: Annotated[float, msgspec.Meta(ge=1, le=LONGEST_S)] = 120.0  # s; of the longest call


TEST = Operation(
    "POST",
    "/test_streaming",
    "Make a test call to this server; its report",
    Role.OPERATOR,
    Scope.CALLS_PLACE,
    Verdict,
    body=TrialRequest,
    has_usual=True,
    errors=(400, 409, 413, 502),
)


class _CallFailed(Exception):
    """No report came."""


class TrialCalls:
    """The endpoint of one server; one test at a time."""

    def __init__(self, settings: Settings, gate: Gate) -> None:
        self._settings = settings
        self._gate = gate
        self._testing = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """Where it is."""
        return [TEST.route(self._test)]

    async def _test(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, TEST.role, TEST.scope), Response):
            return refusal
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return self._gate.refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        try:
            asked = msgspec.json.decode(body or b"{}", type=TrialRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._gate.refused(request, 400, "%s", error)
        if self._testing.locked():
            return self._gate.refused(request, 409, "a test call is on already")
        async with self._testing:
            try:
                report = await self._call(request, asked)
            except (_CallFailed, TimeoutError) as error:
                return self._gate.refused(request, 502, "the test call failed: %s", error or "it took too long")
        return Response(report, media_type="application/json")

    async def _call(self, request: Request, asked: TrialRequest) -> bytes:
        """The report. Raises _CallFailed and TimeoutError."""
        host, port = request.scope["server"]
        host = f"[{host}]" if ":" in host else host
        command = [sys.executable, "-m", "telephony.cli", "test", f"http://{host}:{port}", "--json"]
        command += ["--mode", asked.mode, "--duration", str(asked.test_duration)]
        server = self._settings.server
        for key, value in (("data", str(server.data.resolve())), ("public_url", server.public_url)):
            command += ["--set", f"server.{key}={json.dumps(value)}"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=self._environment()
        )
        try:
            async with asyncio.timeout(asked.test_duration + GRACE_S):
                out, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode in (0, 1) and out.startswith(b"{"):
            return out
        said = errors.decode(errors="replace").strip().splitlines()
        raise _CallFailed(said[-1][:200] if said else f"status {process.returncode}")

    def _environment(self) -> dict[str, str]:
        """Ours without settings, which the caller has no use for, and with what it signs by."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VOXLINE_")}
        kept.pop("TWILIO_AUTH_TOKEN", None)
        if token := self._settings.twilio.auth_token.get_secret_value():
            kept["TWILIO_AUTH_TOKEN"] = token
        return kept
