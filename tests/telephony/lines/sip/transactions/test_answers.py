"""What every answer copies, and where it goes."""

import pytest

from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.transactions.answers import Refusal, Warn, reply_to, respond, stamp_via
from tests.telephony.lines.sip.peer import OVER_TCP, THEM, invite

KAMAILIO = """\
Record-Route: <sip:10.0.0.9;r2=on;lr=on;ftag=331SIPp1>, <sip:10.0.0.9:5080;transport=tcp;r2=on;lr=on>
Via: SIP/2.0/UDP 192.168.1.5:5060;rport=4711;received=81.2.69.142;branch=z9hG4bKphone
Timestamp: 54
"""


def test_every_via_and_record_route_is_copied() -> None:
    request = invite(add=KAMAILIO)
    ringing = respond(request, 180, tag="ours")
    assert ringing.headers.all("Via") == request.headers.all("Via")
    assert len(ringing.headers.all("Via")) == 2
    assert ringing.headers.all("Record-Route") == request.headers.all("Record-Route")
    assert len(ringing.headers.all("Record-Route")) == 2
    assert ringing.headers.get("To") == "<sip:1000@10.0.0.1:5060>;tag=ours"
    assert "Record-Route" not in respond(request, 486, tag="ours").headers
    trying = respond(request, 100, tag="ours")
    assert (trying.headers.get("Timestamp"), trying.headers.get("To")) == ("54", "<sip:1000@10.0.0.1:5060>")


def test_a_tag_that_is_there_stays() -> None:
    request = invite(To="<sip:1000@10.0.0.1>;tag=theirs")
    assert respond(request, 200, tag="ours").headers.get("To") == "<sip:1000@10.0.0.1>;tag=theirs"
    bare = invite(To="sip:1000@10.0.0.1")
    assert respond(bare, 200, tag="ours").headers.get("To") == "sip:1000@10.0.0.1;tag=ours"


NATTED = Address("UDP", "81.2.69.142", 31337)


@pytest.mark.parametrize(
    ("via", "source", "stamped", "to"),
    [
        ("10.0.0.2:5070;branch=z", THEM, "10.0.0.2:5070;branch=z", THEM),
        ("10.0.0.2;branch=z", THEM, "10.0.0.2;branch=z", Address("UDP", "10.0.0.2", 5060)),
        ("10.0.0.2:5070;rport;branch=z", THEM, "10.0.0.2:5070;rport=5070;branch=z;received=10.0.0.2", THEM),
        (
            "192.168.1.5:5060;rport;branch=z",
            NATTED,
            "192.168.1.5:5060;rport=31337;branch=z;received=81.2.69.142",
            NATTED,
        ),
        (
            "192.168.1.5:5062;branch=z",
            NATTED,
            "192.168.1.5:5062;branch=z;received=81.2.69.142",
            Address("UDP", "81.2.69.142", 5062),
        ),
        (
            "phone.example.com;branch=z",
            THEM,
            "phone.example.com;branch=z;received=10.0.0.2",
            Address("UDP", "10.0.0.2", 5060),
        ),
    ],
)
def test_answers_go_where_the_request_came_from(via: str, source: Address, stamped: str, to: Address) -> None:
    request = invite(Via=f"SIP/2.0/UDP {via}")
    stamp_via(request, source)
    assert request.headers.get("Via") == f"SIP/2.0/UDP {stamped}"
    assert reply_to(request, source) == to


def test_behind_a_nat_answers_go_back_the_same_way_though_nobody_asked_for_it() -> None:
    request = invite(Via="SIP/2.0/UDP 192.168.1.5:5062;branch=z")
    stamp_via(request, NATTED, nat=True)
    assert request.headers.get("Via").endswith(":5062;branch=z;rport=31337;received=81.2.69.142")
    assert reply_to(request, NATTED) == NATTED


def test_answers_go_by_the_connection() -> None:
    request = invite(Via="SIP/2.0/TCP 192.168.1.5:5060;branch=z")
    stamp_via(request, OVER_TCP)
    assert reply_to(request, OVER_TCP) == OVER_TCP


@pytest.mark.parametrize("status", [400, 415, 488, 606])
def test_the_peer_is_told_why(status: int) -> None:
    refusal = Refusal(status, 'no "common" codec', (("Accept", "application/sdp"),), Warn.MEDIA_FORMAT)
    assert refusal.told("voxline") == (
        ("Accept", "application/sdp"), ("Warning", r'305 voxline "no \"common\" codec"')
    )  # fmt: skip


def test_nothing_of_a_refusal_that_is_only_for_the_log_is_told() -> None:
    for status in (401, 403, 481, 486, 503):
        assert Refusal(status, "for the log").told("voxline") == ()


def test_a_warning_is_one_short_line_whatever_the_peer_has_said() -> None:
    told = dict(Refusal(400, "a\r\nVia: b\0\x1b" + "c" * 1000).told("voxline"))
    assert told["Warning"].startswith('399 voxline "a??Via: b??ccc')
    assert len(told["Warning"]) < 250
    assert respond(invite(), 400, headers=told.items()).headers.get("Warning")
