"""Where requests go, by a real DNS server on loopback. No question leaves this machine."""

import asyncio
from collections import Counter

import pytest

from telephony.lines.sip.network import locator
from telephony.lines.sip.network.locator import LocateError, Locator
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import parse_uri
from tests.telephony.lines.sip.nameserver import NameServer
from tests.waiting import until

pytestmark = pytest.mark.looptime
RECORDS = {
    ("example.com", "A"): ["192.0.2.10"],
    ("example.com", "AAAA"): ["2001:db8::10"],
    ("_sip._udp.example.com", "SRV"): ["20 0 5060 last.example.com.", "10 0 5062 first.example.com."],
    ("_sip._tcp.example.com", "SRV"): ["10 0 5070 first.example.com."],
    ("_sips._tcp.example.com", "SRV"): ["10 0 5061 first.example.com."],
    ("first.example.com", "A"): ["192.0.2.1"],
    ("two.example.com", "A"): ["192.0.2.1", "192.0.2.2"],
    ("last.example.com", "A"): ["192.0.2.3"],
    ("bare.example.com", "A"): ["192.0.2.20"],
    ("tcp.example.com", "A"): ["192.0.2.99"],
    ("_sip._tcp.tcp.example.com", "SRV"): ["1 1 5080 last.example.com."],
    ("_sip._udp.closed.example.com", "SRV"): ["0 0 0 ."],
    ("closed.example.com", "A"): ["192.0.2.30"],
    ("_sip._udp.half.example.com", "SRV"): ["1 0 5060 gone.example.com.", "2 0 5060 last.example.com."],
    ("_sip._udp.many.example.com", "SRV"): [f"{n} 0 5060 two.example.com." for n in range(20)],
    ("_sip._udp.shared.example.com", "SRV"): ["1 90 5060 first.example.com.", "1 10 5060 last.example.com."],
}


@pytest.fixture
def names(nameserver: NameServer) -> NameServer:
    """The DNS server that everybody asks, with these records."""
    nameserver.records |= RECORDS
    return nameserver


async def find(uri: str, version: int = 4, transports: tuple[str, ...] = ("UDP", "TCP", "TLS")) -> list[str]:
    return [str(found) for found in await Locator(transports, version).locate(parse_uri(uri))]


@pytest.mark.parametrize(
    ("uri", "found", "most"),
    [
        ("sip:192.0.2.5", ["udp:192.0.2.5:5060"], 0),
        ("sip:192.0.2.5:5070;transport=tcp", ["tcp:192.0.2.5:5070"], 0),
        ("sips:[2001:db8::5]", ["tls:[2001:db8::5]:5061"], 0),
        ("sip:example.com;maddr=192.0.2.6", ["udp:192.0.2.6:5060"], 0),
        ("sip:example.com:5090", ["udp:192.0.2.10:5090"], 1),
        ("sip:example.com", ["udp:192.0.2.1:5062", "udp:192.0.2.3:5060"], 5),
        ("sip:example.com;transport=tcp", ["tcp:192.0.2.1:5070"], 3),
        ("sip:example.com;transport=tls", ["tls:192.0.2.1:5061"], 3),
        ("sips:example.com", ["tls:192.0.2.1:5061"], 3),
        ("sip:bare.example.com", ["udp:192.0.2.20:5060"], 3),
        ("sips:bare.example.com", ["tls:192.0.2.20:5061"], 2),
        ("sip:tcp.example.com", ["tcp:192.0.2.3:5080"], 4),
        ("sip:closed.example.com", ["udp:192.0.2.30:5060"], 3),
        ("sip:half.example.com", ["udp:192.0.2.3:5060"], 5),
        ("sip:pbx", ["udp:192.0.2.77:5060"], 0),
        ("sip:pbx.EXAMPLE.net:5070", ["udp:192.0.2.77:5070"], 0),
    ],
)
async def test_servers_of_an_address(names: NameServer, uri: str, found: list[str], most: int) -> None:
    assert await find(uri) == found
    assert min(most, 1) <= len(names.asked) <= most, names.asked


async def test_ipv6(names: NameServer) -> None:
    assert await find("sip:example.com:5060", 6) == ["udp:[2001:db8::10]:5060"]
    assert await find("sip:pbx", 6) == ["udp:[::1]:5060"]
    assert names.asked == [("example.com", "AAAA")]


async def test_transports_that_we_lack_are_not_asked_for(names: NameServer) -> None:
    assert await find("sip:example.com", transports=("TCP",)) == ["tcp:192.0.2.1:5070"]
    assert await find("sip:bare.example.com", transports=("TLS",)) == ["tls:192.0.2.20:5061"]


async def test_certificate_is_to_be_for_what_was_called(names: NameServer) -> None:
    """RFC 5922: DNS may name any server; the domain that was called has to vouch for it."""
    found = await Locator(("UDP", "TLS"), 4).locate(parse_uri("sips:example.com"))
    assert {address.name for address in found} == {"example.com"}
    assert (await Locator(("UDP",), 4).locate(parse_uri("sip:example.com")))[0].name == ""


async def test_several_addresses_of_a_server(names: NameServer) -> None:
    assert sorted(await find("sip:two.example.com:5060")) == ["udp:192.0.2.1:5060", "udp:192.0.2.2:5060"]


async def test_no_more_servers_than_are_worth_trying(names: NameServer) -> None:
    assert len(await find("sip:many.example.com")) == 8


async def test_weights(names: NameServer) -> None:
    """Nine of ten calls begin at the server with nine tenths of the weight; far less would be a matter of luck."""
    firsts = Counter([(await find("sip:shared.example.com"))[0] for _ in range(50)])
    assert firsts["udp:192.0.2.1:5060"] > 33


@pytest.mark.parametrize("uri", ["sip:nobody.example", "sip:gone.example.com:5060", "sip:x;transport=sctp"])
async def test_no_way(names: NameServer, uri: str) -> None:
    with pytest.raises(LocateError):
        await find(uri)


async def test_dns_that_says_nothing(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locator, "LOOKUP_S", 0.2)
    names.silent = True
    with pytest.raises(LocateError, match=r"no DNS server has answered in 0\.2 s"):
        await find("sip:example.com")


async def test_all_that_may_be_needed_is_asked_for_at_once(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locator, "SRV_S", 60)
    names.dropped = {"SRV", "A"}
    asked = {("_sip._udp.bare.example.com", "SRV"), ("_sip._tcp.bare.example.com", "SRV"), ("bare.example.com", "A")}
    finding = asyncio.create_task(find("sip:bare.example.com"))
    await until(lambda: set(names.asked) == asked)  # before anything is answered
    finding.cancel()


@pytest.mark.parametrize("transports", [("UDP",), ("UDP", "TCP")])
async def test_dns_that_drops_questions_for_services(
    names: NameServer, monkeypatch: pytest.MonkeyPatch, transports: tuple[str, ...]
) -> None:
    """Some routers' do. The host's own address is known; the wait for all the services together is bounded."""
    assert locator.SRV_S <= 2
    monkeypatch.setattr(locator, "SRV_S", 0.1)
    names.dropped = {"SRV"}
    assert await find("sip:bare.example.com", transports=transports) == ["udp:192.0.2.20:5060"]


async def test_services_are_waited_for_where_the_host_has_no_address(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locator, "SRV_S", 0.001)
    names.delays = {"SRV": 0.1}
    assert await find("sip:shared.example.com", transports=("UDP",))
    assert await find("sip:bare.example.com", transports=("UDP",)) == ["udp:192.0.2.20:5060"]


async def test_a_question_that_is_lost_is_asked_again(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locator, "TRY_S", 0.1)
    monkeypatch.setattr(locator, "SRV_S", 30)
    names.lost = 3
    assert await find("sip:example.com", transports=("UDP",)) == ["udp:192.0.2.1:5062", "udp:192.0.2.3:5060"]


async def test_one_host_that_nobody_knows_does_not_hold_up_the_others(
    names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locator, "SERVERS_S", 0.5)
    names.mute = {"first.example.com"}
    assert await find("sip:example.com", transports=("UDP",)) == ["udp:192.0.2.3:5060"]


async def test_name_inside_a_call(names: NameServer) -> None:
    """The transport is known there, and a port that is named stays."""
    ours = Locator(("UDP", "TCP"), 4)
    assert str(await ours.nearest(Address("TCP", "example.com"))) == "tcp:192.0.2.1:5070"
    assert str(await ours.nearest(Address("UDP", "example.com", 5099))) == "udp:192.0.2.10:5099"


async def test_without_dnspython_the_extra_is_named(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locator, "dns", None)
    with pytest.raises(LocateError, match=r"\[sip\]"):
        await find("sip:example.com")
    assert await find("sip:192.0.2.5") == ["udp:192.0.2.5:5060"]
    assert await find("sip:pbx") == ["udp:192.0.2.77:5060"]
