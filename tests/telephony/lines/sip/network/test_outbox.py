"""What is sent to names, over real sockets and by a real DNS server."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from config.sip import SipSettings
from telephony.lines.sip.network.locator import Locator
from telephony.lines.sip.network.outbox import Outbox
from telephony.lines.sip.network.transport import Transports
from telephony.lines.sip.syntax.address import Address
from tests.telephony.lines.sip.nameserver import NameServer
from tests.waiting import until

pytestmark = pytest.mark.looptime
HOST = "127.0.0.1"


class Post:
    """An outbox with its sockets, and what it tells."""

    def __init__(self) -> None:
        settings = SipSettings(port=0)
        self.failed: list[Address] = []
        self.expected: list[Address] = []
        self.transports = Transports(
            settings,
            admit=lambda *_: True,
            receive=lambda *_: None,
            malformed=lambda *_: None,
            unreachable=self.unreachable,
        )
        locator = Locator(("UDP", "TCP"), 4)
        self.outbox = Outbox(self.transports, locator, expect=self.expected.append, failed=self.failed.append)

    def unreachable(self, to: Address) -> None:
        self.outbox.unreachable(to)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    one = Post()
    await one.transports.open()
    yield one
    one.outbox.close()
    await one.transports.close()


async def test_messages_wait_for_the_answer_of_dns(post: Post, nameserver: NameServer) -> None:
    nameserver.records["phones.example.com", "A"] = [HOST]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((HOST, 0))
        phone.setblocking(False)
        to = Address("UDP", "phones.example.com", phone.getsockname()[1])
        for number in range(3):
            post.outbox.send(b"BYE %d" % number, to)
        loop = asyncio.get_running_loop()
        assert [await loop.sock_recv(phone, 100) for _ in range(3)] == [b"BYE 0", b"BYE 1", b"BYE 2"]
        post.outbox.send(b"SIP/2.0 200 OK", to)
        assert await loop.sock_recv(phone, 100) == b"SIP/2.0 200 OK"
    assert nameserver.asked == [("phones.example.com", "A")]
    assert [to.host for to in post.expected] == [HOST] * 3  # an answer is no question: nothing comes back
    assert post.failed == []


async def test_name_that_leads_nowhere(post: Post, nameserver: NameServer) -> None:
    to = Address("UDP", "nowhere.example", 5060)
    post.outbox.send(b"BYE", to)
    post.outbox.send(b"BYE", to)
    await until(lambda: post.failed == [to])


async def test_server_that_is_down_is_told_by_its_name_and_asked_for_anew(post: Post, nameserver: NameServer) -> None:
    nameserver.records["pbx.example.com", "A"] = [HOST]
    to = Address("TCP", "pbx.example.com", 1)
    for lookups in (1, 2):
        post.failed.clear()
        post.outbox.send(b"BYE", to)
        await until(lambda: len(post.failed) == 2)
        assert post.failed == [Address("TCP", HOST, 1), to]
        assert len(nameserver.asked) == lookups


async def test_flood_of_names_is_bounded(post: Post, nameserver: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telephony.lines.sip.network.outbox.MOST_NAMES", 4)
    for number in range(6):
        nameserver.records[f"n{number}.example.com", "A"] = [HOST]
        post.outbox.send(b"BYE", Address("UDP", f"n{number}.example.com", 9))
    await until(lambda: len(post.expected) == 4)
    for number in range(4, 6):
        post.outbox.send(b"BYE", Address("UDP", f"n{number}.example.com", 9))
    await until(lambda: len(post.expected) == 6)
    for number in range(4):  # the two of them that were found first are forgotten, and looked up again
        post.outbox.send(b"BYE", Address("UDP", f"n{number}.example.com", 9))
    await until(lambda: len(post.expected) == 10)
    assert len(nameserver.asked) == 8
