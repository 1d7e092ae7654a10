"""Routes, targets and tags."""

import pytest

from telephony.lines.sip.dialogs.dialog import Dialog, contact_of, towards
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import parse_uri
from tests.telephony.lines.sip.peer import OVER_TCP, THEM, answer_to, invite, within

NAMED = Address("TLS", "sbc.example.com", 0)


def answering(way: Address = THEM, *, follow: bool = False, **changes: str) -> Dialog:
    return Dialog.answering(invite(**changes), "ours", way, follow=follow)


def test_of_the_answering_side() -> None:
    dialog = answering()
    assert dialog.id == ("1-331@10.0.0.2", "ours", "331SIPp1")
    bye, info = dialog.request("BYE"), dialog.request("INFO")
    assert bye.uri == "sip:+15551230000@10.0.0.2:5070"
    assert bye.headers.get("From") == "<sip:1000@10.0.0.1:5060>;tag=ours"
    assert bye.headers.get("To") == '"Ann Caller" <sip:+15551230000@10.0.0.2:5070>;tag=331SIPp1'
    assert [m.headers.get("CSeq") for m in (bye, info)] == ["1 BYE", "2 INFO"]
    assert dialog.request("ACK", 1).headers.get("CSeq") == "1 ACK"
    assert dialog.next_hop == THEM


def test_of_the_calling_side_the_routes_are_turned_round() -> None:
    request = invite()
    routes = [("Record-Route", "<sip:p2;lr>, <sip:p1:5080;lr>"), ("Contact", "<sip:bob@192.0.2.4>;q=1")]
    dialog = Dialog.answered(request, answer_to(request, 200, add=routes), THEM, follow=False)
    bye = dialog.request("BYE")
    assert bye.headers.all("Route") == ["<sip:p1:5080;lr>", "<sip:p2;lr>"]
    assert (bye.uri, dialog.next_hop) == ("sip:bob@192.0.2.4", Address("UDP", "p1", 5080))
    assert (bye.headers.get("CSeq"), dialog.id[1:]) == ("2 BYE", ("331SIPp1", "them"))


def test_kamailio_between_two_transports() -> None:
    """record_route() with r2=on: both its addresses are in the route, the nearer first."""
    add = "Record-Route: <sip:10.0.0.9;r2=on;lr=on>, <sip:10.0.0.9:5080;transport=tcp;r2=on;lr=on>\n"
    dialog = answering(Address("UDP", "10.0.0.9", 5060), add=add)
    bye = dialog.request("BYE")
    assert bye.headers.all("Route") == [
        "<sip:10.0.0.9;r2=on;lr=on>",
        "<sip:10.0.0.9:5080;transport=tcp;r2=on;lr=on>",
    ]
    assert bye.uri == "sip:+15551230000@10.0.0.2:5070"
    assert dialog.next_hop == Address("UDP", "10.0.0.9", 5060)


def test_strict_router() -> None:
    """12.2.1.1: a first route without lr is the Request-URI, and the target the last route."""
    dialog = answering(add="Record-Route: <sip:strict.example.com;x=1?h=2>, <sip:loose.example.com;lr>\n")
    bye = dialog.request("BYE")
    assert bye.uri == "sip:strict.example.com;x=1"
    assert bye.headers.all("Route") == ["<sip:loose.example.com;lr>", "<sip:+15551230000@10.0.0.2:5070>"]
    assert dialog.next_hop == Address("UDP", "strict.example.com", 0)


@pytest.mark.parametrize(
    ("uri", "way", "hop"),
    [
        ("sip:a@10.0.0.3", THEM, Address("UDP", "10.0.0.3", 5060)),
        ("sip:a@[2001:db8::1]:5090", THEM, Address("UDP", "2001:db8::1", 5090)),
        ("sip:a@10.0.0.3;transport=tcp", THEM, Address("TCP", "10.0.0.3", 5060)),
        ("sip:a@10.0.0.3;transport=tls", THEM, Address("TLS", "10.0.0.3", 5061)),
        ("sips:a@10.0.0.3", THEM, Address("TLS", "10.0.0.3", 5061)),
        ("sip:a@10.0.0.3;transport=ws", THEM, Address("UDP", "10.0.0.3", 5060)),
        ("sip:a@10.0.0.3;maddr=10.0.0.4", THEM, Address("UDP", "10.0.0.4", 5060)),
        ("sip:trunk.example.com", NAMED, NAMED.__class__("TLS", "trunk.example.com", 0)),
        ("sip:a@192.168.1.5:5060", OVER_TCP, Address("TCP", "192.168.1.5", 5060, 7)),
    ],
)
def test_where_a_uri_leads(uri: str, way: Address, hop: Address) -> None:
    assert towards(parse_uri(uri), way) == hop


def test_behind_a_nat_where_it_came_from_counts() -> None:
    natted = Address("UDP", "81.2.69.142", 31337)
    assert answering(natted, follow=True, Contact="<sip:x@192.168.1.5>").next_hop == natted
    assert answering(natted, Contact="<sip:x@192.168.1.5>").next_hop == Address("UDP", "192.168.1.5", 5060)


def test_sequence_numbers_rise() -> None:
    dialog = answering(CSeq="5 INVITE")
    ok = answer_to(invite(), 200, add=[("Contact", "<sip:voxline@10.0.0.1>")])
    assert [dialog.take_sequence(within("INFO", ok, n, "z9hG4bK")) for n in (5, 4, 6, 6, 99)] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_target_refresh() -> None:
    dialog = answering()
    dialog.refresh(invite(Contact="<sip:moved@10.0.0.7:5099?x=y>;expires=3"), OVER_TCP)
    assert dialog.target == "sip:moved@10.0.0.7:5099"
    assert dialog.next_hop == Address("TCP", "10.0.0.7", 5099, 7)
    dialog.refresh(invite(without="Contact"), THEM)
    assert dialog.target == "sip:moved@10.0.0.7:5099"


@pytest.mark.parametrize("contact", ["*", "<tel:+1>", "<mailto:a@b>"])
def test_contacts_of_no_use(contact: str) -> None:
    with pytest.raises(ValueError):
        contact_of(invite(Contact=contact))
