"""A call: what happens in it, and its end. How it begins is in uas.py and uac.py.

    RINGING --2xx--> ANSWERED --ACK--> UP --BYE--> ENDING --200--> OVER
                     (inbound only)

`Ended` is told once, when the call is no longer usable: in ENDING only our BYE is under way.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.core import ACCEPTED, Core
from telephony.lines.sip.dialogs.dialog import Dialog
from telephony.lines.sip.dialogs.events import Acked, Cause, Ended, Info
from telephony.lines.sip.dialogs.exchange import Credentials, Exchange
from telephony.lines.sip.dialogs.refer import Referrals, replacing
from telephony.lines.sip.dialogs.reinvite import Reinvites
from telephony.lines.sip.dialogs.session_timer import SessionTimer
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.body import parts, sdp_of
from telephony.lines.sip.syntax.header import parse_number
from telephony.lines.sip.syntax.message import Headers, Message, Request, Response
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.transactions.server import ServerTransaction

KEYS = ("application/dtmf-relay", "application/dtmf", "audio/telephone-event")  # what an INFO may hold


class CallState(Enum):
    """How far a call has come."""

    RINGING = "ringing"
    ANSWERED = "answered"
    UP = "up"
    ENDING = "ending"
    OVER = "over"


class Call(ABC):
    """Either a `UasCall` or a `UacCall`. `id` is ours, and safe in logs and file names."""

    owner = False  # of the Call-ID

    def __init__(self, core: Core, credentials: Credentials | None, call_id: str = "") -> None:
        self.id = call_id or core.token()
        self.state = CallState.RINGING
        self.core = core
        self.peer_allows: set[str] = set()
        self.credentials = credentials
        self._dialog: Dialog | None = None
        self.session = SessionTimer(core.config, core.timers, self._refresh, self._expired)
        self.reinvites = Reinvites(self)
        self._referrals = Referrals(self)
        self._probe: Exchange | None = None
        self._doubtful = False  # the last probe was inconclusive
        core.calls[self.id] = self

    @property
    def dialog(self) -> Dialog:
        """The dialog with the peer, from its INVITE or its answer on."""
        assert self._dialog is not None
        return self._dialog

    def dialog_of(self, request: Request) -> Dialog:  # noqa: ARG002 (a call of ours may have more than one)
        """The dialog that a request from the peer belongs to."""
        return self.dialog

    @property
    def busy(self) -> bool:
        """Whether `reinvite` would raise: an offer, theirs or ours, or a refresh of the session is under way."""
        return self.state is not CallState.UP or self.reinvites.busy

    @property
    def up(self) -> bool:
        """Whether the call is answered and not yet ending."""
        return self.state in (CallState.ANSWERED, CallState.UP)

    # ---- what the call layer wants ----

    def reinvite(self, body: bytes, now_ms: float) -> None:
        """Offer other media; `Reanswered` tells the result. Raises CommandError if the call is not up, or another
        offer, theirs or ours, is under way."""
        self._require_up("reinvite")
        self.reinvites.offer(body, now_ms)

    def answer_reinvite(self, body: bytes, now_ms: float) -> None:
        """Answer the peer's offer, or make ours if it asked for one. Raises CommandError if there is none."""
        self.reinvites.accept(body, now_ms)

    def refuse_reinvite(self, refusal: Refusal, now_ms: float) -> None:
        """Refuse the peer's offer (488); nothing changes. Raises CommandError if there is none."""
        self.reinvites.refuse(refusal, now_ms)

    def refer(self, target: "str | Call", now_ms: float) -> None:
        """Ask the peer to call `target` instead: a SIP URI, or the peer of another call of ours, taking our place in
        it. `TransferProgress` tells how it goes. Raises CommandError if a call is not up or the peer was asked already,
        ValueError for a bad URI."""
        self._require_up("refer")
        if isinstance(target, Call):
            target._require_up("refer to")
            target = replacing(target.dialog)
        self._referrals.refer(target, now_ms)

    def accept_refer(self, now_ms: float) -> None:
        """Accept the transfer that the peer asked for by `Referred`. Raises CommandError if there is none."""
        self._referrals.accept(now_ms)

    def refuse_refer(self, status: int, now_ms: float) -> None:
        """Decline it (603)."""
        self._referrals.refuse(Refusal(status, "transfer refused by the call layer"), now_ms)

    def tell_refer(self, status: int, now_ms: float) -> None:
        """Tell the peer how the call to the target is going; a status of 200 or more is final."""
        self._referrals.report(status, now_ms)

    def hang_up(self, now_ms: float) -> None:
        """End the call in any state; does nothing if it is over."""
        if self.state is CallState.RINGING:
            self._abandon(now_ms)
        elif self.state is CallState.ANSWERED:  # no BYE before the ACK (15)
            self.linger(Cause.LOCAL, now_ms)
        elif self.state is CallState.UP:
            self.reinvites.stop(now_ms)
            self.bye(Cause.LOCAL, now_ms)

    def probe(self, now_ms: float) -> None:
        """Ask the peer whether it still has the call. If not, or if there is no answer, the call ends (`Ended`)."""
        if self.state is CallState.UP and not (self._probe and self._probe.waiting):
            self._probe = self.exchange(self._make_probe, self._probed, now_ms)
            self._probe.hurry(now_ms)

    def _make_probe(self) -> Request:
        request = self.dialog.request("OPTIONS")
        request.headers.add(*ACCEPTED)
        return request

    def _probed(self, response: Response, now_ms: float) -> None:
        """A peer that answers anything else still has the call; a single 503 may be our own and proves nothing."""
        status = response.status
        if status < 200 or self.state is not CallState.UP:
            return
        if status in (408, 481) or (status == 503 and self._doubtful):
            self.reinvites.lost(status, now_ms)
        self._doubtful = status == 503

    @abstractmethod
    def _abandon(self, now_ms: float) -> None:
        """Hang up before the call was answered."""

    # ---- what the peer wants ----

    def receive(self, transaction: ServerTransaction, way: Address, now_ms: float) -> None:
        """A new request in the dialog, of a known method; its extensions and CSeq have been checked."""
        request = transaction.request
        self.dialog.way = way
        if request.method == "BYE":
            self._bye(transaction, now_ms)
        elif request.method == "PRACK":
            self._prack(transaction, now_ms)
        elif not self.up and request.method != "OPTIONS":
            status = 491 if self.state is CallState.RINGING else 481
            self.core.refuse(transaction, Refusal(status, f"{request.method} while {self.state.value}"), now_ms)
        elif request.method in ("INVITE", "UPDATE"):
            self.reinvites.receive(transaction, way, now_ms)
        elif request.method == "INFO":
            self._info(transaction, now_ms)
        elif request.method == "NOTIFY":
            self._referrals.notified(transaction, now_ms)
        elif request.method == "REFER":
            self._referrals.receive(transaction, now_ms)
        else:
            self.core.answer(transaction, 200, now_ms, headers=[self.core.allow])

    def acknowledged(self, ack: Request, now_ms: float) -> None:
        """An ACK of a 2xx has come."""
        if self.reinvites.acknowledged(ack):
            self.confirmed(sdp_of(ack), now_ms)

    def confirmed(self, body: bytes, now_ms: float) -> None:
        """The peer has our 2xx; `body` came with its ACK."""
        if self.state is CallState.ENDING:  # hung up, but no BYE was allowed before this ACK
            self.bye(Cause.LOCAL, now_ms)
            return
        self.state = CallState.UP
        self.core.tell(Acked(self.id, body))

    # ---- for the parts of a call ----

    def exchange(
        self, make: Callable[[], Request], answered: Callable[[Response, float], None], now_ms: float
    ) -> Exchange:
        """Send a request in the dialog."""
        exchange = Exchange(self.core, make, lambda: self.dialog.next_hop, self.credentials, answered)
        exchange.start(now_ms)
        return exchange

    def contact(self) -> tuple[str, str]:
        """Our Contact in this dialog."""
        return self.core.contact(self.dialog.way.transport, secure=self.dialog.target.startswith("sips:"))

    def learn(self, message: Message) -> None:
        """Store which methods the peer allows."""
        if "Allow" in message.headers:
            self.peer_allows = {method.upper() for method in message.headers.all("Allow")}

    def bye(self, cause: Cause, now_ms: float, status: int = 0, reason: str = "") -> None:
        """End a call that is up."""
        self.linger(cause, now_ms, status, reason)
        self.exchange(lambda: self.dialog.request("BYE"), self._bye_answered, now_ms)

    def linger(self, cause: Cause, now_ms: float, status: int = 0, reason: str = "") -> None:
        """The call is over for us, but the peer does not know yet."""
        if self.state is not CallState.ENDING:
            self._stop(CallState.ENDING, now_ms)
            self.core.tell(Ended(self.id, cause, status, reason, 0))

    def end(self, cause: Cause, now_ms: float, status: int = 0, reason: str = "", retry_after_s: int = 0) -> None:
        """The call is over, and the peer knows."""
        told = self.state in (CallState.ENDING, CallState.OVER)
        self._stop(CallState.OVER, now_ms)
        self.core.calls.pop(self.id, None)
        if self._dialog is not None:
            self.core.dialogs.pop(self._dialog.id, None)
        if not told:
            self.core.tell(Ended(self.id, cause, status, reason, retry_after_s))

    def _stop(self, state: CallState, now_ms: float) -> None:
        self.state = state
        self.session.stop()
        self._referrals.stop(now_ms)

    def _bye(self, transaction: ServerTransaction, now_ms: float) -> None:
        self.core.answer(transaction, 200, now_ms)
        self.reinvites.stop(now_ms)
        self.end(Cause.REMOTE, now_ms, *reason_of(transaction.request.headers))

    def _bye_answered(self, response: Response, now_ms: float) -> None:
        if response.status >= 200:
            self.end(Cause.LOCAL, now_ms)

    def _prack(self, transaction: ServerTransaction, now_ms: float) -> None:
        self.core.refuse(transaction, Refusal(481, "PRACK of nothing"), now_ms)

    def _info(self, transaction: ServerTransaction, now_ms: float) -> None:
        try:
            found = parts(transaction.request)
        except ValueError as error:
            self.core.refuse(transaction, Refusal(400, str(error)), now_ms)
            return
        if any(part.required and part.kind not in KEYS for part in found):
            refusal = Refusal(415, "INFO with something else than keys", (("Accept", ", ".join(KEYS)),))
            self.core.refuse(transaction, refusal, now_ms)
            return
        self.core.answer(transaction, 200, now_ms)
        for part in found:
            if part.kind in KEYS:
                self.core.tell(Info(self.id, part.kind, part.data))

    def _refresh(self, now_ms: float) -> None:
        self.reinvites.refresh(now_ms)

    def _expired(self, now_ms: float) -> None:
        self.reinvites.stop(now_ms)
        self.bye(Cause.EXPIRED, now_ms)

    def _require_up(self, what: str) -> None:
        if self.state is not CallState.UP:
            raise CommandError(f"{what}: the call is {self.state.value}")


def reason_of(headers: Headers) -> tuple[int, str]:
    """Status and text of a Reason header (RFC 3326), such as `Q.850;cause=16;text="Normal call clearing"`."""
    cause, text = 0, ""
    for param in headers.get("Reason").split(";")[1:]:
        name, _, value = param.strip().partition("=")
        if name.lower() == "cause":
            try:
                cause = parse_number(value, 999)
            except ValueError:
                cause = 0
        elif name.lower() == "text":
            text = value.strip('"')
    return cause, text


def retry_after(headers: Headers) -> int:
    """Seconds of Retry-After; 0 without a readable one."""
    try:
        return parse_number(headers.get("Retry-After").partition(";")[0].partition("(")[0], 86_400)
    except ValueError:
        return 0
