"""Twilio as the carrier of one or many calls: the HTTP client and the callers' identity."""

from telephony.simulator.identity import Identity
from telephony.simulator.phone import Caller
from telephony.simulator.twilio.call import TwilioCall
from telephony.simulator.twilio.messages import new_sid
from telephony.simulator.twilio.webhooks import Webhooks, new_client, webhook_of


class Twilio:
    """See Carrier. `url` is the server's base address, its voice webhook, or (ws:// or wss://) its media socket."""

    def __init__(self, url: str, identity: Identity) -> None:
        """Raises SettingsError for an invalid address."""
        self.url = webhook_of(url)
        self._identity = identity
        self._http = new_client()

    async def open(self) -> None:
        """See Carrier."""

    async def close(self) -> None:
        """See Carrier."""
        await self._http.aclose()

    def call(self, caller: Caller) -> TwilioCall:
        """See Carrier."""
        who = self._identity
        form = {
            "CallSid": new_sid("CA"),
            "AccountSid": new_sid("AC"),
            "From": who.number,
            "To": who.to,
            "Caller": who.number,
            "Called": who.to,
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        webhooks = Webhooks(self.url, self._http, identity=form, auth_token=who.auth_token, public_url=who.public_url)
        return TwilioCall(caller, self.url, webhooks)
