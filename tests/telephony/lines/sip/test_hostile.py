"""Whatever arrives: no crash, no leak, and other calls go on."""

from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.events import Acked, Ended, Invited, Reanswered, Referred, Reinvited, Send
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Headers, Message, MessageError, Request, Response, encode, parse
from tests.telephony.lines.sip.peer import OURS, OVER_TCP, SDP, THEM, Bench, ack, answer_to, invite, statuses, within
from tests.telephony.lines.sip.torture import INVALID, VALID

METHODS = "INVITE ACK BYE CANCEL OPTIONS INFO UPDATE NOTIFY REFER REGISTER MESSAGE PRACK SUBSCRIBE NEW".split()
VALUES = {
    "Via": ["SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK-1;rport", "SIP/2.0/TLS [2001:db8::1]", "SIP/2.0/UDP h;branch=1"],
    "From": ["<sip:a@b>;tag=331SIPp1", "sip:a@b", '"x" <tel:+1>;tag=t'],
    "To": ["<sip:1000@10.0.0.1:5060>", "<sip:1000@10.0.0.1>;tag=t3", "<mailto:a@b>;tag=t3"],
    "Call-ID": ["1-331@10.0.0.2", "x"],
    "Contact": ["*", "<tel:+1>", "<sip:a@[::1]>", "<sip:>", "<sip:a@b;transport=ws>", "<sips:a@b>;expires=-1"],
    "Record-Route": ["<sip:p;lr>", "<sip:p>", "<tel:1;lr>", "nonsense", "<sip:p?x=y>"],
    "Require": ["timer", "100rel", ",,,"],
    "Session-Expires": ["90", "1;refresher=us", "99999999999999", ";;", "x"],
    "Min-SE": ["-1", "999999999999", "x", "7200"],
    "Supported": ["timer"],
    "Accept": [";;", "*/*", "text/plain"],
    "Content-Type": ["application/sdp", ";", "x"],
    "Content-Disposition": ["session;handling=", ";;;", "x;handling=optional"],
    "Event": ["refer", ";", "refer;id=93809824"],
    "Subscription-State": ["terminated", ";"],
    "Refer-To": ["<sip:a@b>", "x", "<sip:a@b>, <sip:a@b>"],
    "Reason": ["Q.850;cause", ";;=;", 'x;text="'],
    "Allow": ["UPDATE", ","],
    "Max-Forwards": ["0", "255"],
    "Retry-After": ["(", "-"],
    "WWW-Authenticate": ["Digest", 'Digest realm="x", nonce="y"'],
    "Expires": ["-1", "x"],
}
ALWAYS = ["Via", "From", "To", "Call-ID"]
SOMETIMES = [name for name in VALUES if name not in ALWAYS]


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Requests and answers made of odd parts, so that they are near to what a call of the bench expects."""
    method = draw(st.sampled_from(METHODS))
    headers = Headers()
    for name in ALWAYS + draw(st.lists(st.sampled_from(SOMETIMES), unique=True, max_size=len(SOMETIMES))):
        headers.add(name, draw(st.sampled_from(VALUES[name])))
    headers.add("CSeq", f"{draw(st.integers(0, 9))} {method}")
    body = draw(st.sampled_from([b"", SDP, b"SIP/2.0 200 OK", b"\x00\xff"]))
    if draw(st.booleans()):
        return Response(draw(st.sampled_from([100, 180, 200, 302, 401, 407, 422, 481, 491, 503])), "x", headers, body)
    uri = draw(st.sampled_from(["sip:1000@10.0.0.1", "tel:+1", "sip:;x", "sips:a@[::1]:5061", "x:y"]))
    return Request(method, uri, headers, body)


def feed(bench: Bench, message: Message, source: Address = THEM) -> None:
    try:
        parsed = parse(encode(message))
    except MessageError as error:
        bench.ua.malformed(error, source)
    except ValueError:
        return
    else:
        bench.ua.receive(parsed, source, bench.now)
    bench.take()


def act(bench: Bench, random: Random) -> None:
    """A call layer that does something sensible with everything it is told."""
    events, bench.events = bench.events, []
    for event in events:
        call: Any = {call.id: call for call in bench.ua.calls}.get(getattr(event, "call", ""))  # None once it is over
        if isinstance(event, Invited) and bench.ua.rings(event.call):
            call.accept(OURS, bench.now)
        elif isinstance(event, Reinvited) and call:
            with suppress(CommandError):  # it was cancelled, or the call has ended
                call.answer_reinvite(OURS, bench.now)
        elif isinstance(event, Referred) and random.random() < 0.5 and call and call.up:
            call.refuse_refer(603, bench.now)
        elif isinstance(event, Acked) and random.random() < 0.3 and call and not call.busy:
            call.reinvite(OURS, bench.now)
        assert not isinstance(event, Reanswered) or 200 <= event.status < 700
    bench.take()


@settings(max_examples=60)
@given(received=st.lists(messages(), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_odd_messages_around_a_call(received: list[Message], seed: int) -> None:
    around_a_call(received, seed)


@pytest.mark.slow
@settings(max_examples=150)
@given(received=st.lists(messages(), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_more_of_them(received: list[Message], seed: int) -> None:
    around_a_call(received, seed)


def around_a_call(received: list[Message], seed: int) -> None:
    random = Random(seed)
    bench = Bench(random.choice([THEM, OVER_TCP]), allow_refer=True, max_calls=5, max_transactions=20)
    bench.give(invite())
    act(bench, random)
    for message in received:
        feed(bench, message, bench.source)
        act(bench, random)
        bench.run(random.choice([0, 10, 600, 5000]))
        act(bench, random)
        if random.random() < 0.2:  # our requests are answered with what has just come
            for sent in [parse(item.data) for item in bench.sent[-3:]]:
                if isinstance(sent, Request) and sent.method != "ACK" and isinstance(message, Response):
                    feed(bench, answer_to(sent, message.status, add=[("Contact", "<tel:+1>")]))
    for call in bench.ua.calls:
        call.hang_up(bench.now)
    bench.run(400_000)
    assert bench.ua.idle


def test_torture_messages() -> None:
    """RFC 4475, each in the middle of a call, which goes on."""
    for name, data in [*VALID.items(), *INVALID.items()]:
        bench = Bench(allow_refer=True)
        bench.give(invite())
        call = bench.call(Invited)
        call.accept(OURS, bench.now)
        (ok,) = bench.take()
        assert isinstance(ok, Response)
        bench.give(ack(ok))
        try:
            bench.ua.receive(parse(data if isinstance(data, bytes) else data[0]), THEM, bench.now)
        except MessageError as error:
            bench.ua.malformed(error, THEM)
        answers = [item for item in bench.ua.take() if isinstance(item, Send)]
        assert len(answers) <= 1, name
        assert statuses(bench.give(within("BYE", ok, 2, "z9hG4bK-bye"))) == [200], name
        for other in bench.ua.calls:
            other.hang_up(bench.now)
        bench.run(100_000)
        assert bench.ua.idle, name


def test_flood_of_invites_is_bounded() -> None:
    bench = Bench(max_calls=50, max_transactions=200)
    sent = [statuses(bench.give(invite(branch=f"z9hG4bK-{n}", Call_ID=f"c{n}")))[0] for n in range(300)]
    assert (sent.count(100), sent.count(503)) == (50, 250)
    assert len(bench.ua.calls) == 50
    bench.run(200_000)
    assert bench.ua.idle
    assert sum(isinstance(event, Ended) for event in bench.events) == 50
