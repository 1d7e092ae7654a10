"""Reports both ways: when, of what, and what is learned from the other side's."""

import itertools
import random

import pytest

from telephony.lines.rtp import rtcp
from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.reception import Reception
from telephony.lines.rtp.rtcp_session import RtcpSession


def control(ssrc: int) -> RtcpSession:
    return RtcpSession(ssrc, "name", random.Random(1))


def test_reports_come_about_every_5_s() -> None:
    one, reception = control(1), Reception()
    times = []
    for now in range(0, 100_000, 20):
        if one.due(now):
            times.append(now)
            one.report(reception, 0, now)
    assert 1000 < times[0] < 4000
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(2500 <= gap <= 7520 for gap in gaps)
    assert 4000 < sum(gaps) / len(gaps) < 6000


def test_a_side_that_sent_nothing_reports_as_a_receiver_and_one_that_heard_nothing_has_no_report_block() -> None:
    one = control(1)
    assert rtcp.parse(one.report(Reception(), 0, 0)) == [rtcp.RtcpReport(1), rtcp.Name(1, "name")]
    one.packets, one.octets = 50, 8000
    report = rtcp.parse(one.report(Reception(), 777, 1000))[0]
    assert report == rtcp.RtcpReport(1, (), rtcp.ntp(1000), 777, 50, 8000)


def test_two_sides_learn_the_losses_the_jitter_and_the_round_trip() -> None:
    """30 ms each way, 250 ms between a report and its answer."""
    ann, bob = control(1), control(2)
    bob.packets = ann.packets = 1
    heard = Reception()  # Bob's, of Ann
    for n in range(0, 100, 2):
        heard.accept(Packet(0, n, n * 160, 1, b""))
        heard.time(n * 160, 20 * n + (5 if n % 4 else 0))
    bob.receive(rtcp.parse(ann.report(Reception(), 0, 10_000)), 10_030)
    ann.receive(rtcp.parse(bob.report(heard, 0, 10_280)), 10_310)
    assert ann.round_trip_ms == pytest.approx(60, abs=0.1)
    assert ann.remote_loss == pytest.approx(0.5, abs=0.01)
    assert ann.remote_jitter == int(heard.jitter) > 30
    assert bob.round_trip_ms is None


def test_reports_of_other_streams_say_nothing_of_ours() -> None:
    ann = control(1)
    ann.receive([rtcp.RtcpReport(2, (rtcp.Block(99, 255, 1, 1, 1, 1, 1),))], 0)
    assert (ann.remote_loss, ann.round_trip_ms) == (0.0, None)


def test_goodbye() -> None:
    ann, bob = control(1), control(2)
    items = rtcp.parse(ann.goodbye(Reception(), 0, 0))
    assert items[-1] == rtcp.Goodbye((1,))
    bob.receive(items, 0)
    assert bob.peer_left
