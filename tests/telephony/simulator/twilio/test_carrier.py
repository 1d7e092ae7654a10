"""Twilio for many calls."""

from typing import Any

from telephony.simulator.clip import line_noise
from telephony.simulator.identity import Identity
from telephony.simulator.phone import Caller
from telephony.simulator.ticker import Ticker
from telephony.simulator.twilio.carrier import Twilio


async def test_each_call_has_names_of_its_own(script: Any) -> None:
    twilio = Twilio("http://127.0.0.1:1", Identity(number="+1999"))
    await twilio.open()
    caller = Caller(script("wait"), [None], line_noise(-60), Ticker())
    one, other = (twilio.call(caller) for _ in range(2))
    await twilio.close()
    assert one.report.url == "http://127.0.0.1:1/twilio/voice"
    assert one.report.call_sid != other.report.call_sid
    assert one.report.call_sid.startswith("CA")
