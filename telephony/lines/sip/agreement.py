"""The audio that one call and its peer have agreed on: offers, answers and hold."""

from collections.abc import Callable

from telephony.lines.rtp.media import Media
from telephony.lines.rtp.parameters import Parameters
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.media.wire import Wire

AFTER_HOLD = 10  # frames that were still on their way when the hold ended, and belong to it


class Agreement:
    """`agreed` gets each agreement and the media session that follows it; `hold_changed` is called when the peer puts
    the call on hold or takes it off."""

    def __init__(
        self,
        negotiation: Negotiation,
        wire: Wire,
        *,
        agreed: Callable[[Parameters, Media], None],
        hold_changed: Callable[[], None],
    ) -> None:
        self.on_hold = False
        self._negotiation = negotiation
        self._wire = wire
        self._agreed = agreed
        self._hold_changed = hold_changed
        self._offered = False  # our offer waits for its answer
        self._silenced = 0  # frames that are not the caller's: during a hold, and for a moment after it

    def describe(self, offer: bytes) -> bytes:
        """Our SDP for an INVITE's: the answer, or an offer if it has none. Raises NotAcceptable."""
        if not offer:
            self._offered = True
            return self._negotiation.offer()
        answer, parameters = self._negotiation.answer(offer)
        self._agree(parameters)
        return answer

    def offered(self) -> None:
        """Our offer is on its way to the called party. Early media, such as ringing tones, is not heard."""
        self._offered = True

    def answered(self, body: bytes) -> None:
        """The peer's answer to our offer, if one was open. Raises NotAcceptable."""
        if self._offered:
            self._offered = False
            self._agree(self._negotiation.read_answer(body))

    def silenced(self, pcm: bytes) -> bytes:
        """The caller's audio, or silence in place of a hold's music."""
        if not self._silenced:
            return pcm
        if not self.on_hold:
            self._silenced -= 1
        return bytes(len(pcm))

    def _agree(self, parameters: Parameters) -> None:
        self._agreed(parameters, self._wire.agree(parameters))
        self._hold(not parameters.sends)

    def _hold(self, on_hold: bool) -> None:
        """A peer that takes none of our audio has us on hold, whatever it sends itself: silence, music, speech."""
        if on_hold != self.on_hold:
            self.on_hold, self._silenced = on_hold, AFTER_HOLD
            self._hold_changed()
