"""Keys: each told once whatever is lost on the way, and sent as RFC 4733 wants it."""

import contextlib
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from telephony.lines.rtp.dtmf import KEYS, MAX_QUEUED, Key, KeyReceiver, KeySender, parse_info
from telephony.lines.rtp.packet import Packet
from telephony.lines.sip.dialogs.invite_dialog import KEYS as KINDS


def event(key: str, duration: int, timestamp: int, *, end: bool = False, marker: bool = False) -> Packet:
    payload = bytes([KEYS.index(key), (0x80 if end else 0) | 10]) + duration.to_bytes(2)
    return Packet(101, 0, timestamp, 1, payload, marker)


def sent(keys: str, *, first: int = 1000) -> list[list[Packet]]:
    """What our sender gives for these keys, by key."""
    sender = KeySender()
    sender.press(keys)
    packets: dict[int, list[Packet]] = {}
    timestamp = first
    while sender.busy:
        made = sender.next(timestamp & 0xFFFFFFFF)
        if made is not None:
            packets.setdefault(made[0], []).append(Packet(101, 0, made[0], 1, made[1], made[2]))
        timestamp += 160
    return list(packets.values())


def test_a_key_is_sent_with_a_marker_first_updates_each_20_ms_and_its_end_three_times() -> None:
    packets = sent("5")[0]
    assert [packet.marker for packet in packets] == [True] + 9 * [False]
    assert {packet.timestamp for packet in packets} == {1000}
    assert [packet.payload[2] << 8 | packet.payload[3] for packet in packets] == [*range(160, 1281, 160), 1280, 1280]
    assert [packet.payload[1] for packet in packets] == 7 * [10] + 3 * [0x8A]
    assert {packet.payload[0] for packet in packets} == {5}


def test_beside_opus_keys_count_48_khz_and_one_held_for_long_goes_on_in_segments() -> None:
    sender, receiver = KeySender(press_ms=3000), KeyReceiver()
    sender.press("5")
    payloads = [made[1] for n in range(152) if (made := sender.next(1000 + 960 * n, 48))]
    durations = [int.from_bytes(payload[2:]) for payload in payloads]
    assert durations[:3] == [960, 1920, 2880]
    assert max(durations) == 0xFFFF
    # As other senders have it: a new segment where 16 bits are full, after 1.4 s.
    got, duration, start = [], 0, 1000
    for n in range(150):
        duration += 960
        if duration > 0xFFFF:
            start, duration = start + 0xFFFF, duration - 0xFFFF
        got.append(receiver.receive(event("5", duration, start & 0xFFFFFFFF), 20.0 * n, 48))
    assert got == ["5"] + 149 * [None]


def test_between_two_keys_lies_the_gap() -> None:
    one, other = sent("1#")
    assert other[0].timestamp - one[0].timestamp == 160 * (8 + 4)  # 160 ms held, 80 ms gap
    assert other[0].payload[0] == 11


@pytest.mark.parametrize(("wait", "ms"), [("w", 500), ("W", 1000), ("wW", 1500)])
def test_a_wait_lies_between_two_keys_and_sends_nothing(wait: str, ms: int) -> None:
    one, other = sent(f"1{wait}2")
    assert other[0].timestamp - one[0].timestamp == 160 * 12 + 8 * ms
    assert [packets[0].payload[0] for packets in (one, other)] == [1, 2]
    assert sent(f"{wait}3")[0][0].timestamp == 1000 + 8 * ms


def test_waits_are_over_in_time_and_what_is_cleared_is_never_sent() -> None:
    sender = KeySender()
    sender.press("w")
    assert [sender.next(160 * n) for n in range(25)] == 25 * [None]
    assert not sender.busy
    sender.press("12")
    assert sender.next(0)
    sender.clear()
    assert (sender.busy, sender.next(160)) == (False, None)
    sender.press("3")
    assert sender.next(320) == (320, b"\3\x0a\0\xa0", True)


def test_keys_are_checked_and_bounded() -> None:
    sender = KeySender()
    with pytest.raises(ValueError, match="other keys"):
        sender.press("12x")
    assert not sender.busy
    sender.press("a" * MAX_QUEUED)
    with pytest.raises(ValueError, match="more than"):
        sender.press("1")


@pytest.mark.parametrize("first", [1000, 0xFFFFFFFF - 2000])
def test_any_packets_may_be_lost_as_long_as_one_of_each_key_comes(first: int) -> None:
    packets = sent("12", first=first)
    for kept in itertools.product(range(len(packets[0])), range(len(packets[1]))):
        receiver = KeyReceiver()
        got = [receiver.receive(packets[n][k], 20.0 * k + 300 * n) for n, k in enumerate(kept)]
        assert got == ["1", "2"]


class Arrived(msgspec.Struct):
    """One packet at the other end."""

    ms: float
    packet: Packet
    press: int


def dialled(keys: str, *, press_ms: int = 160, gap_ms: int = 80) -> list[Arrived]:
    """What our sender gives for these keys, each packet in its 20 ms, numbered as beside audio in the gaps."""
    sender, packets, press = KeySender(press_ms=press_ms, gap_ms=gap_ms), [], -1
    sender.press(keys)
    for n in itertools.count():
        if not sender.busy:
            return packets
        if made := sender.next(1000 + 160 * n):
            press += made[2]
            packets.append(Arrived(20.0 * n, Packet(101, n, made[0], 1, made[1], made[2]), press))
    raise AssertionError


def is_end(packet: Packet) -> bool:
    return packet.payload[1] >= 0x80


def heard(arrived: list[Arrived]) -> str:
    receiver = KeyReceiver()
    return "".join(receiver.receive(one.packet, one.ms) or "" for one in sorted(arrived, key=lambda one: one.ms))


@st.composite
def journeys(draw: st.DrawFn) -> tuple[str, list[Arrived]]:
    """Keys of people and machines, quick ones too, and what is left of them after a bad network: of each press
    one packet at least, which for one key twice is no end of it, since a relay may have made that of the first."""
    keys = draw(st.text("05#", min_size=1, max_size=4))
    sent = dialled(keys, press_ms=draw(st.sampled_from([40, 80, 160, 400])), gap_ms=draw(st.sampled_from([40, 80])))
    left: list[Arrived] = []
    for press in range(len(keys)):
        ours = [one for one in sent if one.press == press]
        certain = [one for one in ours if not is_end(one.packet)]
        kept = [*draw(st.lists(st.sampled_from(ours), max_size=20)), draw(st.sampled_from(certain))]
        delays = draw(st.lists(st.sampled_from([0, 0, 5, 15]), min_size=len(kept), max_size=len(kept)))
        left += [structs.replace(one, ms=one.ms + delay) for one, delay in zip(kept, delays, strict=True)]
    return keys, left


@given(journeys())
def test_losses_duplicates_and_small_reordering_tell_each_key_once(journey: tuple[str, list[Arrived]]) -> None:
    keys, left = journey
    assert heard(left) == keys


@given(journeys(), st.data())
def test_ends_with_timestamps_of_their_own_tell_each_key_once(
    journey: tuple[str, list[Arrived]], data: st.DataObject
) -> None:
    """As rtpengine's issues 1812 and 1929 have them."""
    keys, left = journey
    shifts = st.sampled_from([0, 160, 320, 1280, 1440, 48_000, -160, -8000])
    for one in left:
        if is_end(one.packet):
            timestamp = one.packet.timestamp + data.draw(shifts) & 0xFFFFFFFF
            one.packet = structs.replace(one.packet, timestamp=timestamp)
    assert heard(left) == keys


@given(st.text("05#", min_size=1, max_size=4), st.sampled_from([(40, 40), (160, 80), (400, 80)]), st.data())
def test_packets_with_each_its_own_timestamp_tell_each_key_once(
    keys: str, times: tuple[int, int], data: st.DataObject
) -> None:
    """As peers's issue 7 has them; any may be lost but the first of each press."""
    left = dialled(keys, press_ms=times[0], gap_ms=times[1])
    for one in left:
        one.packet = structs.replace(one.packet, timestamp=1000 + 8 * int(one.ms))
    kept = [one for one in left if one.packet.marker or data.draw(st.booleans())]
    assert heard(kept) == keys


@pytest.mark.parametrize("lost_ms", [100, 240, 260, 380, 2000])
@pytest.mark.parametrize("own_timestamps", [False, True])
def test_a_press_whose_middle_is_lost_is_one(lost_ms: int, own_timestamps: bool) -> None:
    left = dialled("00", press_ms=lost_ms + 100)
    for one in left if own_timestamps else ():
        one.packet = structs.replace(one.packet, timestamp=1000 + 8 * int(one.ms))
    begins = [next(one.ms for one in left if one.press == press) for press in (0, 1)]
    assert heard([one for one in left if one.ms == begins[one.press] or one.ms > begins[one.press] + lost_ms]) == "00"


@pytest.mark.parametrize("shift", [160, 1280, 8000, -160, -48_000])
def test_an_update_in_the_middle_with_another_timestamp_is_the_same_press(shift: int) -> None:
    left = dialled("5")
    for one in left[4:]:
        one.packet = structs.replace(one.packet, timestamp=one.packet.timestamp + shift & 0xFFFFFFFF)
    assert heard(left) == "5"


def test_one_key_twice_whose_marker_or_end_was_lost_is_two() -> None:
    left = dialled("55", press_ms=80, gap_ms=40)
    assert heard([one for one in left if not one.packet.marker]) == "55"
    assert heard([one for one in left if not is_end(one.packet)]) == "55"
    assert heard([one for one in left if one.press == 0 or one.packet.marker]) == "55"


def test_an_end_begins_no_key_that_has_just_ended_and_begins_one_later() -> None:
    receiver = KeyReceiver()
    assert receiver.receive(event("5", 1280, 1000, end=True), 0) == "5"
    assert receiver.receive(event("5", 1280, 90_000, end=True), 249) is None
    assert receiver.receive(event("5", 1280, 180_000, end=True), 251) == "5"
    assert receiver.receive(event("6", 1280, 270_000, end=True), 260) == "6"


def test_keys_that_share_a_timestamp_are_told_by_their_events() -> None:
    left = dialled("12")
    for one in left:
        one.packet = structs.replace(one.packet, timestamp=1000)
    assert heard(left) == "12"


def test_every_single_loss_of_a_whole_sequence_is_harmless() -> None:
    packets = [packet for key in sent("1590*") for packet in key]
    for lost in range(len(packets)):
        receiver = KeyReceiver()
        got = "".join(receiver.receive(p, 20.0 * n) or "" for n, p in enumerate(packets) if n != lost)
        assert got == "1590*"


def test_a_straggler_of_the_last_key_but_one_is_no_new_key() -> None:
    receiver = KeyReceiver()
    assert receiver.receive(event("1", 160, 1000), 0) == "1"
    assert receiver.receive(event("2", 160, 3000), 250) == "2"
    assert receiver.receive(event("1", 800, 1000, end=True), 260) is None


def test_a_key_held_for_long_comes_in_segments_and_is_one_key() -> None:
    receiver, got = KeyReceiver(), ""
    for n in range(900):  # 18 s
        segment, duration = divmod(160 * (n + 1), 0xFFFF)
        got += receiver.receive(event("9", duration, 5000 + segment * 0xFFFF), 20.0 * n) or ""
    assert got == "9"


def test_a_key_whose_end_is_lost_is_let_go_in_time() -> None:
    receiver = KeyReceiver()
    receiver.receive(event("4", 160, 1000), 0)
    assert receiver.held(100) == "4"
    assert receiver.held(300) == ""
    assert receiver.receive(event("4", 160, 1000 + 0xFFFF, end=True), 8300) == "4"  # not its next segment


def test_the_end_lets_go() -> None:
    receiver = KeyReceiver()
    receiver.receive(event("4", 160, 1000), 0)
    receiver.receive(event("4", 320, 1000, end=True), 20)
    assert receiver.held(21) == ""


def test_the_same_timestamp_once_more_is_a_new_key_only_after_a_while_and_with_its_marker() -> None:
    """Recorded keys, played again and again, as sipp does; a stall of the network is none."""
    receiver = KeyReceiver()
    assert receiver.receive(event("4", 160, 1000, marker=True), 0) == "4"
    assert receiver.receive(event("4", 1280, 1000, end=True), 900) is None
    assert receiver.receive(event("4", 160, 1000, marker=True), 1000) is None
    assert receiver.receive(event("4", 160, 1000, marker=True), 1700) == "4"


def test_a_clock_that_was_set_back_does_not_silence_the_keys() -> None:
    receiver = KeyReceiver()
    assert receiver.receive(event("4", 160, 900_000), 0) == "4"
    assert receiver.receive(event("5", 160, 1000), 600) == "5"


def test_a_key_whose_clock_goes_back_is_told_when_its_packets_are_newer() -> None:
    """sipp's recordings of keys have each a clock of its own."""
    receiver = KeyReceiver()
    one, other = event("1", 160, 50_000, marker=True), event("0", 160, 1000, marker=True)
    newer, older = (structs.replace(other, sequence=number) for number in (1, 0xFFFF))
    assert receiver.receive(one, 0) == "1"
    assert receiver.receive(older, 100) is None
    assert receiver.receive(newer, 120) == "0"
    assert receiver.receive(newer, 140) is None


@pytest.mark.parametrize("payload", [b"", b"\1\1\1", b"\x10\0\0\0", b"\xff\xff\xff\xff"])
def test_other_events_are_ignored_and_counted(payload: bytes) -> None:
    receiver = KeyReceiver()
    assert receiver.receive(Packet(101, 0, 0, 1, payload), 0) is None
    assert receiver.ignored == 1


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", Key("5", 160)),
        ("application/dtmf-relay", b"Signal= #\nDuration= 250", Key("#", 250)),
        ("Application/DTMF-Relay; charset=utf-8", b"signal = *\r\nduration = x", Key("*", 160)),
        ("application/dtmf-relay", b"Signal=11\r\nDuration=99999999", Key("#", 10_000)),
        ("application/dtmf-relay", b"Signal=d", Key("D", 160)),
        ("application/dtmf", b"7\r\n", Key("7", 160)),
        ("application/dtmf", b"10", Key("*", 160)),
        ("audio/telephone-event", bytes([5, 0x8A, 0x06, 0x40]), Key("5", 200)),
        ("Audio/Telephone-Event; x=y", bytes([11, 10, 0, 0]), Key("#", 160)),
    ],
)
def test_info_bodies(kind: str, body: bytes, key: Key) -> None:
    assert parse_info(kind, body) == key


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/dtmf-relay", b""),
        ("application/dtmf-relay", b"Duration=160"),
        ("application/dtmf-relay", b"Signal=55\r\n"),
        ("application/dtmf", b"X"),
        ("application/dtmf", b"1" * 300),
        ("audio/telephone-event", b""),
        ("audio/telephone-event", bytes([16, 0x8A, 0, 160])),  # a flash
        ("text/plain", b"5"),
        ("", b"5"),
    ],
)
def test_bad_info_is_a_value_error(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match="INFO"):
        parse_info(kind, body)


@given(st.sampled_from(KINDS), st.binary(max_size=300))
def test_any_info_gives_a_key_or_a_value_error(kind: str, body: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert parse_info(kind, body).key in KEYS
