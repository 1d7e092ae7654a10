"""The calls with audio, inbound and outbound: made, told of events, closed."""

import asyncio
from collections.abc import Callable

from config.exceptions import SettingsError
from config.sip import SipSettings
from telephony.lines.ending import By
from telephony.lines.rtp import opus, srtp
from telephony.lines.rtp.codec import CODECS
from telephony.lines.sip.call import BeginTransfer, SipCall
from telephony.lines.sip.dialogs.events import Acked, Answered, Cause, Ended, Info, Reinvited, TransferProgress
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.media.audio_line import Capabilities
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.media.sockets import MediaSockets

QUIET = (Cause.LOCAL, Cause.REMOTE, Cause.CANCELLED, Cause.REJECTED)  # ends that are no fault

InCall = Acked | Answered | Reinvited | Info | TransferProgress | Ended


class Calls(dict[str, SipCall]):
    """By call id. `changed` is called when the user agent has something to send, `left` when a call that had a listener
    is gone."""

    def __init__(self, settings: SipSettings, changed: Callable[[], None], left: Callable[[SipCall], None]) -> None:
        """Raises SettingsError if SRTP or Opus is required and its library is missing."""
        super().__init__()
        if settings.srtp == "required" and not srtp.available():
            raise SettingsError(f"sip.srtp: {srtp.MISSING}")
        if "opus" in settings.codecs and not opus.available():
            raise SettingsError(f"sip.codecs: {opus.MISSING}")
        self._settings = settings
        self._changed = changed
        self._left = left
        self._closing: set[asyncio.Task[None]] = set()
        self.begin_transfer: BeginTransfer | None = None  # starts an attended transfer; None: transfers are cold

    def sockets(self) -> MediaSockets:
        """For the audio of one call. Raises NoPort."""
        return MediaSockets(self._settings.host, self._settings.rtp_first_port, self._settings.rtp_last_port)

    def negotiation(self, sockets: MediaSockets) -> Negotiation:
        """The negotiation for audio on these sockets."""
        sip = self._settings
        codecs = tuple(CODECS[name] for name in sip.codecs)
        address = sip.advertised or sip.host
        return Negotiation(Capabilities(address=address, port=sockets.port, codecs=codecs, secure=sip.srtp))

    def make(self, call: Call, sockets: MediaSockets, negotiation: Negotiation, trunk: str = "") -> SipCall:
        """A call's line, not yet stored."""
        return SipCall(
            call,
            sockets,
            negotiation,
            media_timeout_s=self._settings.media_timeout_s,
            nat=self._settings.nat,
            trunk=trunk,
            begin_transfer=self.begin_transfer,
            changed=self._changed,
            over=self._over,
        )

    def tell(self, event: InCall) -> None:
        """Something has happened in a call."""
        line = self.get(event.call)
        if line is None:
            return
        match event:
            case Acked() | Answered():
                line.acknowledged(event.body)
            case Reinvited():
                line.reinvited(event.body)
            case Info():
                line.key(event.content_type, event.body)
            case TransferProgress():
                line.transferring.progress(event.status, final=event.final)
            case Ended():
                theirs = "the called party hung up" if line.outbound else "the caller hung up"
                reason = theirs if event.cause is Cause.REMOTE else event.cause.value
                line.ended(reason, failed=event.cause not in QUIET, by=_who(event.cause, line))

    async def close(self) -> None:
        """The server ends."""
        for line in list(self.values()):
            line.ended("the server ended", failed=False, by="server")
        await asyncio.gather(*self._closing)

    def _over(self, line: SipCall) -> None:
        self.pop(line.call_id, None)
        if line.listener is not None:
            task = asyncio.get_running_loop().create_task(self._close(line), name="close")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, line: SipCall) -> None:
        try:
            if line.listener is not None:
                await line.listener.closed()
        except Exception as error:
            line.log.exception("call failed: %s", error)
        finally:
            self._left(line)


def _who(cause: Cause, line: SipCall) -> By:
    """Who ended a call."""
    match cause:
        case Cause.REMOTE | Cause.CANCELLED:
            return "called" if line.outbound else "caller"
        case Cause.LOCAL:
            return "operator"  # by DELETE /calls/ID: other ends of ours are known already
        case _:
            return "line"
