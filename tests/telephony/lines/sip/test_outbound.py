"""Calls out over real sockets: answered, busy, declined, not answered, given up, and what of it can be asked for."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from agent.tape.file import read_lines
from agent.tape.replay import replay
from config.exceptions import SettingsError
from telephony.lines.outbound_call import OutboundCall
from telephony.lines.sip.access.digest import Digest
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.outbound import CallRequestError, OutboundCalls
from telephony.server.app import App
from telephony.tapes.replay import open_tape
from tests.telephony.lines.sip.callee import Callee, challenge, reject
from tests.telephony.lines.sip.nameserver import NameServer
from tests.telephony.lines.sip.phone import HOST, over, server
from tests.waiting import until

pytestmark = pytest.mark.looptime
Somebody = Callable[..., Awaitable[Callee]]


def outbound(app: App) -> OutboundCalls:
    assert app.sip
    return app.sip.outbound


async def result(app: App, call: OutboundCall) -> tuple[str, int, str]:
    """How a call ended; nothing may be left of it."""
    await until(lambda: call.over)
    await over(app)
    assert app.sip
    await until(lambda: app.sip is not None and not app.sip.calls)
    return call.state, call.status, call.reason


def counted(app: App, kind: str) -> bool:
    return f'voxline_dialled_total{{result="{kind}"}} 1.0' in app.metrics.exposition().decode()


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_one_server_calls_another(caplog: pytest.LogCaptureFixture, transport: str) -> None:
    """Both agents greet; the one that is called hears the other, and the one who called hangs up."""
    caplog.set_level(logging.INFO)
    async with AsyncExitStack() as stack:
        ours, theirs = [await stack.enter_async_context(server()) for _ in range(2)]
        assert theirs.sip
        port = theirs.sip.ports[transport]
        call = outbound(ours).originate(f"sip:front_desk@{HOST}:{port};transport={transport.lower()}")
        await until(lambda: call.state == "answered" and bool(ours.calls))
        (line,) = ours.calls
        await until(lambda: line.counts()["frames"] > 50)
        assert "voxline_calls_active 1.0" in ours.metrics.exposition().decode()
        outbound(ours).cancel(call.id)
        assert await result(ours, call) == ("ended", 0, "hung up here")
        assert call.outcome == "hangup"
        await over(theirs)
        assert counted(ours, "answered")
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in ours.metrics.exposition().decode()
    mine = [r.message for r in caplog.records if getattr(r, "call", "") == call.id]
    assert [m for m in mine if m != "said"] == ["dial", "started", "ended"]


@pytest.mark.parametrize(("numbers", "shown"), [("full", "15550100123@"), ("masked", "********123@"), ("off", "")])
async def test_the_log_shows_as_much_of_a_dialled_number_as_it_may(
    caplog: pytest.LogCaptureFixture, numbers: str, shown: str
) -> None:
    caplog.set_level(logging.INFO)
    async with server(log__numbers=numbers) as ours, Callee() as one:
        call = outbound(ours).originate(f"sip:15550100123@{one.uri.partition('@')[2]}")
        assert "15550100123" in call.to
        await until(lambda: call.state == "answered")
        outbound(ours).cancel(call.id)
        await result(ours, call)
    (line,) = (vars(record) for record in caplog.records if record.message == "dial")
    assert shown in line["to"]
    assert ("15550100123" in " ".join(str(vars(record)) for record in caplog.records)) == (numbers == "full")


async def test_an_extension_is_dialled_before_the_greeting(
    caplog: pytest.LogCaptureFixture, pressed: list[str], sent: list[bytes], tmp_path: Path
) -> None:
    """What is pressed stands on a full tape, which replays to the same, and nowhere else."""
    caplog.set_level(logging.INFO)
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(server(engine__simulated__words=0))
        ours = await stack.enter_async_context(server(tape__mode="full", server__data=str(tmp_path)))
        assert theirs.sip
        call = outbound(ours).originate(f"sip:front_desk@{HOST}:{theirs.sip.ports['UDP']}", keys="w104#")
        await until(lambda: len(pressed) == 4)
        assert pressed == ["1", "0", "4", "#"]
        assert not sent
        await until(lambda: bool(sent))  # the greeting
        outbound(ours).cancel(call.id)
        assert await result(ours, call) == ("ended", 0, "hung up here")
        await over(theirs)
    assert "104#" not in caplog.text + str(msgspec.to_builtins(call))
    assert [getattr(r, "count", 0) for r in caplog.records if r.message == "pressed"] == [5]
    (tape,) = (tmp_path / "tapes").iterdir()
    head, steps = open_tape(tape)
    assert head.keys == "w104#"
    assert [command["type"] for command in steps[0].commands] == ["Press"]
    assert replay(head, steps).difference is None


async def test_a_log_with_words_tells_the_keys_a_tape_without_them_does_not(
    caplog: pytest.LogCaptureFixture, pressed: list[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    settings = {"tape__mode": "metadata", "log__words": True, "server__data": str(tmp_path)}
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(server())
        ours = await stack.enter_async_context(server(**settings))
        assert theirs.sip
        call = outbound(ours).originate(f"sip:front_desk@{HOST}:{theirs.sip.ports['UDP']}", keys="77*")
        await until(lambda: len(pressed) == 3)
        outbound(ours).cancel(call.id)
        await result(ours, call)
        await over(theirs)
    (tape,) = (tmp_path / "tapes").iterdir()
    text = b"\n".join(read_lines(tape))
    assert b'"Press"' in text
    assert b"77*" not in text
    assert [getattr(r, "keys", "") for r in caplog.records if r.message == "pressed"] == ["77*"]


async def test_the_called_party_hears_the_greeting_and_hangs_up(callee: Somebody, sent: list[bytes]) -> None:
    one = await callee()
    async with server() as app:
        call = outbound(app).originate(one.uri)
        assert (call.state, call.agent) == ("calling", "front_desk")
        await until(lambda: call.state == "answered")
        await until(lambda: bool(sent))
        one.hang_up()
        assert await result(app, call) == ("ended", 0, "the called party hung up")
        assert call.outcome == "hangup"
        invite = one.requests[0]
        assert invite.uri == one.uri
        assert invite.headers.get("From").startswith(f"<sip:voxline@{HOST}>;tag=")


@pytest.mark.parametrize(
    ("status", "expected"), [(486, "busy"), (600, "busy"), (603, "declined"), (480, "unanswered"), (404, "failed")]
)
async def test_refused(callee: Somebody, status: int, expected: str) -> None:
    one = await callee(reject(status))
    async with server() as app:
        call = outbound(app).originate(one.uri)
        state, told, reason = await result(app, call)
        assert (state, told, bool(reason)) == (expected, status, True)
        assert counted(app, expected)
        assert "voxline_calls_total{" not in app.metrics.exposition().decode()


async def test_redirection_is_not_followed(callee: Somebody) -> None:
    one = await callee(reject(302))
    async with server() as app:
        call = outbound(app).originate(one.uri)
        assert await result(app, call) == ("failed", 302, "redirections are not followed")


async def test_not_answered_in_time_is_given_up(callee: Somebody) -> None:
    one = await callee(Callee.ring)
    async with server(sip__ring_timeout_s=0.3) as app:
        call = outbound(app).originate(one.uri)
        await until(lambda: call.state == "ringing")
        assert (await result(app, call))[0] == "unanswered"
        await one.until(lambda: "CANCEL" in one.methods())
        await one.until(lambda: bool(one.ended))


async def test_given_up_while_it_rings(callee: Somebody) -> None:
    one = await callee(Callee.ring)
    async with server() as app:
        call = outbound(app).originate(one.uri)
        await until(lambda: call.state == "ringing")
        outbound(app).cancel(call.id)
        assert await result(app, call) == ("cancelled", 0, "")
        await one.until(lambda: "CANCEL" in one.methods())
        outbound(app).cancel(call.id)
        assert call.state == "cancelled"


async def test_given_up_before_it_was_sent(callee: Somebody) -> None:
    one = await callee()
    async with server() as app:
        call = outbound(app).originate(one.uri)
        outbound(app).cancel(call.id)
        assert await result(app, call) == ("cancelled", 0, "")
        assert one.requests == []


async def test_nobody_is_there() -> None:
    async with server() as app:
        call = outbound(app).originate(f"sip:bob@{HOST}:1;transport=tcp")
        assert (await result(app, call))[:2] == ("failed", 503)


@pytest.mark.parametrize(("status", "to"), [(401, "+15550100123"), (407, "tel:+15550100123;ext=7")])
async def test_password_of_the_trunk(callee: Somebody, status: int, to: str) -> None:
    one = await callee(admit=challenge(status, Digest("trunk", {"agent": "pw123"})))
    trunk = {"server": f"sip:{HOST}:{one.port}", "user": "agent", "password": "pw123"}
    async with server(sip__trunks={"pbx": trunk}) as app:
        call = outbound(app).originate(to, trunk="pbx")
        assert call.to == f"sip:+15550100123@{HOST}:{one.port}"
        await until(lambda: call.state == "answered")
        assert one.requests[-1].headers.get("From").startswith(f"<sip:agent@{HOST}>")
        one.hang_up()
        await result(app, call)
        wrong = outbound(app).originate(one.uri)
        assert (await result(app, wrong))[:2] == ("failed", status)


async def test_agent_of_the_trunk_and_of_the_call(
    callee: Somebody, agents: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = await callee()
    trunk = {"server": f"sip:{HOST}:{one.port}", "agent": "night", "from": "sip:+15550109999@example.com"}
    async with server(agents=agents, sip__trunks={"pbx": trunk}) as app:
        for asked in ("", "front_desk"):
            call = outbound(app).originate("bob", asked, "pbx")
            await until(lambda call=call: call.state == "answered")
            one.hang_up()
            await result(app, call)
        assert one.requests[0].headers.get("From").startswith("<sip:+15550109999@example.com>")
    assert [r.agent for r in caplog.records if r.message == "started"] == ["night", "front_desk"]


@pytest.mark.parametrize(
    ("to", "agent", "trunk", "why"),
    [
        ("sip:bob@example.com", "", "acme", "there is no trunk 'acme'; there are: pbx"),
        ("sip:bob@example.com", "nobody", "", "there is no agent 'nobody'"),
        ("+15550100123", "", "", "to: "),
        ("tel:+15550100123", "", "", "to: a SIP address is wanted"),
        ("sip:bob@example.com?Replaces=x", "", "", "to: a SIP address is wanted"),
        ("bob@elsewhere.example", "", "pbx", "to: a SIP URI with an empty user or a second @"),
        ("bob\r\nEvil: 1", "", "pbx", "to: "),
    ],
)
async def test_the_reason_is_given_if_a_call_cannot_be_originated(to: str, agent: str, trunk: str, why: str) -> None:
    async with server(sip__trunks={"pbx": {"server": f"sip:{HOST}"}}) as app:
        with pytest.raises(CallRequestError) as error:
            outbound(app).originate(to, agent, trunk)
        assert str(error.value).startswith(why)
        assert not error.value.now
        assert app.admission.active == 0


async def test_capacity_counts_calls_of_ours_from_the_start(callee: Somebody) -> None:
    one = await callee(Callee.ring)
    async with server(call__capacity=1) as app:
        call = outbound(app).originate(one.uri)
        with pytest.raises(CallRequestError, match="no capacity") as error:
            outbound(app).originate(one.uri)
        assert error.value.now
        await until(lambda: call.state == "ringing")
        outbound(app).cancel(call.id)
        await result(app, call)
        outbound(app).cancel(outbound(app).originate(one.uri).id)


async def test_draining_gives_up_ringing_calls_and_originates_none(callee: Somebody) -> None:
    one = await callee(Callee.ring)
    async with server() as app:
        call = outbound(app).originate(one.uri)
        await until(lambda: call.state == "ringing")
        await app.drain()
        assert call.state == "cancelled"
        with pytest.raises(CallRequestError, match="about to end"):
            outbound(app).originate(one.uri)
    await one.until(lambda: bool(one.ended))


async def test_end_of_the_server_ends_calls_of_ours(callee: Somebody) -> None:
    one = await callee()
    async with server() as app:
        call = outbound(app).originate(one.uri)
        await until(lambda: call.state == "answered")
    assert (call.state, call.outcome) == ("ended", "hangup")
    await one.until(lambda: bool(one.ended))


async def test_early_audio_is_not_heard(callee: Somebody, heard: list[bytes]) -> None:
    """183 with a description, and ringing tones by RTP: nothing of it reaches the agent once the call is answered."""

    def tones(callee: Callee, call: UasCall) -> None:
        call.progress(183, callee.now_ms())

    one = await callee(tones)
    async with server() as app:
        call = outbound(app).originate(one.uri)
        await until(lambda: call.state == "ringing")
        assert app.sip
        (line,) = app.sip.calls.values()
        port = line.agreement._negotiation.capabilities.port
        for number in range(50):
            packet = b"\x80\x00" + number.to_bytes(2) + (160 * number).to_bytes(4) + b"tone" + b"\x20" * 160
            one._transport.sendto(packet, (HOST, port))
        assert one.call
        one.answer(one.call)
        one._flush()
        await until(lambda: len(heard) > 10)
        assert not any(any(piece) for piece in heard)
        one.hang_up()
        await result(app, call)


async def test_answer_that_makes_no_sense_ends_the_call(callee: Somebody) -> None:
    one = await callee(lambda callee, call: call.accept(b"v=0\r\nnonsense", callee.now_ms()))
    async with server() as app:
        call = outbound(app).originate(one.uri)
        state, _, reason = await result(app, call)
        assert (state, call.outcome) == ("ended", "failed")
        assert reason.startswith("no agreement: ")
        await one.until(lambda: "BYE" in one.methods())


async def test_calls_that_are_over_are_forgotten_in_the_end(callee: Somebody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telephony.lines.sip.outbound.MOST_KEPT", 2)
    one = await callee(reject(486))
    async with server() as app:
        calls = [outbound(app).originate(one.uri) for _ in range(3)]
        await until(lambda: all(call.over for call in calls))
        assert [outbound(app).get(call.id) is None for call in calls].count(True) == 1


async def test_name_leads_to_the_server_that_answers(
    callee: Somebody, nameserver: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SRV; the first one is silent, the second takes the call."""
    monkeypatch.setattr("telephony.lines.sip.dialogs.exchange.HURRY_MS", 300)
    first, second = await callee(), await callee()
    first.silent = True
    nameserver.records |= {
        ("_sip._udp.example.com", "SRV"): [f"1 0 {first.port} a.example.com.", f"2 0 {second.port} a.example.com."],
        ("a.example.com", "A"): [HOST],
    }
    async with server() as app:
        call = outbound(app).originate("sip:bob@example.com")
        await until(lambda: call.state == "answered")
        assert first.requests
        assert second.requests[0].uri == "sip:bob@example.com"
        second.hang_up()
        assert (await result(app, call))[0] == "ended"


async def test_name_that_leads_nowhere(nameserver: NameServer) -> None:
    async with server() as app:
        call = outbound(app).originate("sip:bob@nowhere.example")
        state, _, reason = await result(app, call)
        assert (state, reason) == ("failed", "nowhere.example: NXDOMAIN asking DNS for A")
        assert app.admission.active == 0


async def test_contact_with_a_name_is_looked_up_for_what_follows(callee: Somebody, nameserver: NameServer) -> None:
    """The phone says that it is to be reached by name: the ACK and our BYE arrive there."""
    one = await callee(contact="phones.example.com")
    nameserver.records["phones.example.com", "A"] = [HOST]
    async with server() as app:
        call = outbound(app).originate(one.uri)
        await until(lambda: call.state == "answered")
        await one.until(lambda: one.acked)
        outbound(app).cancel(call.id)
        assert (await result(app, call))[0] == "ended"
        await one.until(lambda: bool(one.ended))
        assert [name for name, _ in nameserver.asked].count("phones.example.com") == 1


async def test_who_is_called_may_answer_although_it_may_not_call(callee: Somebody) -> None:
    one = await callee()
    async with server(sip__trusted=["192.0.2.0/24"]) as app:
        call = outbound(app).originate(one.uri)
        await until(lambda: call.state == "answered")
        one.hang_up()
        assert (await result(app, call))[2] == "the called party hung up"


async def test_secure_call_wants_a_certificate_for_the_name_that_is_called(
    nameserver: NameServer, make_certificate: Callable[..., dict[str, str]]
) -> None:
    """DNS leads to a host of another name: the certificate has to be for the domain, and is."""
    files = make_certificate("DNS:voice.example.com")
    secure = {"sip__transports": ["tls"], "sip__tls_port": 0, "sip__tls_ca": files["tls_cert"]}
    secure |= {f"sip__{key}": file for key, file in files.items()}
    async with AsyncExitStack() as stack:
        ours, theirs = [await stack.enter_async_context(server(**secure)) for _ in range(2)]
        assert theirs.sip
        for domain in ("voice", "other"):
            service = f"1 0 {theirs.sip.ports['TLS']} host.example.net."
            nameserver.records[f"_sips._tcp.{domain}.example.com", "SRV"] = [service]
        nameserver.records["host.example.net", "A"] = [HOST]
        wrong = outbound(ours).originate("sips:front_desk@other.example.com")
        assert (await result(ours, wrong))[:2] == ("failed", 503)
        call = outbound(ours).originate("sips:front_desk@voice.example.com")
        await until(lambda: call.state == "answered")
        wrong = outbound(ours).originate("sips:front_desk@other.example.com")  # not by the connection that is there
        await until(lambda: wrong.over)
        assert (wrong.state, wrong.status) == ("failed", 503)
        outbound(ours).cancel(call.id)
        assert (await result(ours, call))[0] == "ended"
        await over(theirs)


async def test_server_with_a_certificate_of_a_private_authority(
    signed: tuple[dict[str, str], str], caplog: pytest.LogCaptureFixture
) -> None:
    """It is called once the authority's file is in the settings; without it the log says what is missing."""
    files, authority = signed
    secure = {"sip__transports": ["tls"], "sip__tls_port": 0} | {f"sip__{key}": file for key, file in files.items()}
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(server(**secure))
        trusting = await stack.enter_async_context(server(sip__tls_ca=authority))
        wary = await stack.enter_async_context(server())
        assert theirs.sip
        to = f"sip:front_desk@{HOST}:{theirs.sip.ports['TLS']};transport=tls"
        assert (await result(wary, outbound(wary).originate(to)))[:2] == ("failed", 503)
        assert "no connection by TLS: " in caplog.text
        assert "unable to get local issuer certificate" in caplog.text
        call = outbound(trusting).originate(to)
        await until(lambda: call.state == "answered")
        outbound(trusting).cancel(call.id)
        assert (await result(trusting, call))[0] == "ended"
        await over(theirs)


async def test_file_of_authorities_that_is_of_no_use_is_a_refused_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(SettingsError, match=r"sip\.tls_ca: .*ca\.pem' has no PEM text with CERTIFICATE"):
        async with server(sip__tls_ca=str(tmp_path / "ca.pem")):
            pass


async def test_tape_of_a_call_of_ours(callee: Somebody, tmp_path: Path) -> None:
    """Answered ones leave a tape, by the same id; the others nothing."""
    one, two = await callee(), await callee(reject(486))
    async with server(server__data=str(tmp_path), tape__mode="full") as app:
        call, busy = outbound(app).originate(one.uri), outbound(app).originate(two.uri)
        await until(lambda: call.state == "answered" and bool(app.calls))
        (line,) = app.calls
        assert isinstance(line, SipCall)
        await until(lambda: line.player.playout.reply > 0)
        await until(lambda: busy.over)
        one.hang_up()
        await result(app, call)
    (tape,) = (tmp_path / "tapes").iterdir()
    assert call.id in tape.name
    *_, last = read_lines(tape)
    assert b"the called party hung up" in last
