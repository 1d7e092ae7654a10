"""Originating a call: the server that takes it, sockets for its audio, the INVITE, and its line."""

import asyncio
import logging

from config.logging import Log
from config.parties import parties
from config.settings import Settings
from telephony.lines.exceptions import CommandError, LineError
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.calls import Calls
from telephony.lines.sip.dialogs.uac import Outgoing, UacCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.media.audio_line import NotAcceptable
from telephony.lines.sip.media.sockets import MediaSockets, NoPort
from telephony.lines.sip.network.locator import LocateError, Locator
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import NameAddr, Uri
from telephony.lines.sip.trunks import Trunk

_REASONS = {408: "unanswered", 480: "unanswered", 486: "busy", 600: "busy", 603: "declined", 607: "declined"}


class OriginateError(LineError):
    """A call could not be originated."""


class Originator:
    """Originates calls, for whatever purpose."""

    def __init__(self, settings: Settings, calls: Calls, locator: Locator) -> None:
        self._sip = settings.sip
        self._calls = calls
        self._locator = locator

    async def originate(self, ua: UserAgent, call_id: str, uri: Uri, trunk: Trunk | None) -> tuple[UacCall, SipCall]:
        """Call `uri`. The line is stored; the INVITE leaves with the next output of the user agent. Raises
        OriginateError."""
        sockets: MediaSockets | None = None
        try:
            hops = await self._locator.locate(trunk.server if trunk else uri)
            sockets = self._calls.sockets()
            negotiation = self._calls.negotiation(sockets)
            call = ua.invite(self._outgoing(call_id, uri, trunk, hops, negotiation.offer()), _now_ms())
            line = self._calls.make(call, sockets, negotiation, trunk.name if trunk else "")
        except Exception as error:
            if sockets is not None:
                sockets.close()
            if isinstance(error, LocateError | NoPort | NotAcceptable | CommandError | ValueError):
                raise OriginateError(str(error)) from error
            Log(logging.getLogger("voxline.call"), {"call": call_id}).exception("call failed: %s", error)
            raise OriginateError("internal error") from error
        line.parties = parties(verified=True, caller=trunk.caller.uri.user if trunk else "", called=uri.user)
        self._calls[call_id] = line
        line.agreement.offered()
        return call, line

    def _outgoing(self, call_id: str, uri: Uri, trunk: Trunk | None, hops: list[Address], offer: bytes) -> Outgoing:
        sip = self._sip
        return Outgoing(
            to=str(uri),
            body=offer,
            caller=trunk.caller if trunk else NameAddr("", Uri("sip", "voxline", sip.advertised or sip.host)),
            credentials=trunk.credentials if trunk else None,
            proxy=hops[0],
            spares=tuple(hops[1:]),
            ring_ms=1000 * sip.ring_timeout_s,
            id=call_id,
        )


def why_refused(status: int, *, in_time: bool) -> str:
    """Busy, declined, unanswered or failed: why a call was not answered."""
    return _REASONS.get(status, "failed") if in_time else "unanswered"


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
