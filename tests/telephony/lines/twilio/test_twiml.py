"""The TwiML, parsed back."""

from xml.etree import ElementTree

from telephony.lines.twilio import twiml as webhook


def shape(twiml: str) -> list[tuple[str, dict[str, str], str | None]]:
    """Every element below <Response>, in order: tag, attributes, text."""
    root = ElementTree.fromstring(twiml)
    assert root.tag == "Response"
    return [(element.tag, dict(element.attrib), element.text) for element in root.iter() if element is not root]


def test_connect() -> None:
    twiml = webhook.connect(
        "wss://a.example/twilio/media", "https://a.example/twilio/after", {"token": "a-_=", "agent": 'A & "B" <c>'}
    )
    assert shape(twiml) == [
        ("Connect", {"action": "https://a.example/twilio/after", "method": "POST"}, None),
        ("Stream", {"url": "wss://a.example/twilio/media"}, None),
        ("Parameter", {"name": "token", "value": "a-_="}, None),
        ("Parameter", {"name": "agent", "value": 'A & "B" <c>'}, None),
    ]  # fmt: skip
    assert ElementTree.fromstring(twiml).find("Connect/Stream/Parameter") is not None


def test_busy_and_failed() -> None:
    assert shape(webhook.busy("All lines are taken <now>.")) == [
        ("Say", {"language": "en-US"}, "All lines are taken <now>."),
        ("Hangup", {}, None),
    ]
    assert shape(webhook.failed("Désolé.", language="fr-FR", voice="Polly.Lea")) == [
        ("Say", {"language": "fr-FR", "voice": "Polly.Lea"}, "Désolé."),
        ("Hangup", {}, None),
    ]


def test_dial() -> None:
    assert shape(webhook.dial("+15550100")) == [("Dial", {}, None), ("Number", {}, "+15550100")]
    for address in ("sip:desk@example.com", "SIPS:desk@example.com;transport=tls"):
        assert shape(webhook.dial(address)) == [("Dial", {}, None), ("Sip", {}, address)]


def test_hang_up() -> None:
    assert shape(webhook.hang_up()) == [("Hangup", {}, None)]


def test_reject() -> None:
    assert shape(webhook.reject("busy")) == [("Reject", {"reason": "busy"}, None)]
