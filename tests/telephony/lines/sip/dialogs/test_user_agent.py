"""What a user agent does with requests as sipp, Kamailio and Asterisk send them."""

import pytest

from telephony.lines.sip.dialogs.events import Invited, Refused
from telephony.lines.sip.syntax.message import MessageError, Request, Response, parse
from telephony.lines.sip.transactions.answers import Refusal
from tests.telephony.lines.sip.peer import THEM, Bench, ack, answered, invite, message, statuses, within

# ---- inside a call ----


def test_sequence_numbers() -> None:
    bench = Bench()
    ok = answered(bench)
    bench.give(ack(ok))
    assert statuses(bench.give(within("OPTIONS", ok, 7, "z9hG4bK-7"))) == [200]
    assert statuses(bench.give(within("OPTIONS", ok, 5, "z9hG4bK-5"))) == [500]
    assert "CSeq 5" in bench.told(Refused).why
    assert statuses(bench.give(within("OPTIONS", ok, 5, "z9hG4bK-5"))) == [500]  # again, from what is kept
    bench.untold(Refused)
    assert statuses(bench.give(within("BYE", ok, 100, "z9hG4bK-8"))) == [200]


@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "UPDATE", "NOTIFY", "OPTIONS", "PRACK"])
def test_unknown_call(method: str) -> None:
    bench = Bench()
    ok = answered(bench)
    stranger = within(method, ok, 2, "z9hG4bK-x")
    stranger.headers.set("To", "<sip:1000@10.0.0.1:5060>;tag=gone")
    assert statuses(bench.give(stranger)) == [481]
    assert "no call of ours" in bench.told(Refused).why


def test_extension_required_inside_a_call() -> None:
    bench = Bench()
    ok = answered(bench)
    bench.give(ack(ok))
    (refusal,) = bench.give(within("INFO", ok, 2, "z9hG4bK-x", add="Require: foo, timer\n"))
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("Unsupported")) == (420, "foo")


def test_unknown_method_inside_a_call() -> None:
    bench = Bench()
    ok = answered(bench)
    bench.give(ack(ok))
    assert statuses(bench.give(within("MESSAGE", ok, 2, "z9hG4bK-x"))) == [405]
    assert statuses(bench.give(within("JUMP", ok, 3, "z9hG4bK-y"))) == [501]


# ---- outside of calls ----


def test_options_keep_nothing() -> None:
    """Asterisk's qualify and Kamailio's dispatcher ask all the time."""
    bench = Bench()
    options = message(
        """
OPTIONS sip:10.0.0.1:5060 SIP/2.0
v: SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK-o
f: <sip:asterisk@10.0.0.2>;tag=as1
t: <sip:10.0.0.1:5060>
i: o1@10.0.0.2
CSeq: 102 OPTIONS
Max-Forwards: 0
"""
    )
    (first,) = bench.give(options)
    (second,) = bench.give(options)
    assert isinstance(first, Response)
    assert first == second
    assert (first.status, first.headers.get("Accept")) == (200, "application/sdp")
    assert " ".join(first.headers.all("Allow")) == "INVITE ACK BYE CANCEL OPTIONS INFO UPDATE NOTIFY PRACK"
    assert bench.ua.idle


OPTIONS = """
OPTIONS sip:10.0.0.1:5060 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK-o
From: <sip:asterisk@10.0.0.2>;tag=as1
To: <sip:10.0.0.1:5060>
Call-ID: o1@10.0.0.2
CSeq: 102 OPTIONS
"""


@pytest.mark.parametrize("status", [486, 503])
def test_options_are_answered_as_a_call_would_be(status: int) -> None:
    """RFC 3261, 11.2: so a trunk learns to send its calls elsewhere."""
    bench = Bench(closed=lambda: Refusal(status, "no room", (("Retry-After", "10"),)))
    (answer,) = bench.give(message(OPTIONS))
    assert isinstance(answer, Response)
    assert (answer.status, answer.headers.get("Retry-After")) == (status, "10")
    assert bench.told(Refused).why == "no room"
    assert bench.ua.idle


def test_options_of_a_caller_who_is_not_admitted() -> None:
    bench = Bench(admit=lambda *_: Refusal(401, "no credentials", (("WWW-Authenticate", "Digest"),)))
    assert statuses(bench.give(message(OPTIONS))) == [401]
    full = Bench(max_calls=0)
    assert statuses(full.give(message(OPTIONS))) == [503]


def test_credentials_are_asked_for_without_keeping_anything() -> None:
    def admit(request: Request, *_: object) -> Refusal | None:
        if "Authorization" in request.headers:
            return None
        return Refusal(401, "no credentials", (("WWW-Authenticate", 'Digest realm="x", nonce="1", qop="auth"'),))

    bench = Bench(admit=admit)
    (asked,) = bench.give(invite())
    assert isinstance(asked, Response)
    assert asked.status == 401
    assert asked.headers.get("WWW-Authenticate").startswith("Digest")
    assert bench.give(invite()) == [asked]
    assert bench.give(ack(asked, branch="z9hG4bK-1")) == []
    assert bench.ua.idle
    bench.untold(Invited)
    again = invite(branch="z9hG4bK-2", CSeq="2 INVITE", add="Authorization: Digest x=1\n")
    assert statuses(bench.give(again)) == [100]
    bench.told(Invited)


def test_stray_acks_and_answers_are_dropped() -> None:
    bench = Bench()
    ok = answered(bench)
    stray = ack(ok)
    stray.headers.set("To", "<sip:x@y>;tag=z")
    assert bench.give(stray) == []
    assert bench.give(ok) == []
    assert bench.ua.stray == 2


def test_merged_request() -> None:
    """A forking proxy sends the same INVITE by two ways (8.2.2.2)."""
    bench = Bench()
    bench.give(invite())
    assert statuses(bench.give(invite(branch="z9hG4bK-other-way"))) == [482]
    bench.told(Invited)


def test_no_room() -> None:
    bench = Bench(max_calls=1)
    answered(bench)
    (refusal,) = bench.give(invite(branch="z9hG4bK-2", Call_ID="second"))
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("Retry-After")) == (503, "10")
    assert bench.told(Refused).why == "too many calls"


def test_transactions_are_bounded_but_a_bye_gets_through() -> None:
    bench = Bench(max_transactions=3)
    ok = answered(bench)
    bench.give(ack(ok))
    replies = [bench.give(within("INFO", ok, n, f"z9hG4bK-{n}")) for n in range(2, 8)]
    assert [statuses(r)[0] for r in replies] == [200, 200, 503, 503, 503, 503]
    assert statuses(bench.give(invite(branch="z9hG4bK-2", Call_ID="second"))) == [503]
    assert statuses(bench.give(within("BYE", ok, 9, "z9hG4bK-9"))) == [200]
    bench.run(64_000)
    assert bench.ua.idle


def test_malformed_requests_are_answered_if_possible() -> None:
    bench = Bench()
    data = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKx;rport\r\nFrom: <sip:a@b>;tag=1\r\n" + (
        b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
    with pytest.raises(MessageError) as caught:
        parse(data)
    bench.ua.malformed(caught.value, THEM)
    assert statuses(bench.take()) == [400]
    bench.ua.malformed(MessageError(400, "nothing to go by"), THEM)
    assert bench.take() == []
    assert bench.ua.stray == 1


def test_refusals_are_told_for_the_log() -> None:
    """A refusal is reported with the peer's address and one sentence."""
    bench = Bench()
    bench.give(invite(add="Require: precondition\n"))
    refused = bench.told(Refused)
    assert (str(refused.source), refused.call_id) == ("udp:10.0.0.2:5070", "1-331@10.0.0.2")
    assert refused.why == "a required extension is not supported"


@pytest.mark.parametrize("allowed", [True, False])
def test_allow_names_refer_where_peers_may_ask_for_transfers(allowed: bool) -> None:
    bench = Bench(allow_refer=allowed)
    ok = answered(bench)
    refused = bench.give(within("PUBLISH", ok, 2, "z9hG4bK-p"))
    for response in (ok, refused[0]):
        assert ("REFER" in response.headers.all("Allow")) is allowed
