"""TwiML in, verbs out."""

import pytest

from telephony.simulator.twilio import twiml
from telephony.simulator.twilio.twiml import Dial, Hangup, Other, Redirect, Reject, Say, Stream


def test_connect_stream() -> None:
    document = """<?xml version="1.0" encoding="UTF-8"?>
    <Response><Connect action="/twilio/after" method="POST"><Stream url="wss://host/media?lost=1">
    <Parameter name="token" value="a&amp;b"/><Parameter name="agent" value="dental"/></Stream></Connect></Response>"""
    stream = Stream(url="wss://host/media", parameters={"token": "a&b", "agent": "dental"}, action="/twilio/after")
    assert twiml.parse(document) == [stream]


def test_every_other_verb() -> None:
    document = """<Response><Say>All lines
      are busy.</Say><Dial><Number>+1555</Number></Dial><Dial> +1666 </Dial><Redirect>/next</Redirect>
      <Pause length="1"/><Reject reason="busy"/><Reject/><Hangup/></Response>"""
    assert twiml.parse(document) == [
        Say("All lines are busy."),
        Dial("+1555"),
        Dial("+1666"),
        Redirect("/next"),
        Other("Pause"),
        Reject("busy"),
        Reject("rejected"),
        Hangup(),
    ]
    assert twiml.parse("<Response/>") == []


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "no XML"),
        ("<Response>", "no XML"),
        ("<html/>", "<html>"),
        ("<Response><Connect/></Response>", "without <Stream>"),
        ('<Response><Connect><Stream url="http://x"/></Connect></Response>', "http://x"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Response>&a;</Response>', "document type"),
        ("<Response>" + " " * 70_000 + "</Response>", "characters"),
    ],
)
def test_what_twilio_would_reject_is_rejected(document: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        twiml.parse(document)
