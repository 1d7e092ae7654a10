"""Which carrier an address asks for."""

import pytest

from config.exceptions import SettingsError
from telephony.simulator.carrier import carrier_of
from telephony.simulator.identity import Identity
from telephony.simulator.sip.carrier import SipCarrier
from telephony.simulator.twilio.carrier import Twilio


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:8080", Twilio),
        ("wss://voice.example.com/twilio/media", Twilio),
        ("sip:front_desk@127.0.0.1", SipCarrier),
        ("SIPS:front_desk@voice.example.com", SipCarrier),
    ],
)
def test_the_scheme_chooses(url: str, kind: type) -> None:
    assert isinstance(carrier_of(url, Identity()), kind)


def test_others_are_none() -> None:
    with pytest.raises(SettingsError, match="tel:"):
        carrier_of("tel:+15550100", Identity())
