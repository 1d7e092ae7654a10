"""One call's media: accepted sources, what is sent every 20 ms, keys, hold, reports, encryption."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audio.rate import NARROW, WIDE
from telephony.lines.exceptions import CommandError
from telephony.lines.rtp import packet, rtcp
from telephony.lines.rtp.codec import OPUS, PCMA, PCMU
from telephony.lines.rtp.media import Media
from telephony.lines.rtp.opus import Opus
from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.parameters import Parameters, SocketAddress
from telephony.lines.rtp.srtp import SUITES, available, make_crypto
from tests.debian import needs
from tests.telephony.lines.rtp.speech import hiss, likest, packets, share, voice

PEER: SocketAddress = ("198.51.100.7", 20_000)
AGREED = Parameters(
    remote=PEER,
    control=("198.51.100.7", 20_001),
    codecs={0: PCMU, 8: PCMA},
    event_type=101,
    events={101: 8000},
)
TONE = (6000 * np.sin(np.arange(160) * 2 * np.pi / 16)).astype("<i2").tobytes()
LOUD = PCMU.encode(TONE)


class Talker:
    """What the call gives to send: the frames that were put in, then silence."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.asked = 0

    def __call__(self) -> bytes | None:
        self.asked += 1
        return self.frames.pop(0) if self.frames else None


def media(parameters: Parameters = AGREED, *, nat: bool = False, seed: int = 1) -> tuple[Media, Talker]:
    talker = Talker()
    return Media(parameters, talker, 0.0, nat=nat, random=random.Random(seed)), talker


def audio(number: int, *, kind: int = 0, ssrc: int = 9, payload: bytes = LOUD) -> bytes:
    return packet.encode(Packet(kind, number & 0xFFFF, number * 160, ssrc, payload))


def key(number: int, digit: int, *, timestamp: int = 5000, end: bool = False) -> bytes:
    payload = bytes([digit, 0x8A if end else 0x0A, 0, 160])
    return packet.encode(Packet(101, number, timestamp, 9, payload))


def ticks(one: Media, count: int, start_ms: float = 0) -> list[Packet]:
    sent = [one.tick(start_ms + 20 * n) for n in range(count)]
    return [packet.parse(data) for data in sent if data is not None]


# Out


def test_a_constant_clock_sends_silence_where_there_is_nothing_to_say_and_marks_each_talkspurt() -> None:
    one, talker = media()
    silent = ticks(one, 3)
    talker.frames = 2 * [TONE]
    talking = ticks(one, 4)
    talker.frames = [TONE]
    again = ticks(one, 2)
    sent = silent + talking + again
    assert [p.marker for p in sent] == [True, False, False, True, False, False, False, True, False]
    assert [p.payload == LOUD for p in sent] == [False, False, False, True, True, False, False, True, False]
    assert {p.payload for p in silent} == {PCMU.silence}
    assert {(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(sent)} == {1}
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(sent)} == {160}
    assert {p.payload_type for p in sent} == {0}
    assert one.counters.sent == 9


def test_numbers_begin_at_random_and_the_sequence_far_from_its_wrap() -> None:
    firsts = [ticks(media(seed=seed)[0], 1)[0] for seed in range(20)]
    assert len({p.ssrc for p in firsts}) == len({p.timestamp for p in firsts}) == 20
    assert max(p.sequence for p in firsts) < 0x8000
    assert len({p.sequence for p in firsts}) > 15


def test_the_first_codec_is_sent() -> None:
    one, talker = media(replace(AGREED, codecs={8: PCMA, 0: PCMU}))
    talker.frames = [TONE]
    spoken, silent = ticks(one, 2)
    assert (spoken.payload_type, spoken.payload) == (8, PCMA.encode(TONE))
    assert silent.payload == PCMA.silence


def test_keys_go_out_in_place_of_audio_which_waits() -> None:
    one, talker = media()
    ticks(one, 2)
    talker.frames = 20 * [TONE]
    one.press("7")
    sent = ticks(one, 14)
    assert [p.payload_type for p in sent] == 10 * [101] + 4 * [0]
    assert [p.marker for p in sent] == [True] + 9 * [False] + [True] + 3 * [False]
    assert len({p.timestamp for p in sent[:10]}) == 1
    assert sent[10].timestamp - sent[0].timestamp == 1600
    assert [p.sequence for p in sent] == list(range(sent[0].sequence, sent[0].sequence + 14))
    assert len(talker.frames) == 16  # nothing was lost meanwhile


def test_keys_are_on_their_way_until_the_gap_after_the_last_is_over_or_the_peer_takes_no_more() -> None:
    one, _ = media()
    one.press("7w")
    ticks(one, 12 + 24)
    assert one.pressing
    ticks(one, 1)
    assert not one.pressing
    one.press("88")
    sent = [p.payload_type for p in ticks(one, 5)]
    one.update(replace(AGREED, event_type=None), 0)
    assert not one.pressing
    one.update(AGREED, 0)
    assert sent == 5 * [101]
    assert [p.payload_type for p in ticks(one, 20)] == 20 * [0]


def test_keys_that_the_peer_does_not_take_are_refused() -> None:
    one, _ = media(replace(AGREED, event_type=None))
    with pytest.raises(CommandError, match="telephone-event"):
        one.press("1")


@pytest.mark.parametrize("parameters", [replace(AGREED, sends=False), replace(AGREED, remote=None)])
def test_while_held_nothing_is_sent_nothing_asked_for_and_the_clock_runs_on(parameters: Parameters) -> None:
    one, talker = media()
    before = ticks(one, 1)[0]
    one.update(parameters, 20)
    asked = talker.asked
    assert ticks(one, 10) == []
    assert talker.asked == asked
    one.update(AGREED, 220)
    after = ticks(one, 1)[0]
    assert (after.sequence, after.timestamp) == (
        before.sequence + 1 & 0xFFFF,
        before.timestamp + 11 * 160 & 0xFFFFFFFF,
    )
    assert after.marker


# In


def test_audio_comes_out_20_ms_at_a_time() -> None:
    one, _ = media()
    heard = b""
    for n in range(50):
        one.receive(audio(n), PEER, 20.0 * n)
        heard += one.hear(20.0 * n + 5)
    assert heard.lstrip(b"\0")[: 40 * 320] == (PCMU.decode(LOUD) * 50).lstrip(b"\0")[: 40 * 320]


def test_the_peer_may_change_among_the_agreed_codecs() -> None:
    one, _ = media()
    one.receive(audio(0), PEER, 0)
    one.receive(audio(1, kind=8, payload=PCMA.encode(TONE)), PEER, 20)
    heard = [np.frombuffer(one.hear(20.0 * n), "<i2").astype(int) for n in range(6)]
    loud = [frame for frame in heard if np.abs(frame).max() > 5000]
    assert len(loud) >= 2
    assert np.abs(loud[1] - np.frombuffer(TONE, "<i2")).max() < 400


def test_a_valid_packet_of_the_agreed_ip_is_heard_and_followed_and_an_injector_is_ignored_and_counted() -> None:
    one, _ = media()
    behind_nat = (PEER[0], 54_321)
    assert one.remote == PEER
    one.receive(b"garbage", behind_nat, 0)
    one.receive(audio(0, kind=96), behind_nat, 0)
    assert one.remote == PEER  # neither was valid
    one.receive(audio(0), ("203.0.113.66", 20_000), 0)
    assert (one.remote, one.counters.foreign) == (PEER, 1)
    one.receive(audio(0), behind_nat, 0)
    assert one.remote == behind_nat
    for n in range(1, 20):
        one.receive(audio(n), behind_nat, 20.0 * n)
        one.receive(audio(n), ("203.0.113.66", 54_321), 20.0 * n)
    assert (one.remote, one.counters.foreign, one.counters.received) == (behind_nat, 20, 20)
    assert (one.counters.malformed, one.counters.unexpected) == (1, 1)


@pytest.mark.parametrize("goes_on", [PEER, (PEER[0], 54_321)])
def test_a_few_packets_from_elsewhere_sent_first_leave_nobody_mute(goes_on: SocketAddress) -> None:
    one, _ = media()
    for n in range(3):
        one.receive(audio(n, ssrc=66), (PEER[0], 7), 0)
    heard = []
    for n in range(60):
        one.receive(audio(n), goes_on, 20.0 * n)
        heard.append(one.hear(20.0 * n + 10))
    assert one.remote == goes_on
    assert one.counters.received >= 3 + 60 - 5
    assert all(np.frombuffer(frame, "<i2").any() for frame in heard[20:])
    before = one.counters.foreign
    one.receive(audio(61, ssrc=66), (PEER[0], 7), 1200)
    assert (one.remote, one.counters.foreign) == (goes_on, before + 1)


def test_behind_nat_any_ip_may_be_the_peers() -> None:
    one, _ = media(replace(AGREED, remote=("192.168.1.20", 4000)), nat=True)
    for n in range(60):
        one.receive(audio(n), PEER, 20.0 * n)
    one.receive(audio(1), ("203.0.113.66", 4000), 1200)
    assert (one.remote, one.counters.foreign) == (PEER, 1)


@pytest.mark.parametrize(
    ("agreed", "source"),
    [("198.51.100.7", "::ffff:198.51.100.7"), ("2001:DB8:0:0::1", "2001:db8::1"), ("fe80::1", "fe80::1%eth0")],
)
def test_an_ip_may_be_written_differently(agreed: str, source: str) -> None:
    one, _ = media(replace(AGREED, remote=(agreed, 4000)))
    one.receive(audio(0), (source, 4000), 0)
    assert one.counters.received == 1


def test_the_source_is_locked_anew_only_when_told() -> None:
    one, _ = media()
    one.receive(audio(0), PEER, 0)
    moved, other = ("198.51.100.9", 30_000), replace(AGREED, remote=("198.51.100.9", 30_000))
    one.receive(audio(1), moved, 20)
    one.update(AGREED, 30)  # a refresh names the same address
    one.update(replace(AGREED, remote=None, sends=False), 40)  # and so does what follows a hold
    one.update(AGREED, 50)
    one.receive(audio(1), (PEER[0], 7), 60)
    assert (one.remote, one.counters.foreign) == (PEER, 2)
    one.update(other, 70)
    assert one.remote == moved
    one.receive(audio(2), PEER, 80)
    one.receive(audio(2), moved, 80)
    assert (one.remote, one.counters.foreign) == (moved, 3)
    one.relatch()
    one.receive(audio(3), ("198.51.100.9", 31_000), 100)
    assert one.remote == ("198.51.100.9", 31_000)


def test_a_new_ssrc_of_the_peer_is_heard() -> None:
    one, _ = media()
    for n in range(10):
        one.receive(audio(n), PEER, 20.0 * n)
        one.hear(20.0 * n)
    for n in range(10):
        one.receive(audio(500 + n, ssrc=10), PEER, 200 + 20.0 * n)
    heard = [one.hear(200 + 20.0 * n) for n in range(12)]
    assert sum(np.abs(np.frombuffer(frame, "<i2")).max() > 5000 for frame in heard) >= 12


def test_keys_come_in_once_each_and_again_after_a_new_stream() -> None:
    one, _ = media()
    one.receive(audio(0), PEER, 0)
    got = [one.receive(key(n + 1, 5, end=n > 3), PEER, 20.0 * n) for n in range(7)]
    assert got == ["5"] + 6 * [None]
    assert one.receive(key(1, 5), PEER, 200) is None  # a copy that the network made
    fresh = Packet(101, 7, 5000, 10, bytes([11, 10, 0, 160]))
    assert one.receive(packet.encode(fresh), PEER, 220) == "#"


def test_keys_may_be_a_stream_of_their_own_beside_the_audio() -> None:
    one, _ = media()
    got, heard = "", b""
    for n in range(20):
        one.receive(audio(n), PEER, 20.0 * n)
        event = Packet(101, 700 + n, 5000, 77, bytes([3, 10, 0, 160]))
        got += one.receive(packet.encode(event), PEER, 20.0 * n) or ""
        heard += one.hear(20.0 * n)
    assert got == "3"
    assert PCMU.decode(LOUD) * 15 in heard
    assert one.jitter.reception.streams == 1


def test_comfort_noise_is_silence_and_a_sign_of_life() -> None:
    one, _ = media()
    one.receive(audio(0, kind=13, payload=b"\x30"), PEER, 900)
    assert one.hear(900) == bytes(320)
    assert one.silent_ms(1000) == 100
    assert one.counters.unexpected == 0


def test_silence_is_timed_from_the_last_packet_or_agreement() -> None:
    one, _ = media()
    assert one.silent_ms(5000) == 5000
    one.receive(audio(0), PEER, 6000)
    one.receive(audio(1), ("203.0.113.66", 1), 7000)
    assert one.silent_ms(8000) == 2000
    one.update(AGREED, 60_000)
    assert one.silent_ms(61_000) == 1000


@pytest.mark.parametrize(("receives", "sends"), [(False, True), (True, False), (False, False)])
def test_who_has_put_the_call_on_hold_is_silent_by_right(receives: bool, sends: bool) -> None:
    one, _ = media()
    assert not one.silent_by_right
    one.update(replace(AGREED, receives=receives, sends=sends), 8000)
    assert one.silent_by_right
    one.update(AGREED, 9000)
    assert not one.silent_by_right


def test_who_has_sent_comfort_noise_is_silent_by_right_until_the_next_audio() -> None:
    one, _ = media()
    one.receive(audio(0), PEER, 0)
    assert not one.silent_by_right
    one.receive(audio(1, kind=13, payload=b"\x30"), PEER, 20)
    one.receive(key(2, 5), PEER, 40)
    assert one.silent_by_right
    one.receive(audio(3), PEER, 60)
    assert not one.silent_by_right


# Reports


def test_reports_tell_of_both_directions() -> None:
    one, talker = media()
    talker.frames = 100 * [TONE]
    reports = []
    for n in range(500):
        now = 20.0 * n
        if n % 10 != 5:
            one.receive(audio(n), PEER, now)
        one.hear(now)
        one.tick(now)
        if (data := one.report(now)) is not None:
            reports.append(rtcp.parse(data)[0])
    assert 2 <= len(reports) <= 5
    last = reports[-1]
    assert isinstance(last, rtcp.RtcpReport)
    assert last.ssrc == one.rtcp.ssrc
    assert last.octets == 160 * last.packets
    assert last.blocks[0].ssrc == 9
    assert last.blocks[0].fraction_lost == pytest.approx(25, abs=3)
    assert one.remote_control == ("198.51.100.7", 20_001)
    assert isinstance(rtcp.parse(one.goodbye(10_000))[-1], rtcp.Goodbye)


def test_a_report_of_the_time_between_two_ticks_has_the_timestamp_of_then() -> None:
    one, _ = media()
    first = ticks(one, 1)[0]
    one.rtcp.due(0)
    data = one.goodbye(10)
    report = rtcp.parse(data)[0]
    assert isinstance(report, rtcp.RtcpReport)
    assert report.timestamp - first.timestamp & 0xFFFFFFFF == 80


def test_reports_are_taken_from_the_peer_alone_and_answered_where_they_come_from() -> None:
    one, _ = media()
    report = rtcp.build(rtcp.RtcpReport(9, (rtcp.Block(one.rtcp.ssrc, 128, 5, 1, 40),)))
    one.receive_control(report, ("203.0.113.66", 5), 0)
    assert (one.counters.foreign, one.rtcp.remote_loss) == (1, 0)
    one.receive_control(b"junk", (PEER[0], 6), 0)
    assert one.remote_control == AGREED.control
    one.receive_control(report, (PEER[0], 7777), 0)
    assert one.rtcp.remote_loss == 0.5
    assert one.remote_control == (PEER[0], 7777)
    assert AGREED.control
    for source in (AGREED.control, (PEER[0], 8888)):  # where it was agreed on wins
        one.receive_control(report, source, 0)
        assert one.remote_control == AGREED.control


STUN = bytes.fromhex("000100002112a442") + bytes(12)


def test_stun_and_its_like_are_no_damage_on_either_port_nor_do_they_lock_it() -> None:
    """linphone asks for its address on both, 10 to 17 times a call, and goes on without an answer."""
    one, _ = media()
    behind_nat = (PEER[0], 54_321)
    for data in (STUN, b"\x16\xfe\xfd" + bytes(20), b"\x10\0\x50\x5a" + bytes(24), b"", b"\r\n"):
        one.receive(data, behind_nat, 0)
        one.receive_control(data, behind_nat, 0)
    assert (one.counters.other, one.counters.malformed) == (10, 0)
    assert (one.remote, one.remote_control) == (PEER, AGREED.control)


@pytest.mark.parametrize("ms", [80, 100, 200])
def test_g711_in_long_packets_is_heard_whole(ms: int) -> None:
    one, _ = media()
    coded = PCMU.encode(voice(3, 8000))
    out = b""
    for n in range(len(coded) // (8 * ms)):
        data = packet.encode(Packet(0, n, 8 * ms * n, 9, coded[8 * ms * n : 8 * ms * (n + 1)]))
        one.receive(data, PEER, ms * n)
        out += b"".join(one.hear(float(ms * n + 20 * k)) for k in range(ms // 20))
    assert PCMU.decode(coded)[: len(out) - 2 * 8 * 100] in out
    assert (one.counters.malformed, one.jitter.counters.damaged, one.jitter.counters.concealed_ms) == (0, 0, 0)


def test_reports_may_share_the_port() -> None:
    one, _ = media(replace(AGREED, mux=True))
    one.receive(rtcp.build(rtcp.RtcpReport(9), rtcp.Goodbye((9,))), PEER, 100)
    assert one.rtcp.peer_left
    assert one.counters.malformed == 0
    one.receive(audio(0), (PEER[0], 999), 100)
    assert one.remote_control == one.remote == (PEER[0], 999)


# Encrypted


def secure() -> tuple[Media, Talker, Media, Talker]:
    if not available():
        pytest.skip("pylibsrtp is not installed")
    ann, bob = make_crypto(1, SUITES[0]), make_crypto(1, SUITES[0])
    one = media(replace(AGREED, local_key=ann, remote_key=bob, mux=True))
    other = media(replace(AGREED, local_key=bob, remote_key=ann, mux=True), seed=2)
    return *one, *other


def test_encrypted_both_ways_with_reports_and_keys() -> None:
    ann, ann_talks, bob, _ = secure()
    ann_talks.frames = 40 * [TONE]
    heard = b""
    ann.press("4")
    keys = ""
    for n in range(40):
        now = 20.0 * n
        for sender, taker in ((ann, bob), (bob, ann)):
            data = sender.tick(now)
            assert data is not None
            keys += taker.receive(data, PEER, now) or ""
        heard += bob.hear(now)
    bob.receive(ann.goodbye(800), PEER, 800)
    assert keys == "4"
    assert PCMU.decode(LOUD) * 20 in heard
    assert bob.rtcp.peer_left
    assert (ann.counters.received, bob.counters.received) == (40, 40)


def test_forged_and_replayed_packets_neither_lock_nor_count_as_life() -> None:
    ann, _, bob, _ = secure()
    bob.receive(audio(0), (PEER[0], 666), 50)
    assert bob.srtp is not None
    assert (bob.srtp.forged, bob.counters.received) == (1, 0)
    data = ann.tick(0)
    assert data is not None
    bob.receive(data, PEER, 100)
    bob.receive(data, PEER, 200)
    assert bob.srtp.replayed == 1
    assert (bob.remote, bob.silent_ms(300)) == (PEER, 200)


def test_a_new_key_of_ours_begins_a_new_stream() -> None:
    ann, _, bob, _ = secure()
    first = ann.rtcp.ssrc
    fresh = make_crypto(1, SUITES[0])
    ann.update(replace(ann._parameters, local_key=fresh), 0)
    bob.update(replace(bob._parameters, remote_key=fresh), 0)
    data = ann.tick(0)
    assert data is not None
    bob.receive(data, PEER, 0)
    assert bob.counters.received == 1
    assert ann.rtcp.ssrc != first


@given(st.lists(st.binary(max_size=80), max_size=20), st.booleans())
@settings(deadline=None, max_examples=60)
def test_any_datagrams_leave_the_call_alive(datagrams: list[bytes], mux: bool) -> None:
    one, _ = media(replace(AGREED, mux=mux))
    for n, data in enumerate(datagrams):
        for prefix in (b"", b"\x80\0", b"\x80\x65", b"\x80\x08\0\1", b"\x80\xc8", b"\xb1\x0d"):
            one.receive(prefix + data, PEER, 20.0 * n)
            one.receive_control(prefix + data, PEER, 20.0 * n)
        assert len(one.hear(20.0 * n)) == 320
        assert one.tick(20.0 * n) is not None
    one.goodbye(1000)


# Wide-band


needs_opus = needs("libopus0")
WIDE_BAND = Parameters(
    remote=PEER,
    control=("198.51.100.7", 20_001),
    codecs={96: OPUS, 0: PCMU},
    event_type=97,
    events={97: 48_000, 101: 8000},
    wishes={96: "useinbandfec=1"},
)
PLAIN = replace(WIDE_BAND, codecs={0: PCMU, 96: OPUS}, event_type=101)


def talk(sender: Media, talker: Talker, taker: Media, pcm: bytes, begin_ms: float = 0) -> bytes:
    """What `taker` hears of `pcm`."""
    size, heard = 2 * sender.rate.frame, b""
    talker.frames = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    for n in range(len(talker.frames) + 10):
        data = sender.tick(begin_ms + 20 * n)
        assert data is not None
        taker.receive(data, PEER, begin_ms + 20 * n)
        heard += taker.hear(begin_ms + 20 * n + 5)
    return heard


@needs_opus
def test_opus_first_makes_the_line_wide_and_its_clock_counts_48_khz() -> None:
    one, talker = media(WIDE_BAND)
    assert one.rate is WIDE
    talker.frames = []
    silent = ticks(one, 3)
    talker.frames = [voice(0.1)[at : at + 640] for at in range(0, 3200, 640)]
    talking = ticks(one, 5)
    sent = silent + talking
    assert {p.payload_type for p in sent} == {96}
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(sent)} == {960}
    assert [p.marker for p in sent] == [True, False, False, True, False, False, False, False]
    coder = Opus(WIDE)
    assert {coder.count(p.payload) for p in sent} == {320}
    assert max(len(p.payload) for p in silent) < min(len(p.payload) for p in talking[1:])
    assert len(one.hear(0)) == 640
    report = rtcp.parse(one.goodbye(90))[0]  # 10 ms after the last
    assert isinstance(report, rtcp.RtcpReport)
    assert report.timestamp - sent[-1].timestamp & 0xFFFFFFFF == 480
    assert report.octets == sum(len(p.payload) for p in sent)


@needs_opus
def test_what_lies_above_4_khz_is_heard_and_losses_are_made_up_for() -> None:
    (ann, talks), (bob, _) = media(WIDE_BAND), media(WIDE_BAND, seed=2)
    heard = talk(ann, talks, bob, hiss(1))
    assert share(heard[3200:32_000], 5000, 7000) > 0.9
    assert bob.jitter.counters.concealed_ms == 0


@needs_opus
def test_an_offer_that_prefers_g711_makes_a_narrow_line_which_opus_may_join() -> None:
    (ann, talks), (bob, _) = media(PLAIN), media(PLAIN, seed=2)
    assert ann.rate is NARROW
    assert likest(voice(1, 8000), talk(ann, talks, bob, voice(1, 8000)))[0] > 0.95
    ann.update(WIDE_BAND, 2000)
    heard = talk(ann, talks, bob, voice(1, 8000), 2000)  # the other side has to take it at once
    assert {len(bob.hear(0)), len(heard) // 60} == {320}
    assert likest(voice(1, 8000), heard)[0] > 0.75


@needs_opus
def test_a_line_stays_as_wide_as_it_was_through_other_codecs() -> None:
    """A PBX goes from Opus to G.711 and back: each change of the clock begins a new stream."""
    (ann, talks), (bob, _) = media(WIDE_BAND), media(WIDE_BAND, seed=2)
    streams, begin_ms = [], 0.0
    for agreed in (WIDE_BAND, PLAIN, WIDE_BAND, replace(PLAIN, codecs={8: PCMA, 96: OPUS, 0: PCMU})):
        for side in (ann, bob):
            side.update(agreed, begin_ms)
            assert side.rate is WIDE
        heard = talk(ann, talks, bob, voice(1), begin_ms)
        streams.append(ann.rtcp.ssrc)
        begin_ms += 20 * 60
        assert likest(voice(1), heard)[0] > 0.75
    assert len(set(streams)) == 4
    assert bob.jitter.counters.concealed_ms == bob.counters.unexpected == 0
    assert bob.jitter.reception.streams == 4


@needs_opus
def test_a_hold_keeps_the_stream_and_the_memory_of_the_codec() -> None:
    (ann, talks), (bob, _) = media(WIDE_BAND), media(WIDE_BAND, seed=2)
    talk(ann, talks, bob, voice(1))
    stream, coder = ann.rtcp.ssrc, ann._coder
    ann.update(replace(WIDE_BAND, sends=False), 2000)
    assert ann.tick(2000) is None
    ann.update(WIDE_BAND, 2020)
    assert ann.rtcp.ssrc == stream
    assert ann._coder is coder


@needs_opus
@pytest.mark.parametrize(("kind", "step"), [(97, 960), (101, 160)])
def test_keys_count_in_their_own_clock(kind: int, step: int) -> None:
    """Beside Opus at 48 kHz where the peer has that, else at 8 kHz, as many phones do."""
    agreed = replace(WIDE_BAND, event_type=kind, events={kind: step * 50})
    (ann, _), (bob, _) = media(agreed), media(agreed, seed=2)
    ann.press("5")
    sent, keys = [], ""
    for n in range(14):
        data = ann.tick(20 * n)
        assert data is not None
        sent.append(packet.parse(data))
        keys += bob.receive(data, PEER, 20 * n) or ""
    events = [p for p in sent if p.payload_type == kind]
    assert keys == "5"
    assert len({p.timestamp for p in events}) == 1
    assert [int.from_bytes(p.payload[2:]) for p in events[:8]] == [step * n for n in range(1, 9)]
    assert sent[len(events)].timestamp - sent[0].timestamp == 960 * len(events)


@needs_opus
def test_empty_packets_are_pauses_and_nonsense_is_counted() -> None:
    one, _ = media(WIDE_BAND)
    payloads = packets(voice(1), 20)
    for n in range(50):
        payload = payloads[n] if n < 20 else b""
        data = packet.encode(Packet(96, n, 960 * n, 9, payload))
        one.receive(data, PEER, 20.0 * n)
        one.hear(20.0 * n)
    one.receive(packet.encode(Packet(96, 50, 48_000, 9, b"\x03\0")), PEER, 1000)
    assert one.counters.malformed == 1
    assert one.jitter.counters.concealed_ms == 0
    assert one.jitter.counters.silence_ms > 400


@needs_opus
@given(st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=300)), max_size=30))
@settings(deadline=None, max_examples=60)
def test_any_payloads_leave_a_wide_call_alive(payloads: list[tuple[int, bytes]]) -> None:
    one, _ = media(WIDE_BAND)
    good = packets(voice(1), 20)
    for n, (ahead, payload) in enumerate(payloads):
        for number, data in ((2 * n + ahead, payload), (2 * n + 1, good[n])):
            one.receive(packet.encode(Packet(96, number, 960 * number, 9, data)), PEER, 20.0 * n)
        assert len(one.hear(20.0 * n)) == 640
        assert one.tick(20.0 * n) is not None


@needs_opus
def test_wishes_that_change_again_and_again_fill_no_memory() -> None:
    one, _ = media(WIDE_BAND)
    for n in range(50):
        one.update(replace(WIDE_BAND, wishes={96: f"maxaveragebitrate={20_000 + n}"}), 20.0 * n)
        assert one.tick(20.0 * n) is not None
        assert len(one._opened) <= 8
