"""Attended transfers: while the caller waits, another person is called, and the two are connected only if they answer.

ringing ─────answered──▶ referred (REFER with Replaces, to the caller's phone) ──2xx──▶ both calls are ended
    │ busy, declined,          │ refused, failed, no word of it
    ▼ unanswered, failed       ▼
   the caller goes on with the agent, and the other call is ended
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from prometheus_client import Counter

from config.logging import Log
from telephony.lines.exceptions import CommandError
from telephony.lines.keypad import Way
from telephony.lines.line import Listener
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.dialogs.events import Answered, Cause, Ended, Progress, TransferProgress
from telephony.lines.sip.dialogs.uac import UacCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.originate import OriginateError, Originator, why_refused
from telephony.lines.sip.syntax.header import Uri, parse_uri
from telephony.lines.sip.trunks import Trunk, Trunks

NEWS_MS = 20_000.0  # for the caller's phone to reach the person who has answered


class AttendedTransfer(Listener):
    """One attended transfer. It listens to the line of the called person, from their answer on."""

    taping = False

    def __init__(self, caller: SipCall, number: str, answered: Callable[["AttendedTransfer"], None]) -> None:
        self.id = secrets.token_hex(10)
        self.caller = caller
        self.number = number
        self.call: UacCall | None = None
        self.line: SipCall | None = None
        self.rings = False
        self.news_ms = 0.0  # the deadline for a report on our REFER
        self.log = Log(logging.getLogger("voxline.call"), {"call": self.id, "caller": caller.call_id})
        self._answered = answered

    def start(self) -> None:
        """See Listener."""
        self._answered(self)

    # What the person says is for the caller, who hears it once they are connected.

    def audio(self, pcm: bytes, wide: bytes = b"") -> None:
        """See Listener."""

    def dtmf(self, digit: str, way: Way, lasted_ms: float = 0.0) -> None:
        """See Listener."""

    def played(self, reply: int, ms: float) -> None:
        """See Listener."""

    def sent_first_audio(self, reply: int) -> None:
        """See Listener."""

    def sent(self, pcm: bytes, in_ms: float = 0.0, hole_ms: float | None = None) -> None:
        """See Listener."""

    def taken_back(self, ms: float) -> None:
        """See Listener."""

    def note(self, **fields: Any) -> None:
        """See Listener."""

    def held(self) -> None:
        """See Listener."""

    def retrieved(self) -> None:
        """See Listener."""

    def transfer_failed(self, reason: str) -> None:
        """See Listener."""

    def shut_down(self) -> None:
        """See Listener."""

    async def closed(self) -> None:
        """See Listener."""


class AttendedTransfers:
    """Those of one server. They do not count as calls of the agent: a caller has one at most, and it needs no engine.
    `results` counts what came of them."""

    def __init__(
        self, trunks: Trunks, originator: Originator, results: Counter, *, changed: Callable[[], None]
    ) -> None:
        self._trunks = trunks
        self._originator = originator
        self._results = results
        self._changed = changed
        self._ua: UserAgent | None = None
        self._on: dict[str, AttendedTransfer] = {}  # by both call ids, the caller's and the called person's
        self._tasks: dict[str, asyncio.Task[None]] = {}  # being originated

    def start(self, ua: UserAgent) -> None:
        """From now on transfers can begin."""
        self._ua = ua

    def begin(self, caller: SipCall, number: str) -> None:
        """Call `number` for a caller: by the trunk that the call came by, or directly if it is a SIP address."""
        transfer = AttendedTransfer(caller, number, self._refer)
        self._on[caller.call_id] = self._on[transfer.id] = transfer
        caller.transferring.give_up = lambda: self._give_up(transfer)
        transfer.log.info("consulting")
        try:
            if not caller.transferring.takes_refer:
                raise ValueError("the peer does not allow REFER")
            uri, trunk = self._target(caller, number)
        except ValueError as error:
            self._fail(transfer, "failed", str(error))
            return
        assert self._ua is not None
        originating = self._originate(self._ua, transfer, uri, trunk)
        self._tasks[transfer.id] = asyncio.get_running_loop().create_task(originating, name="consult")

    def told(self, event: Progress | Answered | Ended | TransferProgress) -> None:
        """Something has happened in a call, before its line is told."""
        transfer = self._on.get(event.call)
        if transfer is None:
            return
        match event:
            case Progress():
                if not transfer.rings:
                    transfer.rings = True
                    transfer.log.info("ringing", extra={"status": event.status})
            case Answered() if transfer.line is not None:
                transfer.line.open(transfer)
            case TransferProgress() if event.final:
                if 200 <= event.status < 300:
                    self._connected(transfer)
                else:
                    self._fail(transfer, "failed", f"the caller's phone could not be connected ({event.status})")
            case Ended() if event.call != transfer.id:
                self._end(transfer, "cancelled", "the caller is gone")
            case Ended() if not transfer.news_ms:  # otherwise the two may be talking already
                reason = why_refused(event.status, in_time=event.cause is not Cause.UNANSWERED)
                self._fail(transfer, reason, event.reason or event.cause.value)

    def tick(self, now_ms: float) -> None:
        """Called every 10 ms: the called person is sent silence."""
        for line in [transfer.line for key, transfer in self._on.items() if key == transfer.id and transfer.line]:
            line.tick(now_ms)
            line.hear(now_ms)

    def watch(self, now_ms: float) -> None:
        """Called twice a second."""
        for transfer in [transfer for key, transfer in self._on.items() if key == transfer.id]:
            if transfer.line is not None:
                transfer.line.watch(now_ms)
            if transfer.news_ms and now_ms >= transfer.news_ms:
                self._fail(transfer, "failed", f"no word of the transfer for {NEWS_MS / 1000:g} s")

    async def _originate(self, ua: UserAgent, transfer: AttendedTransfer, uri: Uri, trunk: Trunk | None) -> None:
        try:
            transfer.call, transfer.line = await self._originator.originate(ua, transfer.id, uri, trunk)
        except OriginateError as error:
            self._tasks.pop(transfer.id, None)
            self._fail(transfer, "failed", str(error))
            return
        self._tasks.pop(transfer.id, None)
        self._changed()

    def _target(self, caller: SipCall, number: str) -> tuple[Uri, Trunk | None]:
        """The URI to call, and the trunk to use. ValueError if there is no such address."""
        if not number:
            raise ValueError("there is no such transfer")
        trunk = self._trunks.get(caller.trunk)
        if ":" in number:
            uri = parse_uri(number)
            return uri, trunk if trunk is not None and uri.host == trunk.server.host else None
        if trunk is not None:
            return parse_uri(trunk.uri(number)), trunk
        return msgspec.structs.replace(caller.transferring.peer, user=number, password="", headers=""), None

    def _refer(self, transfer: AttendedTransfer) -> None:
        """The person who was called has answered."""
        assert transfer.call is not None
        now_ms = 1000 * asyncio.get_running_loop().time()
        transfer.news_ms = now_ms + NEWS_MS
        try:
            transfer.caller.transferring.refer_to_call(transfer.call, now_ms)
        except CommandError as error:
            self._fail(transfer, "failed", str(error))

    def _connected(self, transfer: AttendedTransfer) -> None:
        self._end(transfer, "connected", "")
        transfer.caller.transferring.transfer_completed(transfer.number)

    def _fail(self, transfer: AttendedTransfer, result: str, why: str) -> None:
        self._end(transfer, result, why)
        transfer.caller.transfer_failed(result)

    def _give_up(self, transfer: AttendedTransfer) -> None:
        """The server ends: the caller stays with the agent, unless the two are being connected already."""
        if not transfer.news_ms:
            self._fail(transfer, "failed", "given up: the server ends")

    def _end(self, transfer: AttendedTransfer, result: str, why: str) -> None:
        self._results.labels(result).inc()
        transfer.log.info("consulted", extra={"result": result, "reason": why})
        transfer.caller.transferring.give_up = None
        self._on.pop(transfer.caller.call_id, None)
        self._on.pop(transfer.id, None)
        if task := self._tasks.pop(transfer.id, None):
            task.cancel()
        if transfer.call is not None:
            transfer.call.hang_up(1000 * asyncio.get_running_loop().time())
            self._changed()
