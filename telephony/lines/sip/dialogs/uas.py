"""An inbound call (UAS), until it is answered and acknowledged."""

from functools import partial

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.checks import foreign_body
from telephony.lines.sip.dialogs.core import SUPPORTED, WITH_SDP, Core
from telephony.lines.sip.dialogs.dialog import Dialog
from telephony.lines.sip.dialogs.events import Cause, Invited
from telephony.lines.sip.dialogs.invite_dialog import Call, CallState, reason_of
from telephony.lines.sip.dialogs.provisional import ExtraHeaders, Unacknowledged, wants_reliable
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.body import sdp_of
from telephony.lines.sip.syntax.message import Request
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.transactions.server import ServerTransaction


class UasCall(Call):
    """Announced by `Invited`; `accept` or `reject` it. `Ended` comes if the caller gives up first."""

    def __init__(self, core: Core, transaction: ServerTransaction, source: Address, now_ms: float) -> None:
        """The INVITE has passed all checks."""
        super().__init__(core, None)
        request = transaction.request
        self._invite = transaction
        transaction.tag = core.token()
        transaction.cancelled = self._cancelled
        self._dialog = Dialog.answering(request, transaction.tag, source, follow=core.config.follow_source)
        core.dialogs[self._dialog.id] = self
        self.learn(request)
        self.reliable = wants_reliable(request)  # its provisional answers must be acknowledged
        self._offered = bool(sdp_of(request))
        self._provisional = Unacknowledged(core.timers, transaction, self._unacknowledged, core.random)
        self._patience = core.timers.start(now_ms + core.config.answer_ms, self._unanswered)
        core.answer(transaction, 100, now_ms)
        core.tell(Invited(self.id, request, source, sdp_of(request)))

    def ringing(self, now_ms: float) -> None:
        """Tell the caller that it rings (180)."""
        self.progress(180, now_ms)

    def progress(self, status: int, now_ms: float) -> None:
        """180 to 183, without early media. Raises CommandError if the call is no longer ringing.

        If the caller requires reliable ones and leaves the offer to us, they would have to hold it: nothing is sent.
        """
        self._require_ringing(f"progress {status}")
        if not self.reliable:
            self._ring(status, (), now_ms)
        elif self._offered:
            self._provisional.send(partial(self._ring, status), now_ms)

    def _ring(self, status: int, headers: ExtraHeaders, now_ms: float) -> None:
        self.core.answer(self._invite, status, now_ms, headers=[self.contact(), self.core.allow, *headers])

    def accept(self, body: bytes, now_ms: float) -> None:
        """Answer with our SDP: the answer, or the offer if the INVITE had none. Raises CommandError if the call
        is no longer ringing."""
        self._require_ringing("accept")
        self._patience.stop()
        self._provisional.stop()
        self.state = CallState.ANSWERED
        self.reinvites.sent_body = body
        session = self.session.accept(self._invite.request, now_ms)
        headers = [self.contact(), self.core.allow, SUPPORTED, *session, WITH_SDP]
        self.reinvites.confirm(self._invite, headers, body, now_ms)

    def reject(self, refusal: Refusal, now_ms: float) -> None:
        """Turn the caller away (486 busy, 488 no common media, 603 declined, ...). Raises CommandError if the call is
        no longer ringing."""
        self._require_ringing("reject")
        self._turn_away(refusal, Cause.REJECTED, now_ms)

    def receive(self, transaction: ServerTransaction, way: Address, now_ms: float) -> None:
        if transaction.request.method == "BYE" and self.state is CallState.RINGING:
            self.core.answer(transaction, 200, now_ms)
            self._turn_away(Refusal(487, "BYE before it was answered"), Cause.CANCELLED, now_ms)
        else:
            super().receive(transaction, way, now_ms)

    def _abandon(self, now_ms: float) -> None:
        self._turn_away(Refusal(480, "hung up before it was answered"), Cause.LOCAL, now_ms)

    def _cancelled(self, cancel: Request, now_ms: float) -> None:
        if self.state is CallState.RINGING:
            self._turn_away(Refusal(487, "cancelled by the caller"), Cause.CANCELLED, now_ms, reason_of(cancel.headers))

    def _turn_away(self, refusal: Refusal, cause: Cause, now_ms: float, reason: tuple[int, str] = (0, "")) -> None:
        self._patience.stop()
        self._provisional.stop()
        self.core.refuse(self._invite, refusal, now_ms)
        self.end(cause, now_ms, reason[0] or refusal.status, reason[1])

    def _prack(self, transaction: ServerTransaction, now_ms: float) -> None:
        request = transaction.request
        refusal = foreign_body(request)
        if refusal is None and not self._provisional.take(request, now_ms):
            refusal = Refusal(481, "PRACK of nothing")
        if refusal is None and sdp_of(request):
            refusal = Refusal(488, "PRACK with an offer before ours was answered")
        if refusal is not None:
            self.core.refuse(transaction, refusal, now_ms)
        else:
            self.core.answer(transaction, 200, now_ms)

    def _unacknowledged(self, now_ms: float) -> None:
        self._turn_away(Refusal(504, "a provisional answer was never acknowledged"), Cause.UNACKNOWLEDGED, now_ms)

    def _unanswered(self, now_ms: float) -> None:
        self._turn_away(Refusal(480, "the call layer did not answer in time"), Cause.UNANSWERED, now_ms)

    def _require_ringing(self, what: str) -> None:
        if self.state is not CallState.RINGING:
            raise CommandError(f"{what}: the call is {self.state.value}")
