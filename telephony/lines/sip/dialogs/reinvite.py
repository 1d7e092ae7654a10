"""Re-INVITE and UPDATE in a call, ours and theirs, one at a time (RFC 3261 14, RFC 3311)."""

from functools import partial

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.checks import foreign_body
from telephony.lines.sip.dialogs.confirmation import Confirmation
from telephony.lines.sip.dialogs.core import SUPPORTED, WITH_SDP
from telephony.lines.sip.dialogs.events import Cause, Reanswered, Reinvited, ReinviteWithdrawn, Send
from telephony.lines.sip.dialogs.exchange import Exchange
from telephony.lines.sip.dialogs.session_timer import too_small
from telephony.lines.sip.dialogs.within import WithinCall
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.body import sdp_of
from telephony.lines.sip.syntax.message import Request, Response
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.transactions.server import ServerTransaction
from telephony.lines.sip.transactions.timers import GIVE_UP, Action, Timer

MOST_GLARES = 7
MOST_ACKS = 8  # of the latest INVITEs, whose 2xx may be repeated
ANSWER_MS = 20_000.0  # how long the call layer may think about an offer
_BUSY = Refusal(491, "another offer is under way")


class Reinvites:
    """The offers in one call: at most one, ours or theirs, is open."""

    def __init__(self, call: WithinCall) -> None:
        self.sent_body = b""  # our present SDP, for a refresh
        self._offered = b""  # our offer, which is to replace it
        self._call = call
        self._core = call.core
        self._theirs: ServerTransaction | None = None  # for the call layer to answer
        self._thinking: Timer | None = None
        self._confirmation: Confirmation | None = None
        self._ours: Exchange | None = None
        self._acks: dict[str, Send] = {}  # by the CSeq of the INVITE that they acknowledge
        self._glares = 0
        self._again: Timer | None = None
        self._limit: Timer | None = None

    # ---- ours ----

    def offer(self, body: bytes, now_ms: float) -> None:
        """Send a re-INVITE."""
        if self.busy:
            raise CommandError("reinvite: another offer is under way")
        self._offered = body
        self._glares = 0
        self._invite(now_ms, told=True)

    def refresh(self, now_ms: float) -> None:
        """Refresh the session: by UPDATE if the peer allows it, else by a re-INVITE that changes nothing."""
        if self.busy:
            self._later(now_ms, self.refresh)
        elif "UPDATE" in self._call.peer_allows:
            self._ours = self._call.exchange(self._make_update, self._update_answered, now_ms)
        else:
            self._offered = self.sent_body
            self._glares = 0
            self._invite(now_ms, told=False)

    def answered(self, invite: Request, response: Response, now_ms: float) -> None:
        """Acknowledge a 2xx to any INVITE of ours, the initial one included, and apply its session timer."""
        if len(self._acks) == MOST_ACKS:
            del self._acks[next(iter(self._acks))]
        self._acks[invite.headers.get("CSeq")] = self._core.acknowledge(self._call.dialog, invite)
        if self._call.up:
            self._call.learn(response)
            self._call.session.accepted(response, now_ms)

    def acknowledge_again(self, response: Response) -> bool:
        """Whether a 2xx was acknowledged before; if so, its ACK is sent again."""
        ack = self._acks.get(response.headers.get("CSeq"))
        if ack is not None:
            self._core.out.append(ack)
        return ack is not None

    @property
    def busy(self) -> bool:
        """Whether an offer, ours or theirs, is under way, or one of ours waits for a retry."""
        return self._outstanding or self._theirs is not None or (self._again is not None and self._again.running)

    @property
    def _outstanding(self) -> bool:
        return self._ours is not None and self._ours.waiting

    def _invite(self, now_ms: float, *, told: bool) -> None:
        def answered(response: Response, now_ms: float) -> None:
            self._invite_answered(exchange, response, now_ms, told=told)

        exchange = Exchange(
            self._core, self._make_invite, lambda: self._call.dialog.next_hop, self._call.credentials, answered
        )
        self._ours = exchange
        exchange.start(now_ms)
        self._limit = self._core.timers.start(now_ms + GIVE_UP, exchange.cancel)

    def _make_invite(self) -> Request:
        request = self._call.dialog.request("INVITE")
        for name, value in (self._call.contact(), self._core.allow, *self._call.session.offered(), WITH_SDP):
            request.headers.add(name, value)
        request.body = self._offered
        return request

    def _make_update(self) -> Request:
        request = self._call.dialog.request("UPDATE")
        for name, value in (self._call.contact(), self._core.allow, *self._call.session.offered()):
            request.headers.add(name, value)
        return request

    def _invite_answered(self, exchange: Exchange, response: Response, now_ms: float, *, told: bool) -> None:
        status = response.status
        if status < 200:
            return
        if status < 300 and self.acknowledge_again(response):
            return
        self._stop_limit()
        if status < 300:
            self.sent_body = self._offered
            self._call.dialog.refresh(response, self._call.dialog.way)
            self.answered(exchange.request, response, now_ms)
        elif not self._call.up or self._try_again(response, now_ms, partial(self._invite, told=told)):
            return
        if told and self._call.up:
            self._core.tell(Reanswered(self._call.id, status, sdp_of(response)))
        if status in (408, 481):
            self.lost(status, now_ms)

    def _update_answered(self, response: Response, now_ms: float) -> None:
        status = response.status
        if status < 200 or not self._call.up:
            return
        if status < 300:
            self._call.dialog.refresh(response, self._call.dialog.way)
            self._call.session.accepted(response, now_ms)
        elif status in (405, 501):
            self._call.peer_allows.discard("UPDATE")
            self.refresh(now_ms)
        elif status in (408, 481):
            self.lost(status, now_ms)
        else:
            self._try_again(response, now_ms, self.refresh)

    def _try_again(self, response: Response, now_ms: float, action: Action) -> bool:
        """Glare (491): retry after a random pause, from a different range on each side. 422: with the longer
        interval."""
        if response.status == 422 and self._call.session.raised(response):
            action(now_ms)
            return True
        if response.status == 491 and self._glares < MOST_GLARES:
            self._glares += 1
            self._later(now_ms, action)
            return True
        return False

    def _later(self, now_ms: float, action: Action) -> None:
        def again(now_ms: float) -> None:
            if not self._call.up:
                return
            if self._outstanding or self._theirs is not None:
                self._later(now_ms, action)
            else:
                action(now_ms)

        least, most = (210, 400) if self._call.owner else (0, 200)
        pause_ms = 10.0 * self._core.random.randint(least, most)
        self._again = self._core.timers.start(now_ms + pause_ms, again)

    def lost(self, status: int, now_ms: float) -> None:
        """The peer no longer has the call, or is gone."""
        self.stop(now_ms)
        self._call.bye(Cause.LOST, now_ms, status)

    # ---- theirs ----

    def receive(self, transaction: ServerTransaction, way: Address, now_ms: float) -> None:
        """A re-INVITE or UPDATE."""
        request = transaction.request
        offer = sdp_of(request)
        offers = request.method == "INVITE" or offer
        refusal = foreign_body(request) or too_small(request, self._core.config.min_session_s)
        if refusal is None and offers:
            refusal = self._glare()
        if refusal is not None:
            self._core.refuse(transaction, refusal, now_ms)
            return
        if offers:
            self._take_as_acknowledged(now_ms)
        self._call.dialog.refresh(request, way)
        self._call.learn(request)
        self._theirs = transaction
        transaction.cancelled = self._cancelled
        if not offers:
            self.accept(b"", now_ms)
            return
        if request.method == "INVITE":
            self._core.answer(transaction, 100, now_ms)
        self._thinking = self._core.timers.start(now_ms + ANSWER_MS, self._too_late)
        self._core.tell(Reinvited(self._call.id, offer))

    def accept(self, body: bytes, now_ms: float) -> None:
        """Answer 200."""
        transaction = self._take()
        session = self._call.session.accept(transaction.request, now_ms)
        headers = [self._call.contact(), self._core.allow, SUPPORTED, *session]
        if body:
            self.sent_body = body
            headers.append(WITH_SDP)
        self.confirm(transaction, headers, body, now_ms)

    def confirm(
        self, transaction: ServerTransaction, headers: list[tuple[str, str]], body: bytes, now_ms: float
    ) -> None:
        """Send a 2xx; to any INVITE, the initial one included, resend it until its ACK."""
        self._core.answer(transaction, 200, now_ms, headers=headers, body=body)
        if transaction.request.method == "INVITE":
            self._confirmation = Confirmation(self._core.timers, transaction, self._unacknowledged, now_ms)

    def refuse(self, refusal: Refusal, now_ms: float) -> None:
        """Answer with a failure."""
        self._core.refuse(self._take(), refusal, now_ms)

    def acknowledged(self, ack: Request) -> bool:
        """Whether this is the ACK we are waiting for."""
        if self._confirmation is None or not self._confirmation.take(ack):
            return False
        self._confirmation = None
        return True

    def _take_as_acknowledged(self, now_ms: float) -> None:
        """A peer that makes a new offer has our answer to the last one: its ACK is lost or late (RFC 5407 3.1.5)."""
        if self._confirmation is not None:
            self._confirmation.stop()
            self._confirmation = None
            self._call.confirmed(b"", now_ms)

    def stop(self, now_ms: float) -> None:
        """The call is over."""
        if self._theirs is not None:
            self.refuse(Refusal(487, "the call has ended"), now_ms)
        if self._ours is not None:
            self._ours.cancel(now_ms)
        if self._confirmation is not None:
            self._confirmation.stop()
            self._confirmation = None
        if self._again is not None:
            self._again.stop()
        self._stop_limit()

    def _cancelled(self, _: Request, now_ms: float) -> None:
        if self._theirs is not None:
            self._withdraw(Refusal(487, "re-INVITE cancelled by the peer"), now_ms)

    def _too_late(self, now_ms: float) -> None:
        self._withdraw(Refusal(500, "the call layer did not answer a re-INVITE"), now_ms)

    def _withdraw(self, refusal: Refusal, now_ms: float) -> None:
        self.refuse(refusal, now_ms)
        self._core.tell(ReinviteWithdrawn(self._call.id))

    def _glare(self) -> Refusal | None:
        if self._theirs is not None:
            return Refusal(
                500, "a second offer before the first was answered", (("Retry-After", self._some_seconds()),)
            )
        asking = self._ours is not None and self._ours.waiting and self._ours.request.method == "INVITE"
        offering = self._confirmation is not None and self._confirmation.offers  # the answer comes with the ACK
        return _BUSY if asking or offering else None

    def _some_seconds(self) -> str:
        return str(self._core.random.randint(0, 10))

    def _take(self) -> ServerTransaction:
        if self._theirs is None:
            raise CommandError("there is no offer to answer")
        transaction, self._theirs = self._theirs, None
        if self._thinking is not None:
            self._thinking.stop()
        return transaction

    def _unacknowledged(self, now_ms: float) -> None:
        self.stop(now_ms)
        self._call.bye(Cause.UNACKNOWLEDGED, now_ms)

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.stop()
