"""Calls over SIP."""

from telephony.simulator.phone import Caller
from telephony.simulator.sip.call import SimulatedSipCall
from telephony.simulator.sip.trunk import SipTrunk


class SipCarrier(SipTrunk):
    """See Carrier."""

    def call(self, caller: Caller) -> SimulatedSipCall:
        """See Carrier."""
        return SimulatedSipCall(caller, self.url, self)
