"""The carriers that bring simulated calls to a server: Twilio, SIP and a web page."""

from typing import Protocol

from telephony.simulator.browser.carrier import BrowserCarrier
from telephony.simulator.identity import Identity
from telephony.simulator.phone import Caller, PhoneCall
from telephony.simulator.sip.carrier import SipCarrier
from telephony.simulator.twilio.carrier import Twilio


class Carrier(Protocol):
    """Serves one call, or all calls of a load."""

    url: str  # the address to call

    async def open(self) -> None:
        """Get ready for calls. Raises SettingsError if that is impossible."""

    def call(self, caller: Caller) -> PhoneCall:
        """A new call, not yet run."""

    async def close(self) -> None:
        """Release everything, once all calls are over."""


def carrier_of(url: str, identity: Identity, line: str = "") -> Carrier:
    """The carrier for an address: SIP for sip: and sips:, Twilio for all others, unless `line` is "browser". Raises
    SettingsError."""
    if line == "browser":
        return BrowserCarrier(url, identity)
    if url.lower().startswith(("sip:", "sips:")):
        return SipCarrier(url, identity)
    return Twilio(url, identity)
