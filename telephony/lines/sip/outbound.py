"""Calls that go out: placed, followed until they are answered or not, and told of afterwards."""

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
from telephony.lines.outbound_call import Dialled
from telephony.lines.registry import Registry
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.calls import Lines
from telephony.lines.sip.dialogs.events import Answered, Cause, Ended, Progress
from telephony.lines.sip.dialogs.uac import OutboundCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.originate import NotPlaced, Placing, why_refused
from telephony.lines.sip.syntax.header import Uri, parse_uri
from telephony.lines.sip.trunks import Trunk, Trunks

MOST_KEPT = 1000  # calls that are over and can still be asked for


class DialError(LineError):
    """A call cannot be placed: `now` if it could at another time, else because of what was asked for."""

    def __init__(self, reason: str, *, now: bool = False) -> None:
        self.now = now
        super().__init__(reason)


class Dialling:
    """The calls of one server."""

    def __init__(
        self,
        settings: Settings,
        agents: Container[str],
        trunks: Trunks,
        lines: Lines,
        placing: Placing,
        *,
        registry: Registry,
        admission: Admission,
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._trunks = trunks
        self._lines = lines
        self._placer = placing
        self._admission = admission
        self._results = metrics.dialled
        self._registry = registry
        self._changed = changed
        self._ua: UserAgent | None = None
        self._dialled: dict[str, Dialled] = {}
        self._keys: dict[str, str] = {}  # to be pressed; told to nobody, since a PIN may be among them
        self._finished: deque[str] = deque()
        self._calls: dict[str, OutboundCall] = {}
        self._placing: dict[str, asyncio.Task[None]] = {}
        self._given_up: set[str] = set()

    def start(self, ua: UserAgent) -> None:
        """From now on calls can be placed."""
        self._ua = ua

    def dial(self, to: str, agent: str = "", trunk: str = "", keys: str = "") -> Dialled:
        """Place a call to a SIP address, or to a number at a trunk; `keys` are pressed once it is answered, before the
        agent greets. Raises DialError."""
        if self._ua is None or not self._registry.is_ready or self._admission.draining:
            raise DialError("the server is not ready, or about to end", now=True)
        via = self._trunks.get(trunk)
        if trunk and via is None:
            raise DialError(f"there is no trunk {trunk[:40]!r}; there are: {', '.join(self._trunks) or 'none'}")
        agent = agent or (via.settings.agent if via else "") or self._settings.call.agent
        if agent not in self._agents:
            raise DialError(f"there is no agent {agent[:40]!r}")
        uri = _target(to, via)
        _check_keys(keys)
        call_id = secrets.token_hex(10)
        if not self._admission.claim(call_id):
            raise DialError("no capacity", now=True)
        dialled = self._dialled[call_id] = Dialled(call_id, str(uri), agent, trunk)
        self._keys[call_id] = keys
        shown = Parties(called=dialled.to).shown(self._settings.log.numbers)
        _log(dialled).info("dial", extra={"to": shown.get("called", ""), "agent": agent, "trunk": trunk})
        place = self._place(self._ua, dialled, uri, via)
        task = self._placing[call_id] = asyncio.get_running_loop().create_task(place, name="dial")
        task.add_done_callback(lambda _: self._placing.pop(call_id, None))
        return dialled

    def get(self, call_id: str) -> Dialled | None:
        """A call that was placed here, if it is not too long ago."""
        return self._dialled.get(call_id)

    def cancel(self, call_id: str) -> None:
        """Give a call up, however far it has come: CANCEL or BYE. What is over stays as it is."""
        dialled, call = self._dialled.get(call_id), self._calls.get(call_id)
        if dialled is None or dialled.over:
            return
        self._given_up.add(call_id)
        if call is not None:
            call.hang_up(_now_ms())
            self._changed()
        elif task := self._placing.get(call_id):
            task.cancel()
            self._finish(dialled, "cancelled")

    def drain(self) -> None:
        """Give up all that nobody has answered."""
        for dialled in list(self._dialled.values()):
            if dialled.state in ("calling", "ringing"):
                self.cancel(dialled.id)

    async def _place(self, ua: UserAgent, dialled: Dialled, uri: Uri, trunk: Trunk | None) -> None:
        try:
            self._calls[dialled.id], _ = await self._placer.place(ua, dialled.id, uri, trunk)
        except NotPlaced as error:
            self._finish(dialled, "failed", reason=str(error))
            return
        self._changed()

    # What becomes of it

    def told(self, event: Progress | Answered | Ended) -> None:
        """Something has happened in a call, before its line is told."""
        dialled = self._dialled.get(event.call)
        if dialled is None or dialled.over:
            return
        match event:
            case Progress():
                if dialled.state == "calling":
                    dialled.state = "ringing"
                    _log(dialled).info("ringing", extra={"status": event.status})
            case Answered():
                self._answered(dialled)
            case Ended() if dialled.state != "answered":
                self._refused(dialled, event)

    def left(self, line: SipCall) -> None:
        """The conversation of a call that was answered is over."""
        dialled = self._dialled.get(line.call_id)
        if dialled is not None:
            dialled.outcome = type(line.outcome).__name__.lower()
            self._finish(dialled, "ended", reason=line.ending.end.reason if line.ending.end else "")

    def _answered(self, dialled: Dialled) -> None:
        line, call = self._lines[dialled.id], self._calls[dialled.id]
        try:
            listener = self._registry.connect(line, dialled.agent, self._keys.pop(dialled.id, ""))
            self._registry.enter(line)
        except Exception as error:
            line.log.exception("call failed: %s", error)
            self._finish(dialled, "failed", reason="internal error")
            call.hang_up(_now_ms())
            return
        dialled.state = "answered"
        self._results.labels("answered").inc()
        line.open(listener)

    def _refused(self, dialled: Dialled, ended: Ended) -> None:
        if dialled.id in self._given_up:
            self._finish(dialled, "cancelled")
            return
        result = why_refused(ended.status, in_time=ended.cause is not Cause.UNANSWERED)
        self._finish(dialled, result, ended.status, ended.reason or ended.cause.value)

    def _finish(self, dialled: Dialled, state: str, status: int = 0, reason: str = "") -> None:
        if dialled.state != "answered":
            self._results.labels(state).inc()
            self._admission.release(dialled.id)
            _log(dialled).info("not answered", extra={"result": state, "status": status, "reason": reason})
        dialled.state, dialled.status, dialled.reason = state, status, reason
        self._calls.pop(dialled.id, None)
        self._keys.pop(dialled.id, None)
        self._given_up.discard(dialled.id)
        self._finished.append(dialled.id)
        if len(self._finished) > MOST_KEPT:
            del self._dialled[self._finished.popleft()]


def _target(to: str, trunk: Trunk | None) -> Uri:
    """Whom to call. Raises DialError."""
    number = to.removeprefix("tel:").partition(";")[0]
    text = trunk.uri(number) if trunk and ":" not in number else to
    try:
        uri = parse_uri(text)
    except ValueError as error:
        raise DialError(f"to: {error}") from None
    if uri.scheme not in ("sip", "sips") or uri.headers:
        raise DialError("to: a SIP address is wanted, such as sip:bob@example.com, or a number and a trunk")
    return uri


def _check_keys(keys: str) -> None:
    try:
        if keys:
            checked(keys)
    except ValueError as error:
        raise DialError(f"keys: {error}") from None


def _log(dialled: Dialled) -> Log:
    return Log(logging.getLogger("voxline.call"), {"call": dialled.id})


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
