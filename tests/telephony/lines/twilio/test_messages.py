"""The wire's messages, as Twilio's documentation shows them."""

import msgspec
import pytest

from telephony.lines.twilio import messages as events

SID = "MZ1"

inbound = msgspec.json.Decoder(events.Inbound, strict=False)
outbound = msgspec.json.Decoder(events.Outbound)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"event": "connected", "protocol": "Call", "version": "1.0.0"}', events.ConnectedMessage()),
        (
            '{"event": "start", "sequenceNumber": "1", "start": {"accountSid": "AC1", "streamSid": "MZ1", '
            '"callSid": "CA1", "tracks": ["inbound"], "mediaFormat": {"encoding": "audio/x-mulaw", '
            '"sampleRate": 8000, "channels": 1}, "customParameters": {"FirstName": "Jane"}}, "streamSid": "MZ1"}'
           ,
            events.StartMessage(
                SID, events.StartBody("CA1", SID, "AC1", ["inbound"], events.MediaFormat(), {"FirstName": "Jane"}), 1
            ),
        ),
        (
            '{"event": "media", "sequenceNumber": "4", "media": {"track": "inbound", "chunk": "2", '
            '"timestamp": "5", "payload": "no+J"}, "streamSid": "MZ1"}',
            events.MediaMessage(SID, events.MediaBody(b"\x9e\x8f\x89", 5, 2, "inbound"), 4),
        ),
        (
            '{"event": "dtmf", "streamSid": "MZ1", "sequenceNumber": "5", "dtmf": {"track": "inbound_track", '
            '"digit": "1"}}',
            events.DtmfMessage(SID, events.DtmfBody("1"), 5),
        ),
        (
            '{"event": "mark", "sequenceNumber": "4", "streamSid": "MZ1", "mark": {"name": "my label"}}',
            events.MarkMessage(SID, events.MarkBody("my label"), 4),
        ),
        (
            '{"event": "stop", "sequenceNumber": "5", "stop": {"accountSid": "AC1", "callSid": "CA1"}, '
            '"streamSid": "MZ1"}',
            events.StopMessage(SID, 5),
        ),
    ],
)  # fmt: skip
def test_what_twilio_sends(text: str, message: events.Inbound) -> None:
    assert inbound.decode(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"event": "media", "streamSid": "MZ1", "media": {"payload": "no+J"}}',
            events.SendMedia(SID, events.Payload(b"\x9e\x8f\x89")),
        ),
        (
            '{"event": "mark", "streamSid": "MZ1", "mark": {"name": "my label"}}',
            events.SendMark(SID, events.MarkBody("my label")),
        ),
        ('{"event": "clear", "streamSid": "MZ1"}', events.SendClear(SID)),
    ],
)
def test_what_twilio_takes(text: str, message: events.Outbound) -> None:
    assert outbound.decode(text) == message
    assert outbound.decode(msgspec.json.encode(message)) == message


@pytest.mark.parametrize("sid", ["CA123", "c-1.b_2", "a" * 64])
def test_sids(sid: str) -> None:
    assert msgspec.convert(sid, events.Sid) == sid


@pytest.mark.parametrize("sid", ["", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "é", "a" * 65])
def test_no_sids(sid: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(sid, events.Sid)
