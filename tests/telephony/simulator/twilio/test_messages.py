"""The messages, as Twilio writes them."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.simulator.twilio import messages
from telephony.simulator.twilio.messages import Clear, Mark, Media, StreamMessages, new_sid


def make() -> StreamMessages:
    return StreamMessages(call_sid=new_sid("CA"), account_sid=new_sid("AC"))


def test_sids_are_valid() -> None:
    out = make()
    for sid, prefix in ((out.stream_sid, "MZ"), (out.call_sid, "CA"), (out.account_sid, "AC")):
        assert re.fullmatch(prefix + "[0-9a-f]{32}", sid)
    assert make().stream_sid != out.stream_sid


def test_every_message_has_twilios_shape() -> None:
    out = make()
    sid, call, account = out.stream_sid, out.call_sid, out.account_sid
    audio = b"\xff" * 160
    payload = base64.b64encode(audio)
    made = [
        out.connected(),
        out.start({"token": 'a"b'}),
        out.media(audio, 0),
        out.media(audio, 20),
        out.dtmf("#"),
        out.mark('say "hi"'),
        out.stop(),
    ]
    expected: list[dict[str, Any]] = [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "start": {
                "accountSid": account,
                "streamSid": sid,
                "callSid": call,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": 'a"b'},
            },
        },
        {"event": "media", "media": {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": payload.decode()}},
        {"event": "media", "media": {"track": "inbound", "chunk": "2", "timestamp": "20", "payload": payload.decode()}},
        {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "#"}},
        {"event": "mark", "mark": {"name": 'say "hi"'}},
        {"event": "stop", "stop": {"accountSid": account, "callSid": call}},
    ]
    for number, message in enumerate(expected[1:], 1):
        message |= {"sequenceNumber": str(number), "streamSid": sid}
    assert [json.loads(message) for message in made] == expected


def test_what_an_agent_sends_is_read() -> None:
    payload = base64.b64encode(b"abc").decode()
    media = {"event": "media", "streamSid": "MZ1", "media": {"payload": payload, "track": "ignored"}}
    parsed = messages.parse(json.dumps(media).encode())
    assert isinstance(parsed, Media)
    assert (parsed.media.payload, parsed.stream_sid) == (b"abc", "MZ1")
    parsed = messages.parse(b'{"event":"mark","streamSid":"MZ1","mark":{"name":"x"}}')
    assert isinstance(parsed, Mark)
    assert parsed.mark.name == "x"
    assert isinstance(messages.parse(b'{"event":"clear","streamSid":"MZ1"}'), Clear)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b'{"event":"dance","streamSid":"MZ1"}',
        b'{"event":"clear"}',
        b'{"event":"media","streamSid":"MZ1","media":{}}',
        b'{"event":"media","streamSid":"MZ1","media":{"payload":"?"}}',
        b'{"event":"mark","streamSid":"MZ1","mark":{"name":3}}',
    ],
)
def test_what_twilio_would_reject_is_rejected(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        messages.parse(message)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected(message: bytes) -> None:
    try:
        messages.parse(message)
    except ValueError:
        return
