"""Health, readiness and metrics over HTTP, for operators and their tools."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from telephony.lines.admission import Admission
from telephony.lines.descriptors import Descriptors
from telephony.lines.metrics import Metrics
from telephony.lines.refusals import Refusals
from telephony.lines.registry import Registry
from telephony.server.http.access import Access
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.scope import Scope


class Health:
    """The routes of one server."""

    def __init__(
        self,
        calls: Registry,
        *,
        admission: Admission,
        descriptors: Descriptors,
        metrics: Metrics,
        access: Access,
        gate: Gate,
        refusals: Refusals,
    ) -> None:
        self._calls = calls
        self._admission = admission
        self._descriptors = descriptors
        self._metrics = metrics
        self._access = access
        self._gate = gate
        self._refusals = refusals

    def routes(self) -> list[Route]:
        """Their paths."""
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._exposition),
        ]

    async def _healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        admission, out, is_ready = self._admission, self._descriptors.out, self._calls.is_ready
        ready = is_ready and admission.free > 0 and not out
        state = "draining" if admission.draining else "ready" if ready else "full" if is_ready else "loading"
        body: dict[str, str | int] = {"status": "out of file descriptors" if out else state}
        if self._access.may_observe(request):
            body |= {"active": admission.active, "free": admission.free}
        return JSONResponse(body, 200 if ready else 503)

    async def _exposition(self, request: Request) -> Response:
        if not (self._access.may_observe(request) or self._gate.opens(request, Scope.METRICS_READ)):
            reason = "/metrics is for programs that send server.metrics_token, or without one for those on this machine"
            refusal = self._refusals.answer(request, 401, reason)
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
