"""REFER in a call (RFC 3515, 3891): ours, with the peer's NOTIFY reports, and the peer's."""

import msgspec

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.dialog import Dialog
from telephony.lines.sip.dialogs.events import Referred, TransferProgress
from telephony.lines.sip.dialogs.within import WithinCall
from telephony.lines.sip.syntax.header import parse_name_addr, parse_uri, tag_of
from telephony.lines.sip.syntax.message import Request, Response
from telephony.lines.sip.transactions.answers import Refusal
from telephony.lines.sip.transactions.reasons import reason
from telephony.lines.sip.transactions.server import ServerTransaction
from telephony.lines.sip.transactions.timers import GIVE_UP, Timer

NEWS_MS = 120_000.0  # how long the peer may try the target without a NOTIFY
ANSWER_MS = 20_000.0  # how long the call layer may think about a REFER
SIPFRAG = "message/sipfrag"
_PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()")
_EVENT = ("Event", "refer")


class Referrals:
    """The transfers asked for in one call, by us or by the peer."""

    def __init__(self, call: WithinCall) -> None:
        self._call = call
        self._core = call.core
        self._referring = False  # we have asked the peer
        self._told = False  # the result has been told
        self._patience: Timer | None = None
        self._theirs: ServerTransaction | None = None  # for the call layer to accept
        self._thinking: Timer | None = None
        self._reporting = False

    # ---- ours ----

    def refer(self, target: str, now_ms: float) -> None:
        """Send a REFER."""
        if parse_uri(target).scheme not in ("sip", "sips"):
            raise ValueError("a call can be referred to a SIP address only")
        if self._referring and not self._told:
            raise CommandError("refer: the call is being transferred already")
        self._referring, self._told = True, False

        def make() -> Request:
            request = self._call.dialog.request("REFER")
            me = parse_name_addr(self._call.dialog.local).uri
            for header in (self._call.contact(), ("Refer-To", f"<{target}>"), ("Referred-By", f"<{me}>")):
                request.headers.add(*header)
            return request

        self._call.exchange(make, self._answered, now_ms)
        self._wait(now_ms)

    def notified(self, transaction: ServerTransaction, now_ms: float) -> None:
        """A NOTIFY: how the transfer is going."""
        request = transaction.request
        event = request.headers.get("Event").partition(";")[0].strip().lower()
        if event != "refer":
            refusal = Refusal(489, "NOTIFY of an event other than refer", (("Allow-Events", "refer"),))
        elif not self._referring:
            refusal = Refusal(481, "NOTIFY of a transfer that we did not ask for")
        else:
            self._core.answer(transaction, 200, now_ms)
            ended = request.headers.get("Subscription-State").lower().startswith("terminated")
            self._progress(status_of(request.body), ended=ended, now_ms=now_ms)
            return
        self._core.refuse(transaction, refusal, now_ms)

    def stop(self, now_ms: float) -> None:
        """The call is over."""
        self._told = True
        if self._patience is not None:
            self._patience.stop()
        if self._theirs is not None:
            self.refuse(Refusal(487, "the call has ended"), now_ms)

    def _answered(self, response: Response, now_ms: float) -> None:
        if response.status >= 300:
            self._progress(response.status, ended=True, now_ms=now_ms)

    def _progress(self, status: int, *, ended: bool, now_ms: float) -> None:
        if self._told:
            return
        self._told = final = ended or status >= 200
        self._wait(now_ms)
        if final and self._patience is not None:
            self._patience.stop()
        self._core.tell(TransferProgress(self._call.id, status, final))

    def _wait(self, now_ms: float) -> None:
        if self._patience is not None:
            self._patience.stop()
        self._patience = self._core.timers.start(
            now_ms + NEWS_MS, lambda now_ms: self._progress(0, ended=True, now_ms=now_ms)
        )

    # ---- theirs ----

    def receive(self, transaction: ServerTransaction, now_ms: float) -> None:
        """A REFER: declined unless the settings allow it and no other is under way."""
        targets = transaction.request.headers.all("Refer-To")
        try:
            target = parse_name_addr(targets[0]).uri if len(targets) == 1 else None
        except ValueError:
            target = None
        if not self._core.config.allow_refer:
            refusal = Refusal(603, "transfers asked for by peers are not allowed")
        elif target is None:
            refusal = Refusal(400, "REFER without one good Refer-To")
        elif self._theirs is not None or self._reporting:
            refusal = Refusal(491, "a second REFER before the first was done")
        else:
            self._theirs = transaction
            late = Refusal(603, "the call layer did not answer a REFER")
            self._thinking = self._core.timers.start(now_ms + ANSWER_MS, lambda now_ms: self.refuse(late, now_ms))
            self._core.tell(Referred(self._call.id, str(target)))
            return
        self._core.refuse(transaction, refusal, now_ms)

    def accept(self, now_ms: float) -> None:
        """202, and the first NOTIFY."""
        self._core.answer(self._take(), 202, now_ms, headers=[self._call.contact()])
        self._reporting = True
        self.report(100, now_ms)

    def refuse(self, refusal: Refusal, now_ms: float) -> None:
        """Decline."""
        self._core.refuse(self._take(), refusal, now_ms)

    def report(self, status: int, now_ms: float) -> None:
        """A NOTIFY; a final status ends the subscription."""
        if not self._reporting or not self._call.up:
            raise CommandError("there is no transfer to tell of")
        self._reporting = status < 200
        state = f"active;expires={int(GIVE_UP / 1000)}" if self._reporting else "terminated;reason=noresource"

        def make() -> Request:
            request = self._call.dialog.request("NOTIFY")
            headers = (self._call.contact(), _EVENT, ("Subscription-State", state), ("Content-Type", SIPFRAG))
            for header in headers:
                request.headers.add(*header)
            request.body = f"SIP/2.0 {status} {reason(status)}\r\n".encode()
            return request

        self._call.exchange(make, lambda _, __: None, now_ms)

    def _take(self) -> ServerTransaction:
        if self._theirs is None:
            raise CommandError("there is no REFER to answer")
        transaction, self._theirs = self._theirs, None
        if self._thinking is not None:
            self._thinking.stop()
        return transaction


def status_of(sipfrag: bytes) -> int:
    """The status in `SIP/2.0 180 Ringing`; 0 if there is none."""
    version, _, rest = sipfrag.lstrip().partition(b" ")
    code = rest[:3]
    return int(code) if version.upper() == b"SIP/2.0" and len(code) == 3 and code.isdigit() else 0


def replacing(dialog: Dialog) -> str:
    """A Refer-To URI for the peer of a dialog; whoever calls it takes our place."""
    replaces = f"{dialog.call_id};to-tag={tag_of(dialog.remote)};from-tag={tag_of(dialog.local)}"
    escaped = "".join(c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode()) for c in replaces)
    return str(msgspec.structs.replace(parse_uri(dialog.target), headers=f"Replaces={escaped}"))
