"""The other end for tests of the user agent, in virtual time: messages as text, and a network that loses them."""

import heapq
from collections.abc import Callable, Iterable
from itertools import count
from random import Random
from typing import Any

from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import Answered, Event, Invited, Send
from telephony.lines.sip.dialogs.uac import Outgoing, UacCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import NameAddr, parse_uri, tag_of
from telephony.lines.sip.syntax.message import Message, Request, Response, encode, parse

US = ("10.0.0.1", 5060)
THEM = Address("UDP", "10.0.0.2", 5070)
OVER_TCP = Address("TCP", "10.0.0.2", 40123, 7)
SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\n"
OURS = b"v=0\r\no=- 5 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n"
ME = NameAddr("Front desk", parse_uri("sip:+15550001111@voice.example.com"))

# As sipp sends it; {} are filled in by `text`.
INVITE = """\
INVITE sip:1000@10.0.0.1:5060 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5070;branch={branch};rport
From: "Ann Caller" <sip:+15551230000@10.0.0.2:5070>;tag=331SIPp1
To: <sip:1000@10.0.0.1:5060>
Call-ID: 1-331@10.0.0.2
CSeq: 1 INVITE
Contact: <sip:+15551230000@10.0.0.2:5070>
Max-Forwards: 70
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY
Content-Type: application/sdp
"""


def mixed(*more: str, sdp: bytes = SDP) -> tuple[str, bytes]:
    """SDP and ISUP in one body, as gateways send it: its Content-Type and itself. `more` are headers of the ISUP."""
    isup = "".join(f"{line}\r\n" for line in ("Content-Type: application/isup;version=itu-t92+", *more))
    pieces = b"--b\r\nContent-Type: application/sdp\r\n\r\n" + sdp, b"--b\r\n" + isup.encode() + b"\r\n\x01\x00\x49"
    return 'multipart/mixed;boundary="b"', b"\r\n".join((*pieces, b"--b--\r\n"))


OPTIONAL = "Content-Disposition: signal;handling=optional"


def message(text: str, body: bytes = b"") -> Request:
    """A request from its text; Content-Length is added."""
    head = text.strip("\n").replace("\n", "\r\n")
    request = parse(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert isinstance(request, Request)
    return request


def invite(
    branch: str = "z9hG4bK-1", body: bytes = SDP, *, without: str = "", add: str = "", **changes: str
) -> Request:
    """sipp's INVITE; `changes` replace one text by another, `without` drops a header, `add` adds lines."""
    text = INVITE.format(branch=branch)
    for header, value in changes.items():
        name = header.replace("_", "-").lower()
        lines = [
            f"{line.partition(':')[0]}: {value}" if line.lower().startswith(f"{name}:") else line
            for line in text.splitlines()
        ]
        text = "\n".join(lines) + "\n"
    if without:
        text = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith(f"{without}:"))
    return message(text + add, body)


def counter(prefix: str) -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


class Bench:
    """One user agent, and the test as its peer."""

    def __init__(self, source: Address = THEM, admit: Any = None, closed: Any = lambda: None, **config: Any) -> None:
        transports = {"UDP": US, "TCP": US, "TLS": ("10.0.0.1", 5061)}
        self.ua = UserAgent(
            UserAgentConfig(transports, **config), admit=admit, closed=closed, token=counter("t"), random=Random(1)
        )
        self.now = 1_000_000.0
        self.source = source
        self.events: list[Event] = []
        self.sent: list[Send] = []

    def give(self, received: Message, source: Address | None = None) -> list[Message]:
        """Let the user agent receive a message, as parsed from the wire; returns what it sends at once."""
        self.ua.receive(parse(encode(received)), source or self.source, self.now)
        return self.take()

    def take(self) -> list[Message]:
        """What it sends now. Events are kept."""
        out = self.ua.take()
        self.events += [item for item in out if not isinstance(item, Send)]
        sent = [item for item in out if isinstance(item, Send)]
        self.sent += sent
        return [parse(item.data) for item in sent]

    def run(self, ms: float) -> list[tuple[float, Message]]:
        """Let time pass; returns what is sent, and after how many ms."""
        start, out = self.now, []
        while self.ua.next_ms <= start + ms:
            self.now = max(self.now, self.ua.next_ms)
            self.ua.timers(self.now)
            out += [(self.now - start, sent) for sent in self.take()]
        self.now = start + ms
        return out

    def told(self, kind: type) -> Any:
        """The one event of that kind since the last look; fails if there are more or fewer."""
        found = [event for event in self.events if isinstance(event, kind)]
        assert len(found) == 1, (kind.__name__, self.events)
        self.events.remove(found[0])
        return found[0]

    def call(self, kind: type) -> Any:
        """The call that the one event of that kind tells of."""
        return self.ua.call(self.told(kind).call)

    def untold(self, kind: type) -> None:
        assert not [event for event in self.events if isinstance(event, kind)]


def statuses(messages: Iterable[Message]) -> list[int]:
    return [sent.status for sent in messages if isinstance(sent, Response)]


def methods(messages: Iterable[Message]) -> list[str]:
    return [sent.method for sent in messages if isinstance(sent, Request)]


def ack(response: Response, branch: str = "z9hG4bK-ack", body: bytes = b"", sequence: int = 1) -> Request:
    """sipp's ACK of a 2xx."""
    return within("ACK", response, sequence, branch, body)


def within(method: str, response: Response, sequence: int, branch: str, body: bytes = b"", add: str = "") -> Request:  # noqa: PLR0917
    """A request from the caller in the dialog that `response` (2xx or 18x) has opened."""
    target = response.headers.get("Contact").strip("<>") or "sip:1000@10.0.0.1:5060"
    text = f"""\
{method} {target} SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5070;branch={branch};rport
From: {response.headers.get("From")}
To: {response.headers.get("To")}
Call-ID: {response.headers.get("Call-ID")}
CSeq: {sequence} {method}
Contact: <sip:+15551230000@10.0.0.2:5070>
Max-Forwards: 70
{add}"""
    return message(text, body)


def answered(bench: Bench, **changes: str) -> Response:
    """An accepted call; returns our 200, which is not acknowledged yet."""
    assert statuses(bench.give(invite(**changes))) == [100]
    bench.call(Invited).accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    assert ok.status == 200
    return ok


def answer_to(
    request: Message, status: int, *, tag: str = "them", body: bytes = b"", add: Iterable[tuple[str, str]] = ()
) -> Response:
    """A peer's answer to a request of the user agent's."""
    assert isinstance(request, Request)
    headers = [(name, value) for name, value in request.headers if name in ("Via", "From", "Call-ID", "CSeq")]
    to = request.headers.get("To")
    headers.append(("To", to if tag_of(to) or not tag else f"{to};tag={tag}"))
    if 100 < status < 300 and request.method == "INVITE" and "Contact" not in dict(add):
        headers.append(("Contact", "<sip:bob@10.0.0.2:5070>"))
    if body:
        headers.append(("Content-Type", "application/sdp"))
    response = parse(encode(Response(status, "Said", type(request.headers)([*headers, *add]), body)))
    assert isinstance(response, Response)
    return response


def dial(bench: Bench, to: str = "sip:+15551230000@10.0.0.2:5070", **more: Any) -> tuple[UacCall, Request]:
    call = bench.ua.invite(Outgoing(to, OURS, ME, **more), bench.now)
    (sent,) = bench.take()
    assert isinstance(sent, Request)
    return call, sent


def up(bench: Bench, **more: Any) -> tuple[UacCall, Request, Response]:
    call, sent = dial(bench, **more)
    ok = answer_to(sent, 200, body=SDP)
    assert methods(bench.give(ok)) == ["ACK"]
    assert bench.told(Answered).body == SDP
    return call, sent, ok


class Network:
    """Datagrams between user agents: late, twice, in another order, or never."""

    def __init__(self, random: Random, loss: float = 0.0, twice: float = 0.0, delay_ms: float = 20.0) -> None:
        self.now = 0.0
        self.loss = loss
        self.sent = 0
        self._twice = twice
        self._delay_ms = delay_ms
        self._random = random
        self._number = count()
        self._ends: dict[tuple[str, int], tuple[UserAgent, Callable[[Event], None]]] = {}
        self._flying: list[tuple[float, int, Address, Address, bytes]] = []

    def join(self, ua: UserAgent, address: tuple[str, int], told: Callable[[Event], None]) -> None:
        self._ends[address] = ua, told

    def flush(self) -> None:
        """Send and tell the output of the user agents, until there is no more."""
        busy = True
        while busy:
            busy = False
            for address, (ua, told) in self._ends.items():
                for item in ua.take():
                    busy = True
                    if isinstance(item, Send):
                        self._send(Address("UDP", *address), item)
                    else:
                        told(item)

    def run(self, ms: float) -> None:
        """Let time pass."""
        end = self.now + ms
        self.flush()
        while True:
            due = [ua.next_ms for ua, _ in self._ends.values()] + [flying[0] for flying in self._flying[:1]]
            if min(due) > end:
                break
            self.now = max(self.now, min(due))
            while self._flying and self._flying[0][0] <= self.now:
                _, _, source, to, data = heapq.heappop(self._flying)
                self._ends[to.host, to.port][0].receive(parse(data), source, self.now)
            for ua, _ in self._ends.values():
                ua.timers(self.now)
            self.flush()
        self.now = end

    def _send(self, source: Address, item: Send) -> None:
        self.sent += 1
        copies = 2 if self._random.random() < self._twice else 1
        for _ in range(copies):
            if self._random.random() >= self.loss and (item.to.host, item.to.port) in self._ends:
                arrives = self.now + 1 + self._random.random() * self._delay_ms
                heapq.heappush(self._flying, (arrives, next(self._number), source, item.to, item.data))
