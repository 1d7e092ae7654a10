"""Reliable provisional answers (RFC 3262): ours are resent until their PRACK; a peer's are answered with one."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from telephony.lines.sip.dialogs.core import Core
from telephony.lines.sip.dialogs.dialog import Dialog, Id
from telephony.lines.sip.dialogs.exchange import Credentials, Exchange
from telephony.lines.sip.dialogs.session_timer import tokens
from telephony.lines.sip.syntax.body import sdp_of
from telephony.lines.sip.syntax.header import parse_number, tag_of
from telephony.lines.sip.syntax.message import Message, Request, Response, sequence_of
from telephony.lines.sip.transactions.timers import GIVE_UP, T1, Timer, Timers

if TYPE_CHECKING:
    from telephony.lines.sip.transactions.server import ServerTransaction

ExtraHeaders = tuple[tuple[str, str], ...]  # headers
OPTION = "100rel"
MAX_RSEQ = 2**32 - 1
MOST_EARLY = 8  # phones ringing for one call of ours that get a PRACK


def wants_reliable(message: Message) -> bool:
    """Whether the sender requires reliable provisional answers."""
    return OPTION in tokens(message.headers.all("Require"))


class Unacknowledged:
    """Ours: one at a time waits for its PRACK. `lost(now_ms)` is called if it does not come in 32 seconds."""

    def __init__(
        self, timers: Timers, transaction: "ServerTransaction", lost: Callable[[float], None], random: Random
    ) -> None:
        self._timers = timers
        self._transaction = transaction
        self._lost = lost
        self._number = random.randint(1, 2**31 - 1)  # RSeq of the next one
        self._waiting = False
        self._next: Callable[[float], None] | None = None
        self._set: list[Timer] = []

    def send(self, answer: Callable[[ExtraHeaders, float], None], now_ms: float) -> None:
        """`answer(headers, now_ms)` is called to send it once the previous one is acknowledged; a newer one replaces
        it."""
        if self._waiting:
            self._next = lambda now_ms: self.send(answer, now_ms)
            return
        self._waiting, self._next = True, None
        answer((("Require", OPTION), ("RSeq", str(self._number))), now_ms)
        self._set = [self._timers.start(now_ms + GIVE_UP, self._give_up)]
        self._resend_after(T1, now_ms)

    def take(self, prack: Request, now_ms: float) -> bool:
        """Whether this is its PRACK, perhaps a late one."""
        expected = f"{self._number} {sequence_of(self._transaction.request)} INVITE"
        if not self._waiting or " ".join(prack.headers.get("RAck").split()) != expected:
            return False
        stopped, self._waiting = not self._set, False
        self.stop()
        self._number += 1
        if self._next is not None and not stopped:
            self._next(now_ms)
        return True

    def stop(self) -> None:
        """The final answer has been given: stop resending, but still take a PRACK."""
        for timer in self._set:
            timer.stop()
        self._set = []

    def _resend_after(self, pause_ms: float, now_ms: float) -> None:
        def again(now_ms: float) -> None:
            self._transaction.resend()
            self._resend_after(2 * pause_ms, now_ms)

        self._set[1:] = [self._timers.start(now_ms + pause_ms, again)]

    def _give_up(self, now_ms: float) -> None:
        self.stop()
        self._lost(now_ms)


class Early:
    """The peers': the early dialogs of our INVITE, by the tag of each ringing phone."""

    def __init__(self, core: Core, credentials: Credentials | None) -> None:
        self._core = core
        self._credentials = credentials
        self._dialogs: dict[str, tuple[Dialog, int, bytes]] = {}  # with the last RSeq, and the SDP received

    def acknowledge(self, invite: Request, response: Response, now_ms: float) -> bool:
        """Send the PRACK of a provisional answer. False for a repeated one, or one out of order."""
        try:
            number = parse_number(response.headers.get("RSeq"), MAX_RSEQ)
            tag = tag_of(response.headers.get("To"))
            dialog, last, sdp = self._dialogs.get(tag) or (self._opened(invite, response), number - 1, b"")
        except ValueError:
            return True  # not one that could be acknowledged
        if number != last + 1 or (tag not in self._dialogs and len(self._dialogs) == MOST_EARLY):
            return False
        self._dialogs[tag] = dialog, number, sdp_of(response) or sdp

        def make() -> Request:
            prack = dialog.request("PRACK")
            prack.headers.add("RAck", f"{number} {sequence_of(response)} INVITE")
            return prack

        Exchange(self._core, make, lambda: dialog.next_hop, self._credentials, lambda _, __: None).start(now_ms)
        return True

    def answered(self, dialog: Dialog) -> bytes:
        """One of them has answered, and its CSeq numbers continue. Returns the SDP received before."""
        early, _, sdp = self._dialogs.get(dialog.id[2], (dialog, 0, b""))
        dialog.local_sequence = max(dialog.local_sequence, early.local_sequence)
        dialog.remote_sequence = max(dialog.remote_sequence, early.remote_sequence)
        return sdp

    def dialog_of(self, request: Request) -> Dialog | None:
        """The early dialog that a request belongs to."""
        found = self._dialogs.get(tag_of(request.headers.get("From")))
        return found[0] if found else None

    @property
    def ids(self) -> list[Id]:
        """The ids of all early dialogs."""
        return [dialog.id for dialog, _, _ in self._dialogs.values()]

    def _opened(self, invite: Request, response: Response) -> Dialog:
        core = self._core
        return Dialog.answered(invite, response, core.way, follow=core.config.follow_source)
