"""Inbound calls: which agent answers, or why none does."""

import asyncio
import logging
from collections.abc import Callable, Container
from contextlib import suppress
from ipaddress import ip_address, ip_network

import msgspec

from config.settings import Settings
from telephony.lines.admission import Admission
from telephony.lines.exceptions import CommandError, ProtocolError
from telephony.lines.metrics import Metrics
from telephony.lines.registry import Registry
from telephony.lines.routing import Routes
from telephony.lines.screening import IncomingCall, Screening, Verdict
from telephony.lines.sip.access.asserted_identity import parties_of
from telephony.lines.sip.calls import Calls
from telephony.lines.sip.dialogs.events import Invited
from telephony.lines.sip.dialogs.invite_dialog import CallState
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.media.audio_line import NotAcceptable
from telephony.lines.sip.media.sockets import NoPort
from telephony.lines.sip.syntax.header import parse_uri
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.trunks import Trunk, Trunks

RETRY_S = 10  # after which a caller who found no room may try again

_LATER = (("Retry-After", str(RETRY_S)),)
REFUSALS = {"busy": Refusal(486, "busy"), "rejected": Refusal(603, "declined")}

logger = logging.getLogger("voxline.sip")


class InboundCalls:
    """The inbound calls of one server; `agents` are the available ones."""

    def __init__(
        self,
        settings: Settings,
        agents: Container[str],
        trunks: Trunks,
        calls: Calls,
        registry: Registry,
        *,
        admission: Admission,
        metrics: Metrics,
        screening: Screening | None,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when a call was answered, or turned away, later than in `invited`."""
        self._settings = settings
        self._agents = agents
        self._routes = Routes(settings.routes)
        self._trunks = trunks
        self._calls = calls
        self._admission = admission
        self._registry = registry
        self._refused = metrics.refused
        self._screening = screening
        self._changed = changed
        self._asking: set[asyncio.Task[None]] = set()
        self._ua: UserAgent | None = None
        self._networks = [ip_network(network) for network in settings.sip.networks]

    def start(self, ua: UserAgent) -> None:
        """From now on calls may come in."""
        self._ua = ua

    def invited(self, invited: Invited, now_ms: float) -> None:
        """Answer a call or turn it away."""
        assert self._ua is not None
        call = self._ua.inbound(invited.call)
        trunk = self._trunks.of(invited.source.host)
        refusal = self.closed()
        if refusal is None and self._screening is not None:
            refusal = self._ask_first(self._screening, invited, call, trunk, now_ms)
        elif refusal is None:
            refusal = self._answer(invited, call, trunk, now_ms)
        if refusal is not None:
            call.reject(refusal, now_ms)

    async def close(self) -> None:
        """Answer no call any more."""
        for task in self._asking:
            task.cancel()
        if self._asking:
            await asyncio.wait(self._asking)

    def _ask_first(
        self, screening: Screening, invited: Invited, call: UasCall, trunk: Trunk | None, now_ms: float
    ) -> Refusal | None:
        """It rings while somebody is asked what becomes of it. Its place is reserved meanwhile."""
        if not self._admission.reserve(call.id):
            return Refusal(486, "no capacity", _LATER)
        with suppress(CommandError):  # cancelled meanwhile
            call.ringing(now_ms)
        task = asyncio.get_running_loop().create_task(self._screen(screening, invited, call, trunk), name="screen")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return None

    async def _screen(self, screening: Screening, invited: Invited, call: UasCall, trunk: Trunk | None) -> None:
        try:
            parties = parties_of(invited.request, trusted=self._is_trusted(invited, trunk))
            agent = self._agent(invited, trunk)
            asked = IncomingCall(call.id, "sip", agent, parties, trunk.name if trunk else "")
            verdict = await screening.screen(asked)
            if call.state is not CallState.RINGING:  # the caller has given up
                return
            refusal = self._judged(verdict, invited, call, trunk)
            if refusal is not None:
                call.reject(refusal, _now_ms())
        except Exception:
            logger.exception("a call could not be answered", extra={"call": call.id})
            with suppress(CommandError):
                call.reject(Refusal(500, "internal error"), _now_ms())
        finally:
            self._admission.forget(call.id)
            self._changed()

    def _judged(self, verdict: Verdict, invited: Invited, call: UasCall, trunk: Trunk | None) -> Refusal | None:
        if verdict.refuse is None:
            return self._answer(invited, call, trunk, _now_ms(), verdict)
        logger.info("refused by hooks.before_call", extra={"call": call.id, "reason": verdict.refuse})
        self._refused.labels("hooks.before_call").inc()
        return REFUSALS[verdict.refuse]

    def closed(self) -> Refusal | None:
        """How any call would be refused now; None if there is room."""
        if not self._registry.is_ready or self._admission.draining:
            return Refusal(503, "not ready", _LATER)
        return Refusal(486, "no capacity", _LATER) if self._admission.free <= 0 else None

    def _answer(
        self, invited: Invited, call: UasCall, trunk: Trunk | None, now_ms: float, verdict: Verdict | None = None
    ) -> Refusal | None:
        """`verdict`: somebody was asked, and it rings already."""
        try:
            sockets = self._calls.sockets()
        except NoPort as error:
            return Refusal(503, str(error), _LATER)
        line = self._calls.make(call, sockets, self._calls.negotiation(sockets), trunk.name if trunk else "")
        peer = {"peer": str(invited.source), "sip_call": invited.request.headers.get("Call-ID")[:128]}
        line.log.info("call", extra=peer | ({"trunk": trunk.name} if trunk else {}))
        try:
            line.parties = parties_of(invited.request, trusted=self._is_trusted(invited, trunk))
            if verdict:
                line.parties = msgspec.structs.replace(line.parties, variables=verdict.variables)
            agent = (verdict.agent if verdict else "") or self._agent(invited, trunk)
            ours = line.agreement.describe(invited.body)
            listener = self._registry.join(line, agent)
        except NotAcceptable as error:
            sockets.close()
            return error.refusal
        except ProtocolError as error:
            sockets.close()
            return Refusal(486, error.reason, _LATER)
        except Exception as error:
            sockets.close()
            line.log.exception("call failed: %s", error)
            return Refusal(500, "internal error")
        self._registry.enter(line)
        self._calls[call.id] = line
        line.open(listener)
        with suppress(CommandError):  # cancelled meanwhile; Ended follows
            if call.reliable and verdict is None:  # it requires provisional answers: it is told that it rings
                call.ringing(now_ms)
            call.accept(ours, now_ms)
        return None

    def _is_trusted(self, invited: Invited, trunk: Trunk | None) -> bool:
        host = ip_address(invited.source.host)
        return trunk is not None or any(host in network for network in self._networks)

    def _agent(self, invited: Invited, trunk: Trunk | None) -> str:
        """That of the user part's route, else the trunk's own, else the one that the user part names, else the
        default."""
        user = parse_uri(invited.request.uri).user or ""
        if routed := self._routes.agent(user):
            return routed
        if trunk is not None and trunk.settings.agent:
            return trunk.settings.agent
        return user if user in self._agents else self._settings.call.agent


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
