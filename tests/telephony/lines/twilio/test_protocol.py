"""The protocol of one media stream: order, errors, and audio without holes."""

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.exceptions import MAX_REASON, CommandError, ProtocolError
from telephony.lines.stream.protocol import Audio, Dtmf, MarkPlayed, Started, Stopped
from telephony.lines.twilio.protocol import MediaStream

SID = "MZ" + "0" * 32
CALL = "CA" + "1" * 32
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
STOP = json.dumps({"event": "stop", "sequenceNumber": "9", "streamSid": SID, "stop": {"callSid": CALL}})


def start(media_format: Any = FORMAT, stream_sid: str = SID, inner_sid: str = SID, **body: Any) -> str:
    body = {
        "accountSid": "AC2",
        "streamSid": inner_sid,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": media_format,
        "customParameters": {"agent": "dental", "token": "t"},
    } | body
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": body, "streamSid": stream_sid})


def frame(n: int, timestamp: int | None = None, payload: bytes | None = None, **changes: Any) -> str:
    """The n-th frame, its payload filled with n; numbers as strings, as Twilio sends them."""
    media = {
        "track": "inbound",
        "chunk": str(n + 1),
        "timestamp": str(20 * n if timestamp is None else timestamp),
        "payload": base64.b64encode(body(n) if payload is None else payload).decode(),
    } | changes
    media = {name: value for name, value in media.items() if value is not None}
    return json.dumps({"event": "media", "sequenceNumber": str(n + 2), "media": media, "streamSid": SID})


def body(n: int) -> bytes:
    return bytes([n % 255]) * 160


def dtmf(digit: str = "5", sid: str = SID) -> str:
    return json.dumps({"event": "dtmf", "streamSid": sid, "dtmf": {"track": "inbound_track", "digit": digit}})


def mark(name: str = "m1", sid: str = SID) -> str:
    return json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": name}})


def started(**settings: int) -> MediaStream:
    stream = MediaStream(**settings)
    stream.receive(CONNECTED)
    stream.receive(start())
    return stream


def audio(stream: MediaStream, messages: list[str]) -> bytes:
    """All audio that the stream gives for the messages."""
    heard = [stream.receive(message) for message in messages]
    return b"".join(event.payload for event in heard if isinstance(event, Audio))


def refused(stream: MediaStream, message: str | bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        stream.receive(message)
    return caught.value


# ---- messages ----


def test_a_whole_stream() -> None:
    stream = MediaStream()
    assert stream.receive(CONNECTED) is None
    parameters = {"agent": "dental", "token": "t"}
    assert stream.receive(start()) == Started(CALL, SID, parameters)
    assert stream.receive(frame(0)) == Audio(body(0))
    assert stream.receive(dtmf("#")) == Dtmf("#")
    assert stream.receive(mark("done")) == MarkPlayed("done")
    assert stream.receive(STOP) == Stopped()
    assert stream.counters.messages == 6
    assert stream.counters.frames == 1
    assert stream.received == 160


def test_a_client_that_sends_numbers_and_only_what_matters() -> None:
    stream = MediaStream()
    message = {"event": "start", "streamSid": "s-1", "start": {"callSid": "c-1"}, "new": [{"field": 1}]}
    assert stream.receive(json.dumps(message)) == Started("c-1", "s-1", {})
    media = {"payload": "AAEC", "timestamp": 0}
    message = {"event": "media", "streamSid": "s-1", "media": media}
    assert stream.receive(json.dumps(message)) == Audio(b"\x00\x01\x02")


def test_what_is_sent() -> None:
    stream = started()
    payload = bytes(range(256))
    assert json.loads(stream.media(payload)) == {
        "event": "media",
        "streamSid": SID,
        "media": {"payload": base64.b64encode(payload).decode()},
    }
    assert json.loads(stream.mark('é "1"')) == {
        "event": "mark",
        "streamSid": SID,
        "mark": {"name": 'é "1"'},
    }
    assert json.loads(stream.clear()) == {"event": "clear", "streamSid": SID}


def test_nothing_can_be_sent_before_the_start() -> None:
    stream = MediaStream()
    stream.receive(CONNECTED)
    for command in (lambda: stream.media(b"\xff"), lambda: stream.mark("m"), stream.clear):
        with pytest.raises(CommandError):
            command()


def test_unknown_events_and_the_outbound_track_are_counted_and_ignored() -> None:
    stream = MediaStream()
    unknown = json.dumps({"event": "weather", "streamSid": "else"})
    assert stream.receive(unknown) is None
    stream.receive(start())
    assert stream.receive(unknown) is None
    assert stream.receive(frame(7, track="outbound")) is None
    assert stream.receive(frame(0)) == Audio(body(0))
    assert stream.counters.unknown == 2
    assert stream.counters.outbound == 1
    assert stream.counters.frames == 1
    assert stream.counters.gaps == 0


# ---- errors ----

BAD_START = {"encoding": "audio/L16", "sampleRate": 16000, "channels": 2}
NESTED = '{"event":"x","y":' + "[" * 20_000 + "]" * 20_000 + "}"


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("", 1007, "no Media Streams message"),
        ("hello", 1007, "no Media Streams message"),
        ("[]", 1007, "no Media Streams message"),
        ("{}", 1007, "`event`"),
        ('{"event": 5}', 1007, "`$.event`"),
        ('{"event": "media"', 1007, "truncated"),
        ('{"event": "\ud800"}', 1007, "no Media Streams message"),
        (NESTED, 1007, "nested too deeply"),
        ('{"x":' * 12_000, 1007, "nested too deeply"),
        (frame(0, payload=b""), 1007, "payload is empty"),
        (frame(0).replace('"payload": "', '"payload": "!'), 1007, "Invalid base64"),
        (frame(0).replace("payload", "load"), 1007, "`payload`"),
        (frame(0).replace("timestamp", "time"), 1007, "`timestamp`"),
        (frame(0, timestamp=-1), 1007, "timestamp"),
        (frame(0, timestamp=10**40), 1007, "timestamp"),
        (frame(0).replace('"timestamp": "0"', '"timestamp": "soon"'), 1007, "timestamp"),
        ('{"event": "media", "media": {"payload": "AA==", "timestamp": 0}}', 1007, "`streamSid`"),
        (dtmf("55"), 1007, "bad dtmf message"),
        (dtmf("x"), 1007, "bad dtmf message"),
        (frame(0).replace(SID, "MZother"), 1008, "media of another stream"),
        (dtmf(sid="MZother"), 1008, "dtmf of another stream"),
        (mark(sid="MZother"), 1008, "mark of another stream"),
        (STOP.replace(SID, "MZother"), 1008, "stop of another stream"),
        (CONNECTED, 1008, "connected after start"),
        (start(), 1008, "second start"),
        (b"\x00\x01", 1003, "binary"),
        (frame(0).encode(), 1003, "binary"),
    ],
)
def test_what_a_started_stream_refuses(message: str | bytes, code: int, reason: str) -> None:
    error = refused(started(), message)
    assert (error.code, reason in error.reason) == (code, True), error
    assert len(error.reason.encode()) <= MAX_REASON


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (start(media_format=BAD_START), 1003, "audio/L16, 16000 Hz, 2 ch"),
        (start(media_format={"encoding": "x" * 500}), 1003, "only audio/x-mulaw"),
        (start(inner_sid="MZother"), 1008, "two different streamSids"),
        (start(callSid="../../etc/passwd"), 1007, "bad start message"),
        (start(callSid="CA1\n"), 1007, "bad start message"),
        (start(callSid=None), 1007, "bad start message"),
        (start(stream_sid=""), 1007, "bad start message"),
        (start(customParameters={"a": 1}), 1007, "bad start message"),
        (frame(0), 1008, "media before start"),
        (dtmf(), 1008, "dtmf before start"),
        (mark(), 1008, "mark before start"),
        (STOP, 1008, "stop before start"),
        (CONNECTED, 1008, "second connected"),
    ],
)
def test_what_a_connected_stream_refuses(message: str, code: int, reason: str) -> None:
    stream = MediaStream()
    stream.receive(CONNECTED)
    error = refused(stream, message)
    assert (error.code, reason in error.reason) == (code, True), error
    assert len(error.reason.encode()) <= MAX_REASON
    assert isinstance(stream.receive(start()), Started)  # a refused message changes nothing


@pytest.mark.parametrize("message", [CONNECTED, start(), frame(0), dtmf(), mark(), STOP])
def test_nothing_comes_after_stop(message: str) -> None:
    stream = started()
    stream.receive(STOP)
    error = refused(stream, message)
    assert error.code == 1008
    assert error.reason.endswith("after stop")


def test_a_message_may_have_64_kib_and_no_more() -> None:
    def padded(length: int, letter: str) -> str:
        message = json.dumps({"event": "weather", "pad": "@"}, ensure_ascii=False)
        return message.replace("@", letter * ((length - len(message.encode()) + 1) // len(letter.encode())))

    for letter in "aé":
        stream = started()
        largest = padded(65536, letter)
        assert len(largest.encode()) in (65535, 65536)
        assert stream.receive(largest) is None
        assert refused(stream, padded(65538, letter)).code == 1009
    assert started(max_message_bytes=400).receive(frame(0)) == Audio(body(0))
    assert refused(started(max_message_bytes=400), frame(0, payload=bytes(300))).code == 1009


# ---- audio ----


def test_gaps_are_filled_with_silence_before_the_next_frame() -> None:
    stream = started()
    assert stream.receive(frame(0)) == Audio(body(0))
    assert stream.receive(frame(3)) == Audio(b"\xff" * 320 + body(3), gap_ms=40)
    assert stream.receive(frame(4)) == Audio(body(4))
    assert (stream.counters.gaps, stream.counters.gap_ms) == (1, 40)
    assert (stream.counters.frames, stream.received) == (3, 480 + 320)


def test_a_long_gap_is_filled_in_part_and_sets_the_clock_anew() -> None:
    stream = started(max_gap_ms=100)
    heard = audio(stream, [frame(0), frame(1, timestamp=3_600_000), frame(2, timestamp=3_600_020)])
    assert heard == body(0) + b"\xff" * 800 + body(1) + body(2)
    assert (stream.counters.gaps, stream.counters.gap_ms) == (1, 100)


def test_the_first_timestamp_is_the_origin() -> None:
    stream = started()
    assert audio(stream, [frame(0, timestamp=91_234), frame(1, timestamp=91_254)]) == body(0) + body(1)
    assert stream.counters.gaps == 0


def test_duplicates_and_late_frames_are_dropped() -> None:
    stream = started()
    heard = audio(stream, [frame(0), frame(0), frame(1), frame(3), frame(2), frame(0), frame(4)])
    assert heard == body(0) + body(1) + b"\xff" * 160 + body(3) + body(4)
    counters = stream.counters
    assert (counters.duplicates, counters.late, counters.gaps, counters.frames) == (1, 2, 1, 4)


def test_duplicates_are_known_by_their_timestamp_where_nothing_is_numbered() -> None:
    def bare(n: int) -> str:
        return frame(n, chunk=None).replace(f'"sequenceNumber": "{n + 2}", ', "")

    assert "sequenceNumber" not in bare(0)
    stream = started()
    assert audio(stream, [bare(0), bare(0), bare(1), bare(0), bare(2)]) == body(0) + body(1) + body(2)
    assert (stream.counters.duplicates, stream.counters.late) == (1, 1)


def test_a_sender_that_sets_its_clock_anew_is_heard_on() -> None:
    stream = started()
    messages = [frame(0, timestamp=60_000), frame(1, timestamp=0), frame(2, timestamp=20), frame(4, timestamp=60)]
    assert audio(stream, messages) == body(0) + body(1) + body(2) + b"\xff" * 160 + body(4)


@pytest.mark.parametrize("changes", [{}, {"chunk": None}])  # then sequenceNumber tells
def test_frames_of_a_stalled_sender_with_one_timestamp_are_all_heard(changes: dict[str, Any]) -> None:
    stream = started()
    messages = [frame(n, timestamp=0, **changes) for n in range(50)]
    assert audio(stream, messages) == b"".join(body(n) for n in range(50))


def test_jitter_below_a_frame_neither_adds_nor_takes_audio_for_an_hour() -> None:
    stream, shake = started(), random.Random(1)
    before = '{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
    after = frame(0)[frame(0).index('"payload"') :]
    count = 3600 * 50
    for n in range(count):
        event = stream.receive(before % (n + 2, n + 1, 20 * n + shake.randint(0, 19)) + after)
        assert isinstance(event, Audio)
        assert len(event.payload) == 160
    counters = stream.counters
    assert (counters.frames, counters.gaps, counters.duplicates, counters.late) == (count, 0, 0, 0)


@pytest.mark.parametrize("drift_ppm", [-200, 200])
def test_a_clock_that_drifts_hides_no_gap(drift_ppm: int) -> None:
    stream = started()

    def stamp(n: int) -> int:
        return round(20 * n * (1 + drift_ppm / 1e6))

    count = 60_000  # 20 minutes, in which the clocks part by 240 ms
    for n in range(count):
        assert isinstance(stream.receive(frame(n, timestamp=stamp(n))), Audio)
    assert stream.counters.gap_ms <= 260
    before = stream.counters.gap_ms
    stream.receive(frame(count + 5, timestamp=stamp(count + 5)))
    assert stream.counters.gap_ms - before == pytest.approx(100, abs=21)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=30), st.integers(0, 10**9))
def test_payloads_of_any_size_make_up_the_audio(sizes: list[int], origin: int) -> None:
    stream, messages, sent, place = started(), [], b"", 0
    for n, size in enumerate(sizes):
        payload = bytes([n]) * size
        messages.append(frame(n, timestamp=origin + place // 8, payload=payload))
        sent += payload
        place += size
    assert audio(stream, messages) == sent
    assert stream.counters.gaps == 0


@given(
    kept=st.lists(st.booleans(), min_size=1, max_size=60),
    jitter=st.lists(st.integers(0, 9), min_size=60, max_size=60),
    origin=st.integers(0, 100_000),
)
def test_audio_out_is_audio_in_and_silence_where_it_is_missing(
    kept: list[bool], jitter: list[int], origin: int
) -> None:
    stream = started()
    present = [n for n, keep in enumerate(kept) if keep]
    heard = audio(stream, [frame(n, timestamp=origin + 20 * n + jitter[n]) for n in present])
    counters = stream.counters
    assert (counters.late, counters.duplicates, counters.frames) == (0, 0, len(present))
    assert len(heard) == stream.received
    assert heard.replace(b"\xff", b"") == b"".join(body(n) for n in present)
    if present:  # the audio is as long as its time, but for one frame and the jitter
        assert abs(len(heard) - 160 * (present[-1] - present[0] + 1)) < 160 + 80


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_in_any_order_no_frame_is_heard_twice_or_out_of_place(order: list[int]) -> None:
    stream = started()
    heard = audio(stream, [frame(n) for n in order])
    first, highest = order[0], max(order)
    expected, last = b"", first - 1
    for n in order:  # only frames that go forward are heard, each after the silence that is missing
        if n > last:
            expected += b"\xff" * 160 * (n - last - 1) + body(n)
            last = n
    assert heard == expected
    assert len(heard) == 160 * (highest - first + 1)
    counters = stream.counters
    assert counters.frames + counters.duplicates + counters.late == len(order)


# ---- anything at all ----

_fields = st.sampled_from(["event", "streamSid", "media", "start", "dtmf", "mark", "payload", "timestamp", "chunk"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_fields | st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
_event = st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "clear", "x", None, 3])
_messages = st.one_of(
    st.sampled_from([CONNECTED, start(), STOP, dtmf(), mark(), mark(sid="MZother"), start(media_format=BAD_START)]),
    st.builds(frame, st.integers(0, 20), st.none() | st.integers(-50, 10**7), st.binary(max_size=400)),
    st.builds(lambda n, at, new: frame(n)[:at] + new + frame(n)[at + 1 :],
              st.integers(0, 20), st.integers(0, 150), st.text(max_size=2)),
    st.builds(lambda event, rest: json.dumps({"streamSid": SID} | rest | {"event": event}), _event,
              st.dictionaries(_fields, _json, max_size=4)),
    _json.map(json.dumps),
    st.text(max_size=40),
    st.binary(max_size=40),
)  # fmt: skip


@given(st.lists(_messages, max_size=30))
def test_whatever_comes_only_protocol_errors_are_raised(messages: list[str | bytes]) -> None:
    stream, begun, over = MediaStream(), False, False
    for message in messages:
        try:
            event = stream.receive(message)
        except ProtocolError as error:
            assert error.code in (1003, 1007, 1008, 1009)
            assert 0 < len(error.reason.encode()) <= MAX_REASON
            continue
        assert not over or event is None
        if isinstance(event, Started):
            assert not begun
            begun = True
        elif event is not None:
            assert begun
        if isinstance(event, Audio):
            assert len(event.payload) <= 5000 * 8 + 65536
        over = over or isinstance(event, Stopped)
    assert stream.counters.messages == len(messages)
