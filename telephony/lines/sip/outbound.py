"""Outbound calls: originated, followed until they are answered or not, and looked up afterwards."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Container

from config.keys import checked
from config.logging import Log
from config.parties import Parties
from config.settings import Settings
from telephony.lines.admission import Admission
from telephony.lines.exceptions import LineError
from telephony.lines.metrics import Metrics
from telephony.lines.outbound_call import OutboundCall
from telephony.lines.registry import Registry
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.calls import Calls
from telephony.lines.sip.dialogs.events import Answered, Cause, Ended, Progress
from telephony.lines.sip.dialogs.uac import UacCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.originate import OriginateError, Originator, why_refused
from telephony.lines.sip.syntax.header import Uri, parse_uri
from telephony.lines.sip.trunks import Trunk, Trunks

MOST_KEPT = 1000  # ended calls that can still be looked up


class CallRequestError(LineError):
    """A call cannot be originated: `now` means not at this time; otherwise the request itself is at fault."""

    def __init__(self, reason: str, *, now: bool = False) -> None:
        self.now = now
        super().__init__(reason)


class OutboundCalls:
    """The outbound calls of one server."""

    def __init__(
        self,
        settings: Settings,
        agents: Container[str],
        trunks: Trunks,
        calls: Calls,
        originator: Originator,
        *,
        registry: Registry,
        admission: Admission,
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._trunks = trunks
        self._calls = calls
        self._originator = originator
        self._admission = admission
        self._results = metrics.dialled
        self._registry = registry
        self._changed = changed
        self._ua: UserAgent | None = None
        self._known: dict[str, OutboundCall] = {}
        self._keys: dict[str, str] = {}  # to be pressed; shown nowhere, since a PIN may be among them
        self._finished: deque[str] = deque()
        self._uac_calls: dict[str, UacCall] = {}
        self._originating: dict[str, asyncio.Task[None]] = {}
        self._given_up: set[str] = set()

    def start(self, ua: UserAgent) -> None:
        """From now on calls can be originated."""
        self._ua = ua

    def originate(self, to: str, agent: str = "", trunk: str = "", keys: str = "") -> OutboundCall:
        """Call a SIP address, or a number at a trunk; `keys` are pressed once it is answered, before the
        agent greets. Raises CallRequestError."""
        if self._ua is None or not self._registry.is_ready or self._admission.draining:
            raise CallRequestError("the server is not ready, or about to end", now=True)
        via = self._trunks.get(trunk)
        if trunk and via is None:
            raise CallRequestError(f"there is no trunk {trunk[:40]!r}; there are: {', '.join(self._trunks) or 'none'}")
        agent = agent or (via.settings.agent if via else "") or self._settings.call.agent
        if agent not in self._agents:
            raise CallRequestError(f"there is no agent {agent[:40]!r}")
        uri = _target(to, via)
        _check_keys(keys)
        call_id = secrets.token_hex(10)
        if not self._admission.claim(call_id):
            raise CallRequestError("no capacity", now=True)
        call = self._known[call_id] = OutboundCall(call_id, str(uri), agent, trunk)
        self._keys[call_id] = keys
        self._registry.dialled(call)
        shown = Parties(called=call.to).shown(self._settings.log.numbers)
        _log(call).info("dial", extra={"to": shown.get("called", ""), "agent": agent, "trunk": trunk})
        originating = self._originate(self._ua, call, uri, via)
        task = self._originating[call_id] = asyncio.get_running_loop().create_task(originating, name="dial")
        task.add_done_callback(lambda _: self._originating.pop(call_id, None))
        return call

    def get(self, call_id: str) -> OutboundCall | None:
        """A call that was originated here, unless it ended too long ago."""
        return self._known.get(call_id)

    def cancel(self, call_id: str) -> None:
        """End a call in any state, by CANCEL or BYE. A call that is over stays as it is."""
        call, uac = self._known.get(call_id), self._uac_calls.get(call_id)
        if call is None or call.over:
            return
        self._given_up.add(call_id)
        if uac is not None:
            uac.hang_up(_now_ms())
            self._changed()
        elif task := self._originating.get(call_id):
            task.cancel()
            self._finish(call, "cancelled")

    def drain(self) -> None:
        """Cancel all unanswered calls."""
        for call in list(self._known.values()):
            if call.state in ("calling", "ringing"):
                self.cancel(call.id)

    async def _originate(self, ua: UserAgent, call: OutboundCall, uri: Uri, trunk: Trunk | None) -> None:
        try:
            self._uac_calls[call.id], _ = await self._originator.originate(ua, call.id, uri, trunk)
        except OriginateError as error:
            self._finish(call, "failed", reason=str(error))
            return
        self._changed()

    # What becomes of it

    def told(self, event: Progress | Answered | Ended) -> None:
        """Something has happened in a call, before its line is told."""
        call = self._known.get(event.call)
        if call is None or call.over:
            return
        match event:
            case Progress():
                if call.state == "calling":
                    call.state = "ringing"
                    _log(call).info("ringing", extra={"status": event.status})
            case Answered():
                self._answered(call)
            case Ended() if call.state != "answered":
                self._refused(call, event)

    def left(self, line: SipCall) -> None:
        """The conversation of a call that was answered is over."""
        call = self._known.get(line.call_id)
        if call is not None:
            call.outcome = type(line.outcome).__name__.lower()
            self._finish(call, "ended", reason=line.ending.end.reason if line.ending.end else "")

    def _answered(self, call: OutboundCall) -> None:
        line, uac = self._calls[call.id], self._uac_calls[call.id]
        try:
            listener = self._registry.connect(line, call.agent, self._keys.pop(call.id, ""))
            self._registry.enter(line)
        except Exception as error:
            line.log.exception("call failed: %s", error)
            self._finish(call, "failed", reason="internal error")
            uac.hang_up(_now_ms())
            return
        call.state = "answered"
        self._results.labels("answered").inc()
        line.open(listener)

    def _refused(self, call: OutboundCall, ended: Ended) -> None:
        if call.id in self._given_up:
            self._finish(call, "cancelled")
            return
        result = why_refused(ended.status, in_time=ended.cause is not Cause.UNANSWERED)
        self._finish(call, result, ended.status, ended.reason or ended.cause.value)

    def _finish(self, call: OutboundCall, state: str, status: int = 0, reason: str = "") -> None:
        answered = call.state == "answered"
        call.state, call.status, call.reason = state, status, reason
        if not answered:
            self._results.labels(state).inc()
            self._admission.release(call.id)
            _log(call).info("not answered", extra={"result": state, "status": status, "reason": reason})
            self._registry.dialled(call)
        self._uac_calls.pop(call.id, None)
        self._keys.pop(call.id, None)
        self._given_up.discard(call.id)
        self._finished.append(call.id)
        if len(self._finished) > MOST_KEPT:
            del self._known[self._finished.popleft()]


def _target(to: str, trunk: Trunk | None) -> Uri:
    """The URI to call. Raises CallRequestError."""
    number = to.removeprefix("tel:").partition(";")[0]
    text = trunk.uri(number) if trunk and ":" not in number else to
    try:
        uri = parse_uri(text)
    except ValueError as error:
        raise CallRequestError(f"to: {error}") from None
    if uri.scheme not in ("sip", "sips") or uri.headers:
        raise CallRequestError("to: a SIP address is wanted, such as sip:bob@example.com, or a number and a trunk")
    return uri


def _check_keys(keys: str) -> None:
    try:
        if keys:
            checked(keys)
    except ValueError as error:
        raise CallRequestError(f"keys: {error}") from None


def _log(call: OutboundCall) -> Log:
    return Log(logging.getLogger("voxline.call"), {"call": call.id})


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
