"""Twilio's webhooks: which TwiML a call gets, what follows its stream, and how it ended."""

import logging
import re
from collections.abc import Callable, Container

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from config.parties import Parties, parties
from config.settings import Settings
from telephony.lines.admission import Admission
from telephony.lines.ending import Failed, Transfer
from telephony.lines.form import parse_form
from telephony.lines.metrics import Metrics
from telephony.lines.outcomes import Outcomes
from telephony.lines.refusals import Refusals
from telephony.lines.request_body import read_body
from telephony.lines.routing import Routes
from telephony.lines.screening import IncomingCall, Refused, Screening
from telephony.lines.stream.token import Tokens
from telephony.lines.twilio import twiml as webhook
from telephony.lines.twilio.messages import SID_PATTERN
from telephony.lines.twilio.signature import NotSigned, Signature

logger = logging.getLogger("voxline.webhooks")

MAX_FORM_BYTES = 65_536
MAX_FIELDS = 500  # Twilio sends about 30
XML = "application/xml"


class Webhooks:
    """The webhooks of one server. `is_ready` tells whether calls can be taken; `agents` holds their names."""

    def __init__(
        self,
        settings: Settings,
        agents: Container[str],
        *,
        signature: Signature | None,
        tokens: Tokens | None,
        admission: Admission,
        outcomes: Outcomes,
        metrics: Metrics,
        refusals: Refusals,
        is_ready: Callable[[], bool],
        screening: Screening | None = None,
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._routes = Routes(settings.routes)
        self._signature = signature
        self._tokens = tokens
        self._admission = admission
        self._outcomes = outcomes
        self._metrics = metrics
        self._refusals = refusals
        self._is_ready = is_ready
        self._screening = screening

    def routes(self) -> list[Route]:
        """Where they are."""
        paths = {"/twilio/voice": self._voice, "/twilio/after": self._after, "/twilio/status": self._status}
        return [Route(path, endpoint, methods=["POST"]) for path, endpoint in paths.items()]

    async def _form(self, request: Request) -> dict[str, str] | Response:
        """The fields of a webhook, or the answer that refuses it. A repeated field has its last value."""
        refused = self._refusals.answer
        try:
            claim = self._signature.claim(request.headers) if self._signature else None
        except NotSigned as error:
            return refused(request, 403, error.reason, *error.details)
        body = await read_body(request, MAX_FORM_BYTES)
        if body is None:
            return refused(request, 413, "a form longer than %d bytes", MAX_FORM_BYTES)
        try:
            form = parse_form(body, MAX_FIELDS)
        except ValueError:
            return refused(
                request, 400, "the body is not a form (application/x-www-form-urlencoded), or too long a one"
            )
        if self._signature and claim and not self._signature.webhook(claim, target(request), form):
            return refused(request, 403, "the signature is wrong; is server.public_url right?")
        fields = {name: values[-1] for name, values in form.items()}
        if not re.fullmatch(SID_PATTERN, fields.get("CallSid", "")):
            return refused(request, 400, "the form has no valid CallSid")
        return fields

    async def _voice(self, request: Request) -> Response:
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        call_id = form["CallSid"]
        agent = request.query_params.get("agent")
        if agent is None:
            agent = self._routes.agent(form.get("To", "")) or self._settings.call.agent
        if agent not in self._agents:
            return self._refusals.answer(request, 404, "there is no agent %.40r", agent)
        who = self._parties(form)
        if not self._is_ready() or not self._admission.reserve(call_id, who):
            logger.warning("busy", extra={"call": call_id})
            self._metrics.refused.labels("busy").inc()
            return Response(webhook.busy(self._settings.call.busy_message), media_type=XML)
        if self._screening:
            verdict = await self._screening.screen(IncomingCall(call_id, "twilio", agent, who))
            if verdict.refuse:
                return self._reject(call_id, verdict.refuse)
            agent = verdict.agent or agent
            self._admission.know(call_id, msgspec.structs.replace(who, variables=verdict.variables))
        return self._connect(request, call_id, agent)

    def _reject(self, call_id: str, reason: Refused) -> Response:
        self._admission.forget(call_id)
        logger.info("refused by hooks.before_call", extra={"call": call_id, "reason": reason})
        self._metrics.refused.labels("hooks.before_call").inc()
        return Response(webhook.reject(reason), media_type=XML)

    def _connect(self, request: Request, call_id: str, agent: str) -> Response:
        base = self._settings.server.public_url or str(request.base_url)
        base = base.rstrip("/")
        parameters = {"agent": agent}
        if self._tokens:
            parameters["token"] = self._tokens.issue(call_id)
        logger.info("call", extra={"call": call_id, "agent": agent})
        stream_url = "ws" + base.removeprefix("http") + "/twilio/media"
        return Response(webhook.connect(stream_url, base + "/twilio/after", parameters), media_type=XML)

    def _parties(self, form: dict[str, str]) -> Parties:
        return parties(
            verified=self._signature is not None,
            caller=form.get("From", ""),
            called=form.get("To", ""),
            caller_name=form.get("CallerName", ""),
            forwarded_from=form.get("ForwardedFrom", ""),
            ids={name: form[name] for name in ("AccountSid", "ParentCallSid") if name in form},
        )

    async def _after(self, request: Request) -> Response:
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        match self._outcomes.get(form["CallSid"]):
            case Transfer(number):
                twiml = webhook.dial(number)
            case Failed():
                twiml = webhook.failed(self._settings.call.failed_message)
            case _:
                twiml = webhook.hang_up()
        return Response(twiml, media_type=XML)

    async def _status(self, request: Request) -> Response:
        form = await self._form(request)
        if isinstance(form, Response):
            return form
        status = form.get("CallStatus", "")[:40]
        logger.info("status", extra={"call": form["CallSid"], "status": status})
        if status in ("completed", "busy", "failed", "no-answer", "canceled"):
            self._admission.forget(form["CallSid"])
        return Response(status_code=204)


def target(connection: HTTPConnection) -> str:
    """Path and query as they stand in the request line."""
    scope = connection.scope
    query: bytes = scope["query_string"]
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return (path.split(b"?")[0] + (b"?" + query if query else b"")).decode("latin-1")
