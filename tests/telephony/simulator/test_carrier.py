"""Which carrier an address asks for."""

import pytest

from config.exceptions import SettingsError
from telephony.simulator.browser.carrier import BrowserCarrier
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


async def test_a_page_calls_the_same_address() -> None:
    carrier = carrier_of("http://127.0.0.1:8080", Identity(), "browser")
    assert isinstance(carrier, BrowserCarrier)
    await carrier.close()


def test_a_page_calls_no_sip_address() -> None:
    with pytest.raises(SettingsError, match="no http or https address"):
        carrier_of("sip:front_desk@127.0.0.1", Identity(), "browser")


def test_others_are_none() -> None:
    with pytest.raises(SettingsError, match="tel:"):
        carrier_of("tel:+15550100", Identity())
