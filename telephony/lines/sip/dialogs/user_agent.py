"""The user agent: messages in, messages and events out (RFC 3261), for all calls and registrations of one server.

Sans-I/O. The shell passes in what was received (`receive`, `malformed`), what could not be sent (`unreachable`) and the
time (`timers`, when `next_ms` has come). After each of these, and after every command, it sends and tells what `take`
returns. Requests outside of calls are answered statelessly, except for an INVITE that becomes a call.
"""

import secrets
from collections.abc import Callable
from random import Random, SystemRandom

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.checks import unfit_invite, unknown_method, unsupported
from telephony.lines.sip.dialogs.core import ACCEPTED, SUPPORTED, AnyCall, Core, UserAgentConfig
from telephony.lines.sip.dialogs.events import Event, Send
from telephony.lines.sip.dialogs.invite_dialog import Call, CallState
from telephony.lines.sip.dialogs.registration import Account, Registration
from telephony.lines.sip.dialogs.session_timer import too_small
from telephony.lines.sip.dialogs.uac import Outgoing, UacCall
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import tag_of
from telephony.lines.sip.syntax.message import Message, MessageError, Request, Response, sequence_of
from telephony.lines.sip.transactions.answers import Refusal, reply_to, stamp_via
from telephony.lines.sip.transactions.server import ServerState

Admit = Callable[[Request, Address, float], Refusal | None]
Closed = Callable[[], Refusal | None]


def _token() -> str:
    return secrets.token_hex(10)


class UserAgent:
    """One user agent; `config` holds its identity and limits."""

    def __init__(
        self,
        config: UserAgentConfig,
        *,
        admit: Admit | None = None,
        closed: Closed = lambda: None,
        token: Callable[[], str] = _token,
        random: Random | None = None,
    ) -> None:
        """`admit` is asked for each new INVITE and for OPTIONS: a Refusal (401 with its challenge, 403, ...) or None;
        `closed` returns how any call would be refused now, whoever calls. `token` and `random` are for tests."""
        self.stray = 0  # messages that match nothing: late ones, and worse
        self._admit = admit
        self._closed = closed
        self._core = Core(config, token, random or SystemRandom())

    @property
    def calls(self) -> list[AnyCall]:
        """All calls that are not over, including those whose BYE is under way."""
        return list(self._core.calls.values())

    @property
    def withheld(self) -> int:
        """Answers not sent because they would have been over the size limit: see `receive`."""
        return self._core.withheld

    @property
    def idle(self) -> bool:
        """Whether there is no state left: no call, no transaction, no timer."""
        core = self._core
        return not (core.calls or core.dialogs or core.transactions.servers or core.transactions.clients or core.timers)

    @property
    def next_ms(self) -> float:
        """When `timers` is to be called; infinity if nothing is due."""
        return self._core.timers.next_ms

    def timers(self, now_ms: float) -> None:
        """Run the timers that are due."""
        self._core.timers.run(now_ms)

    def take(self) -> list[Send | Event]:
        """What to send and tell, in order; each item once."""
        out, self._core.out = self._core.out, []
        return out

    def call(self, call_id: str) -> Call:
        """The call that an event is about. Raises CommandError if it is over."""
        call = self._core.calls.get(call_id)
        if not isinstance(call, Call):
            raise CommandError("the call is over")
        return call

    def inbound(self, call_id: str) -> UasCall:
        """The call that `Invited` is about. Raises CommandError if it is over."""
        call = self.call(call_id)
        if not isinstance(call, UasCall):
            raise CommandError("the call is an outbound one")
        return call

    def rings(self, call_id: str) -> bool:
        """Whether a call is still unanswered."""
        call = self._core.calls.get(call_id)
        return isinstance(call, Call) and call.state is CallState.RINGING

    # ---- commands ----

    def invite(self, outgoing: Outgoing, now_ms: float) -> UacCall:
        """Start a call. Raises CommandError if there is no room, ValueError for a bad address or header."""
        if len(self._core.calls) >= self._core.config.max_calls:
            raise CommandError("no room for another call")
        return UacCall(self._core, outgoing, now_ms)

    def register(self, account: Account, now_ms: float) -> Registration:
        """Register, and stay registered. Raises ValueError for a bad address."""
        return Registration(self._core, account, now_ms)

    # ---- what the network brings ----

    def receive(self, message: Message, source: Address, now_ms: float, *, most: int | None = None) -> None:
        """Take one message. `most` limits an answer, in bytes, until it is certain that the sender is at `source`;
        otherwise we could be abused to amplify traffic."""
        self._core.way, self._core.most = source, most
        if isinstance(message, Response):
            self._response(message, now_ms)
        else:
            stamp_via(message, source, nat=self._core.config.follow_source)
            self._request(message, source, now_ms)

    def malformed(self, error: MessageError, source: Address, *, most: int | None = None) -> None:
        """Answer a message that could not be parsed, if possible. `most`: see `receive`."""
        self._core.most = most
        if error.request is None:
            self.stray += 1
            return
        try:
            stamp_via(error.request, source, nat=self._core.config.follow_source)
            self._core.refuse_once(error.request, Refusal(error.status, error.reason), source)
        except ValueError:  # the headers that an answer copies are unusable
            self.stray += 1

    def unreachable(self, to: Address, now_ms: float) -> None:
        """Sending there failed, or its connection broke: requests waiting for an answer fail with 503."""
        self._core.transactions.unreachable(to, now_ms)

    def _response(self, response: Response, now_ms: float) -> None:
        if len(response.headers.all("Via")) != 1 or not self._core.transactions.answer(response, now_ms):
            self.stray += 1

    def _request(self, request: Request, source: Address, now_ms: float) -> None:
        transaction = self._core.transactions.match(request)
        if request.method == "ACK":
            if transaction is not None and transaction.state is not ServerState.ACCEPTED:
                transaction.acknowledge(now_ms)
            else:
                self._ack(request, now_ms)
        elif transaction is not None:
            transaction.resend()
        elif request.method == "CANCEL":
            self._cancel(request, source, now_ms)
        elif tag_of(request.headers.get("To")):
            self._in_dialog(request, source, now_ms)
        else:
            self._outside(request, source, now_ms)

    def _ack(self, request: Request, now_ms: float) -> None:
        call = self._call_of(request)
        if call is None:
            self.stray += 1
        else:
            call.acknowledged(request, now_ms)

    def _cancel(self, request: Request, source: Address, now_ms: float) -> None:
        invite = self._core.transactions.cancelled_by(request)
        if invite is None:
            self._core.refuse_once(request, Refusal(481, "CANCEL of nothing"), source)
            return
        self._core.answer_once(request, reply_to(request, source), 200, tag=invite.tag)
        if not invite.answered and invite.cancelled is not None:
            invite.cancelled(request, now_ms)

    def _in_dialog(self, request: Request, source: Address, now_ms: float) -> None:
        call = self._call_of(request)
        if call is None:
            self._core.refuse_once(request, Refusal(481, f"{request.method} in no call of ours"), source)
            return
        if self._core.transactions.full and request.method != "BYE":
            self._core.refuse_once(request, self._core.no_room("too many transactions"), source)
            return
        transaction = self._core.transactions.serve(request, source)
        refusal = None
        if not call.dialog_of(request).take_sequence(request):
            refusal = Refusal(500, f"CSeq {sequence_of(request)} is not above that of the last request")
        refusal = refusal or unknown_method(request, self._core.allow) or unsupported(request)
        if refusal is not None:
            self._core.refuse(transaction, refusal, now_ms)
        else:
            call.receive(transaction, source, now_ms)

    def _outside(self, request: Request, source: Address, now_ms: float) -> None:
        refusal = unknown_method(request, self._core.allow) or unsupported(request) or self._looped(request)
        if refusal is not None:
            self._core.refuse_once(request, refusal, source)
        elif request.method == "OPTIONS":
            self._asked(request, source, now_ms)
        elif request.method == "INVITE":
            self._invited(request, source, now_ms)
        elif request.method == "REFER":
            self._core.refuse_once(request, Refusal(403, "REFER outside of a call"), source)
        else:
            self._core.refuse_once(request, Refusal(481, f"{request.method} outside of a call"), source)

    def _asked(self, request: Request, source: Address, now_ms: float) -> None:
        """OPTIONS: answer as an INVITE would be answered (RFC 3261, 11.2)."""
        refusal = self._admitted(request, source, now_ms) or self._full() or self._closed()
        if refusal is not None:
            self._core.refuse_once(request, refusal, source)
            return
        shown = (self._core.allow, SUPPORTED, ACCEPTED)
        self._core.answer_once(request, reply_to(request, source), 200, shown)

    def _admitted(self, request: Request, source: Address, now_ms: float) -> Refusal | None:
        return self._admit(request, source, now_ms) if self._admit is not None else None

    def _invited(self, request: Request, source: Address, now_ms: float) -> None:
        refusal = (
            self._admitted(request, source, now_ms)
            or unfit_invite(request)
            or too_small(request, self._core.config.min_session_s)
            or self._full()
        )
        if refusal is not None:
            self._core.refuse_once(request, refusal, source)
            return
        UasCall(self._core, self._core.transactions.serve(request, source), source, now_ms)

    def _looped(self, request: Request) -> Refusal | None:
        if any(self._core.is_ours(via) for via in request.headers.all("Via")):
            return Refusal(482, "a request of our own has come back")
        if self._core.transactions.merged(request):
            return Refusal(482, "the same request has come another way")
        return None

    def _full(self) -> Refusal | None:
        if len(self._core.calls) >= self._core.config.max_calls:
            return self._core.no_room("too many calls")
        return self._core.no_room("too many transactions") if self._core.transactions.full else None

    def _call_of(self, request: Request) -> AnyCall | None:
        headers = request.headers
        return self._core.dialogs.get((headers.get("Call-ID"), tag_of(headers.get("To")), tag_of(headers.get("From"))))
