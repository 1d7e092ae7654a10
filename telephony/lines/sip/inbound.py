"""Inbound calls: which agent answers, or why none does."""

from collections.abc import Container
from contextlib import suppress
from ipaddress import ip_address, ip_network

from config.settings import Settings
from telephony.lines.admission import Admission
from telephony.lines.exceptions import CommandError, ProtocolError
from telephony.lines.registry import Registry
from telephony.lines.routing import Routes
from telephony.lines.sip.access.asserted_identity import parties_of
from telephony.lines.sip.calls import Calls
from telephony.lines.sip.dialogs.events import Invited
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.media.audio_line import NotAcceptable
from telephony.lines.sip.media.sockets import NoPort
from telephony.lines.sip.syntax.header import parse_uri
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.trunks import Trunk, Trunks

RETRY_S = 10  # after which a caller who found no room may try again

_LATER = (("Retry-After", str(RETRY_S)),)


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
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._routes = Routes(settings.routes)
        self._trunks = trunks
        self._calls = calls
        self._admission = admission
        self._registry = registry
        self._ua: UserAgent | None = None
        self._networks = [ip_network(network) for network in settings.sip.networks]

    def start(self, ua: UserAgent) -> None:
        """From now on calls may come in."""
        self._ua = ua

    def invited(self, invited: Invited, now_ms: float) -> None:
        """Answer a call or turn it away."""
        assert self._ua is not None
        call = self._ua.inbound(invited.call)
        refusal = self.closed() or self._answer(invited, call, now_ms)
        if refusal is not None:
            call.reject(refusal, now_ms)

    def closed(self) -> Refusal | None:
        """How any call would be refused now; None if there is room."""
        if not self._registry.is_ready or self._admission.draining:
            return Refusal(503, "not ready", _LATER)
        return Refusal(486, "no capacity", _LATER) if self._admission.free <= 0 else None

    def _answer(self, invited: Invited, call: UasCall, now_ms: float) -> Refusal | None:
        trunk = self._trunks.of(invited.source.host)
        try:
            sockets = self._calls.sockets()
        except NoPort as error:
            return Refusal(503, str(error), _LATER)
        line = self._calls.make(call, sockets, self._calls.negotiation(sockets), trunk.name if trunk else "")
        peer = {"peer": str(invited.source), "sip_call": invited.request.headers.get("Call-ID")[:128]}
        line.log.info("call", extra=peer | ({"trunk": trunk.name} if trunk else {}))
        try:
            line.parties = parties_of(invited.request, trusted=self._is_trusted(invited, trunk))
            ours = line.agreement.describe(invited.body)
            listener = self._registry.join(line, self._agent(invited, trunk))
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
            if call.reliable:  # a network that requires reliable provisional answers is told that it rings
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
