"""Calls by SIP."""

from telephony.simulator.phone import Caller
from telephony.simulator.sip.call import SipCall
from telephony.simulator.sip.trunk import Trunk


class SipCarrier(Trunk):
    """See Carrier."""

    def call(self, caller: Caller) -> SipCall:
        """See Carrier."""
        return SipCall(caller, self.url, self)
