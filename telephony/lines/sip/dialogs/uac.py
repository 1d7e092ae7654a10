"""An outbound call (UAC), until it is answered, cancelled or refused."""

from functools import partial

import msgspec

from telephony.lines.sip.dialogs.core import WITH_SDP, Core
from telephony.lines.sip.dialogs.dialog import Dialog, towards
from telephony.lines.sip.dialogs.events import Answered, Cause, Progress, Send
from telephony.lines.sip.dialogs.exchange import Credentials, Exchange
from telephony.lines.sip.dialogs.invite_dialog import Call, CallState, retry_after
from telephony.lines.sip.dialogs.provisional import Early, wants_reliable
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.body import sdp_of
from telephony.lines.sip.syntax.header import NameAddr, parse_uri, tag_of
from telephony.lines.sip.syntax.message import Headers, Request, Response
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.transactions.server import ServerTransaction

MOST_FORKS = 8  # phones that answer the same call; the first gets it


class Outgoing(msgspec.Struct, frozen=True):
    """The call to make: its target and our identity."""

    to: str  # a SIP URI
    body: bytes  # SDP
    caller: NameAddr  # our From, without a tag
    credentials: Credentials | None = None
    proxy: Address | None = None  # the first hop; else the URI decides
    spares: tuple[Address, ...] = ()  # servers tried in turn while none answers
    transport: str = "UDP"  # if the URI does not say
    headers: tuple[tuple[str, str], ...] = ()
    ring_ms: float = 60_000
    id: str = ""  # the call's; generated if empty


class UacCall(Call):
    """Tells `Progress`, then `Answered` or `Ended`. `hang_up` cancels it."""

    owner = True

    def __init__(self, core: Core, outgoing: Outgoing, now_ms: float) -> None:
        """Calls at once. ValueError for a URI that is no SIP address, or for a bad header."""
        uri = parse_uri(outgoing.to)
        if uri.scheme not in ("sip", "sips"):
            raise ValueError("only SIP addresses can be called")
        self._hop = outgoing.proxy or towards(uri, Address(outgoing.transport, ""))
        Headers([*outgoing.headers, ("From", str(outgoing.caller))])  # raises for a bad header
        super().__init__(core, outgoing.credentials, outgoing.id)
        self._outgoing = outgoing
        self._call_id = core.token()
        self._from = str(msgspec.structs.replace(outgoing.caller, params={"tag": core.token()}))
        self._sequence = core.random.randint(1, 9999)
        self._forks: dict[str, Send] = {}  # ACKs by the tags of phones that answered too late
        self.reinvites.sent_body = outgoing.body
        self._early = Early(core, outgoing.credentials)
        self._spares = list(outgoing.spares)
        self._heard = False  # a server has begun to work on the call
        self._try(now_ms)
        self._patience = core.timers.start(now_ms + outgoing.ring_ms, self._unanswered)

    def _try(self, now_ms: float) -> None:
        """Send the INVITE to the server whose turn it is."""
        credentials = self._outgoing.credentials
        self._exchange = Exchange(self.core, self._make, lambda: self._hop, credentials, self._receive)
        self._exchange.start(now_ms)
        if self._spares:
            self._exchange.hurry(now_ms)

    def _make(self) -> Request:
        self._sequence += 1
        headers = Headers([("Max-Forwards", "70"), ("From", self._from), ("To", f"<{self._outgoing.to}>")])
        headers.add("Call-ID", self._call_id)
        headers.add("CSeq", f"{self._sequence} INVITE")
        contact = self.core.contact(self._hop.transport, secure=self._outgoing.to.lower().startswith("sips:"))
        for name, value in (contact, self.core.allow, *self.session.offered(), *self._outgoing.headers, WITH_SDP):
            headers.add(name, value)
        return Request("INVITE", self._outgoing.to, headers, self._outgoing.body)

    def _receive(self, response: Response, now_ms: float) -> None:
        if response.status < 200:
            self._heard = True
            if response.status > 100 and self.state is CallState.RINGING:
                self._progress(response, now_ms)
        elif response.status < 300:
            self._answered(response, now_ms)
        else:
            self._refused(response, now_ms)

    def _progress(self, response: Response, now_ms: float) -> None:
        if wants_reliable(response) and not self._early.acknowledge(self._exchange.request, response, now_ms):
            return
        for early in self._early.ids:
            self.core.dialogs.setdefault(early, self)
        self.core.tell(Progress(self.id, response.status, sdp_of(response)))

    def _answered(self, response: Response, now_ms: float) -> None:
        if self._dialog is not None and tag_of(response.headers.get("To")) == self._dialog.id[2]:
            self.reinvites.acknowledge_again(response)
            return
        try:
            dialog = self._opened(response)
        except ValueError:
            self._patience.stop()
            self.end(Cause.REFUSED, now_ms, response.status, "answered without a usable Contact or route")
            return
        early = self._early.answered(dialog)
        if self._dialog is not None:
            self._forked(dialog, now_ms)
            return
        self._patience.stop()
        self._dialog = dialog
        self.core.dialogs[dialog.id] = self
        wanted = self.state is CallState.RINGING
        if wanted:
            self.state = CallState.UP
        self.reinvites.answered(self._exchange.request, response, now_ms)
        if wanted:
            self.core.tell(Answered(self.id, sdp_of(response) or early))
        else:  # cancelled, but too late
            self.bye(Cause.LOCAL, now_ms)

    def _opened(self, response: Response) -> Dialog:
        core = self.core
        return Dialog.answered(self._exchange.request, response, core.way, follow=core.config.follow_source)

    def _forked(self, dialog: Dialog, now_ms: float) -> None:
        """Another phone has answered as well: acknowledge it and hang up (13.2.2.4)."""
        tag = dialog.id[2]
        if tag in self._forks:
            self.core.out.append(self._forks[tag])
        elif len(self._forks) < MOST_FORKS:
            self._forks[tag] = self.core.acknowledge(dialog, self._exchange.request)
            bye = partial(dialog.request, "BYE")
            Exchange(self.core, bye, lambda: dialog.next_hop, self.credentials, lambda _, __: None).start(now_ms)

    def _refused(self, response: Response, now_ms: float) -> None:
        if response.status == 422 and self.state is CallState.RINGING and self.session.raised(response):
            self._exchange.start(now_ms)
            return
        nobody = response.status in (408, 503) and not self._heard
        if nobody and self._spares and self.state is CallState.RINGING:
            self._hop = self._spares.pop(0)
            self._try(now_ms)
            return
        self._patience.stop()
        cause = Cause.UNANSWERED if response.status == 408 else Cause.REFUSED
        reason = "redirections are not followed" if response.status < 400 else response.reason
        self.end(cause, now_ms, response.status, reason, retry_after(response.headers))

    def dialog_of(self, request: Request) -> Dialog:
        if self._dialog is not None and tag_of(request.headers.get("From")) == self._dialog.id[2]:
            return self._dialog
        return self._early.dialog_of(request) or self.dialog

    def receive(self, transaction: ServerTransaction, way: Address, now_ms: float) -> None:
        request = transaction.request
        dialog = self.dialog_of(request)
        if dialog is self._dialog:
            super().receive(transaction, way, now_ms)
        elif request.method in ("UPDATE", "OPTIONS") and not sdp_of(request):
            dialog.refresh(request, way)
            self.core.answer(transaction, 200, now_ms, headers=[self.core.contact(way.transport), self.core.allow])
        else:  # not 481: the peer would think that the call is gone
            status = 488 if request.method == "UPDATE" else 491
            self.core.refuse(transaction, Refusal(status, f"{request.method} before the call is answered"), now_ms)

    def end(self, cause: Cause, now_ms: float, status: int = 0, reason: str = "", retry_after_s: int = 0) -> None:
        for early in self._early.ids:
            self.core.dialogs.pop(early, None)
        super().end(cause, now_ms, status, reason, retry_after_s)

    def _abandon(self, now_ms: float) -> None:
        self._give_up(Cause.LOCAL, now_ms)

    def _unanswered(self, now_ms: float) -> None:
        if self.state is CallState.RINGING:
            self._give_up(Cause.UNANSWERED, now_ms)

    def _give_up(self, cause: Cause, now_ms: float) -> None:
        self._patience.stop()
        self.linger(cause, now_ms)
        self._exchange.cancel(now_ms)
