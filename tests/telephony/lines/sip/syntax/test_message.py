"""SIP messages: the torture tests of RFC 4475, framing on streams, limits, and any bytes at all."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.lines.sip.syntax import message as sip
from telephony.lines.sip.syntax.header import (
    parse_cseq,
    parse_name_addr,
    parse_uri,
    parse_via,
    split_list,
    unescape,
    unquote,
)
from telephony.lines.sip.syntax.message import (
    Headers,
    KeepAlive,
    Message,
    MessageError,
    Request,
    Response,
    StreamParser,
)
from tests.telephony.lines.sip.torture import INVALID, SDP, VALID, request, wire

OPTIONS = request("plain", "OPTIONS sip:user@example.com SIP/2.0")
INVITE = request("call", "INVITE sip:user@example.com SIP/2.0")


def parsed(name: str) -> Request:
    message = sip.parse(VALID[name])
    assert isinstance(message, Request)
    return message


def refused(data: bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        sip.parse(data)
    return caught.value


def collect(parser: StreamParser, data: bytes, found: list[object]) -> list[object]:
    """Feed, and go on behind bad messages; what came, errors as text."""
    while True:
        try:
            return found + parser.feed(data)
        except MessageError as error:
            found = [*found, *error.before, str(error)]
            if error.fatal:
                return found
            data = b""


# ---- RFC 4475: what is well-formed ----


def test_wsinv() -> None:
    invite = parsed("wsinv")
    assert (invite.method, invite.uri) == ("INVITE", "sip:vivekg@chair-dnrc.example.com;unknownparam")
    to, caller = parse_name_addr(invite.headers.get("To")), parse_name_addr(invite.headers.get("From"))
    assert (str(to.uri), to.params) == ("sip:vivekg@chair-dnrc.example.com", {"tag": "1918181833n"})
    assert (caller.display, str(caller.uri), caller.params) == (
        'J Rosenberg \\"', "sip:jdrosen@example.com", {"tag": "98asjd8"}
    )  # fmt: skip
    assert parse_cseq(invite.headers.get("CSeq")).number == 9
    assert [(via.transport, via.host, via.branch) for via in map(parse_via, invite.headers.all("Via"))] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    contact = parse_name_addr(invite.headers.get("Contact"))
    assert contact.display == 'Quoted string ""'
    assert contact.params == {"newparam": "newvalue", "secondparam": "", "q": "0.33"}
    assert invite.headers.get("Subject", "none") == ""
    assert invite.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert invite.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    route = parse_name_addr(invite.headers.get("Route"))
    assert route.uri.params == {"lr": "", "unknownwith": "value", "unknown-no-value": ""}
    assert invite.body == b"v=0\r\ns=-"


def test_intmeth() -> None:
    message = parsed("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    uri = parse_uri(message.uri)
    assert (uri.user, uri.host) == ("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", "example.com")
    assert uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert str(uri) == message.uri
    assert parse_name_addr(message.headers.get("To")).display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    caller = parse_name_addr(message.headers.get("From"))
    assert caller.display == "token1~` token2'+_ token3*%!.-"
    assert caller.params == {"fromparam''~+*_!.-%": '"работающий"', "tag": "_token~1'+`*%!-."}
    assert message.headers.get("Call-ID") == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "大停電"


def test_escapes_mean_something_in_uris_only() -> None:
    invite = parsed("esc01")
    uri, contact = parse_uri(invite.uri), parse_name_addr(invite.headers.get("Contact")).uri
    assert (uri.scheme, unescape(uri.user), uri.host) == ("sip", "sips:user@example.com", "example.net")
    assert unescape(parse_name_addr(invite.headers.get("To")).uri.user) == "user"
    assert unescape(parse_name_addr(invite.headers.get("From")).uri.user) == "I have spaces"
    assert unescape(contact.user) == "caller"
    assert {unescape(name): unescape(value) for name, value in contact.params.items()} == {"lr": "", "name": "value%41"}

    register = parsed("escnull")
    assert [unescape(parse_name_addr(c).uri.user) for c in register.headers.all("m")] == ["\0", "\0\0"]

    other = parsed("esc02")
    assert other.method == "RE%47IST%45R"
    assert parse_name_addr(other.headers.get("To")).display == "%Z%45"
    assert [str(parse_name_addr(c).uri) for c in other.headers.all("Contact")] == [
        "sip:alias1@host1.example.com", "sip:alias3@host3.example.com"
    ]  # fmt: skip


def test_odd_and_valid() -> None:
    caller = parse_name_addr(parsed("lwsdisp").headers.get("From"))
    assert (caller.display, caller.uri.user, caller.params["tag"]) == ("caller", "caller", "323")

    long = parsed("longreq")
    assert len(long.headers.all("Via")) == 33
    assert parse_via(long.headers.all("Via")[-1]).host == "sip31.example.com"
    to = parse_name_addr(long.headers.get("To"))
    assert (len(to.display), to.uri.port, len(to.uri.params)) == (103, 6000, 3)
    assert len(parse_name_addr(long.headers.get("From")).params["tag"]) == 253

    assert parsed("dblreq").method == "REGISTER"  # what follows in the datagram is ignored
    assert parsed("dblreq").body == b""

    uri = parse_uri(parsed("semiuri").uri)
    assert (uri.user, uri.host, uri.params) == ("user;par=u%40example.net", "example.com", {})

    vias = [parse_via(via).transport for via in parsed("transports").headers.all("Via")]
    assert vias == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]

    body = parsed("mpart01").body
    assert body.endswith(b"--7a9cbec02ceef655--\r\n")
    assert b"\xf7\r\x01\x00\n\r\r\n" in body


def test_responses() -> None:
    unreason, noreason = sip.parse(VALID["unreason"]), sip.parse(VALID["noreason"])
    assert isinstance(unreason, Response)
    assert isinstance(noreason, Response)
    assert (unreason.status, unreason.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert (noreason.status, noreason.reason) == (100, "")
    short = sip.parse(VALID["noreason"].replace(b"100 \r\n", b"100\r\n"))
    assert short == noreason


def test_left_to_the_application() -> None:
    assert parse_uri(parsed("unkscm").uri).scheme == "nobodyknowsthisscheme"
    assert parse_uri(parsed("novelsc").uri).user == "//192.0.2.103:3002"
    assert str(parse_name_addr(parsed("unksm2").headers.get("From")).uri) == "http://www.example.com"
    assert parsed("bext01").headers.all("Require") == ["nothingSupportsThis", "nothingSupportsThisEither"]
    every = request("unbind", "REGISTER sip:example.com SIP/2.0", "Contact: *")
    assert sip.parse(every).headers.get("Contact") == "*"
    assert parsed("zeromf").headers.get("Max-Forwards") == "0"
    assert parsed("regaut01").headers.get("Authorization") == "NoOneKnowsThisScheme opaque-data=here"
    # Without angle brackets a parameter is the header's, with them the URI's.
    bare, inside = (parse_name_addr(parsed(name).headers.get("m")) for name in ("cparam01", "cparam02"))
    assert (bare.params, bare.uri.params) == ({"unknownparam": ""}, {})
    assert (inside.params, inside.uri.params) == ({}, {"unknownparam": ""})
    assert parse_name_addr(parsed("regescrt").headers.get("m")).uri.headers == "Route=%3Csip:sip.example.com%3E"
    old = parsed("inv2543")
    assert parse_via(old.headers.get("Via")).branch == ""
    assert old.body == SDP.replace("\n", "\r\n").encode()


def test_ill_formed_and_taken() -> None:
    assert parsed("baddate").method == "INVITE"
    spaced = parse_name_addr(parsed("badaspec").headers.get("To"))
    assert (spaced.display, str(spaced.uri)) == ("Watson, Thomas", "sip:t.watson@example.org")
    assert parse_name_addr(parsed("baddn").headers.get("From")).display == "Bell, Alexander"


@pytest.mark.parametrize("name", VALID)
def test_what_was_read_is_written_so_that_it_reads_the_same(name: str) -> None:
    message = sip.parse(VALID[name])
    message.headers.set("Content-Length", str(len(message.body)))  # dblreq and inv2543 come without a true one
    assert sip.parse(sip.encode(message)) == message


# ---- RFC 4475: what is not ----


@pytest.mark.parametrize("name", INVALID)
def test_invalid(name: str) -> None:
    data, text, answerable = INVALID[name]
    error = refused(data)
    assert str(error) == text
    assert (error.request is not None) == answerable
    if error.request is not None:
        assert error.request.method == data.split()[0].decode()
        assert error.request.headers.get("Call-ID").startswith(name)
        assert not error.request.body


def test_a_bad_ack_is_never_answered() -> None:
    assert refused(request("ack", "ACK sip:a@example.com  SIP/2.0")).request is None
    assert refused(request("bye", "BYE sip:a@example.com  SIP/2.0")).request is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        OPTIONS.replace(b"\r\n", b"\n"),
        OPTIONS.replace(b"\r\n", b"\r"),
        OPTIONS.replace(b"To: ", b"To: x\nX: "),
        OPTIONS.replace(b"To: ", b"To: x\rX: "),
        OPTIONS.replace(b"To: ", b"To: \0"),
        OPTIONS.replace(b"To: ", b"T\xc3\xb6: "),
        OPTIONS.replace(b"To: ", b"To "),
        OPTIONS.replace(b"Via: SIP/2.0/UDP", b"Via: SIP/2.0"),
        OPTIONS.replace(b"SIP/2.0\r\n", b"SIP/2.0\r\n folded\r\n", 1),
        OPTIONS.replace(b"SIP/2.0\r\n", b"SIP/2.0\n\r\n", 1),
        OPTIONS.replace(b"sip:user@example.com", b"user@example.com"),
        OPTIONS.replace(b"sip:user@example.com", b"sip:a@b@example.com"),
    ],
)
def test_refused(data: bytes) -> None:
    assert refused(data).status == 400


def test_limits() -> None:
    room = b"X: %s\r\n"
    lines = OPTIONS.split(b"\r\n", 1)
    more = [len(lines[1].strip().split(b"\r\n")) + n for n in (0, 1)]
    full = b"\r\n".join([lines[0], *(sip.MAX_HEADERS - more[0]) * [b"X: y"], lines[1]])
    assert len(sip.parse(full).headers) == sip.MAX_HEADERS
    too_many = refused(full.replace(b"X: y\r\n", b"X: y\r\nX: y\r\n", 1))
    assert str(too_many) == "413 Too Many Headers"

    long = OPTIONS.replace(b"To: ", room % (b"x" * (8192 - 3)) + b"To: ")
    assert sip.parse(long)
    assert str(refused(long.replace(b"X: ", b"X:  "))) == "413 Header Too Long"
    assert str(refused(OPTIONS.replace(b"user@", 8192 * b"u" + b"@", 1))) == "413 Start Line Too Long"

    for name, item in ((b"Via", b"SIP/2.0/UDP a"), (b"Contact", b"sip:a@b")):
        some = OPTIONS.replace(b"To: ", name + b": " + b",".join(128 * [item]) + b"\r\nTo: ")
        most = some.replace(item + b",", b"", 1) if name == b"Via" else some  # there is one already
        assert sip.parse(most)
        assert str(refused(most.replace(item, item + b"," + item, 1))) == f"413 Too Many in {name.decode()}"

    whole = wire(OPTIONS.decode().partition("\r\nContent-Length")[0].replace("\r\n", "\n"), 64_000 * b"x")
    big = whole.replace(b"64000", b"%d" % (64_000 + 65_536 - len(whole))) + (65_536 - len(whole)) * b"x"
    assert len(sip.parse(big).body) > 64_000
    assert str(refused(big + b"x")) == "413 Message Too Large"


def test_text_of_old_exchanges() -> None:
    utf8 = request("name", "OPTIONS sip:u@example.com SIP/2.0", from_='"Zoë" <sip:zoe@example.com>;tag=1')
    latin = utf8.replace("ë".encode(), b"\xeb")
    assert parse_name_addr(sip.parse(utf8).headers.get("f")).display == "Zoë"
    assert sip.parse(latin) == sip.parse(utf8)


def test_what_keeps_a_nat_open() -> None:
    assert all(map(sip.is_keep_alive, (b"", b"\r\n\r\n", b"\r\n", b"\0\0\0\0")))
    assert not sip.is_keep_alive(OPTIONS)
    assert sip.parse(b"\r\n\r\n" + OPTIONS) == sip.parse(OPTIONS)


# ---- writing ----


@pytest.mark.parametrize(
    "message",
    [
        Request("IN VITE", "sip:a@b", Headers()),
        Request("", "sip:a@b", Headers()),
        Request("INVITE", "", Headers()),
        Request("INVITE", "sip:a@b SIP/2.0\r\nX: y", Headers()),
        Request("INVITE", "sip:a b", Headers()),
        Response(200, "OK\r\nX: y", Headers()),
        Response(99, "Low", Headers()),
        Response(700, "High", Headers()),
    ],
)
def test_no_other_start_line_gets_out(message: Message) -> None:
    with pytest.raises(ValueError, match="needs a"):
        sip.encode(message)


def test_encode() -> None:
    headers = Headers([("Via", "SIP/2.0/UDP a"), ("l", "99"), ("Subject", "ü")])
    assert sip.encode(Response(486, "Busy Here", headers, b"ab")) == (
        "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP a\r\nContent-Length: 2\r\nSubject: ü\r\n\r\nab".encode()
    )
    assert headers.get("Content-Length") == "99"  # the message stays as it is
    assert sip.encode(Request("BYE", "sip:a", Headers())) == b"BYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
WORD = st.text("abcxyzABC019-.!%*_+`'~", min_size=1, max_size=12)
QUOTED = TEXT.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')


@st.composite
def messages(draw: st.DrawFn) -> Message:
    method = draw(WORD)
    headers = Headers(
        [("Via", f"SIP/2.0/{draw(WORD)} host.example.com:{draw(st.integers(0, 65535))};branch={draw(WORD)}")]
    )
    headers.add("f", f"{draw(QUOTED)} <sip:{draw(WORD)}@example.com>;tag={draw(WORD)}")
    headers.add("To", f"<sip:{draw(WORD)}@[2001:db8::1]:5060;{draw(WORD)}={draw(WORD)}>")
    headers.add("Call-ID", draw(WORD))
    headers.add("CSeq", f"{draw(st.integers(0, 2**31 - 1))} {method}")
    for name, value in draw(st.lists(st.tuples(WORD.map(lambda word: "X-" + word), TEXT), max_size=5)):
        headers.add(name, value)
    body = draw(st.binary(max_size=50))
    headers.add(draw(st.sampled_from(["l", "Content-Length", "CONTENT-LENGTH"])), str(len(body)))
    if draw(st.booleans()):
        return Request(method, f"sip:{draw(WORD)}@example.com;{draw(WORD)}", headers, body)
    return Response(draw(st.integers(100, 699)), draw(TEXT), headers, body)


@given(messages())
def test_messages_come_back(message: Message) -> None:
    assert sip.parse(sip.encode(message)) == message


# ---- streams ----


def test_a_stream() -> None:
    parser = StreamParser()
    assert parser.feed(INVITE + OPTIONS + INVITE[:100]) == [sip.parse(INVITE), sip.parse(OPTIONS)]
    assert parser.feed(INVITE[100:-1]) == []
    assert parser.feed(INVITE[-1:] + b"\r\n\r\n" + OPTIONS) == [sip.parse(INVITE), KeepAlive(), sip.parse(OPTIONS)]
    assert parser.feed(b"\r\n" + OPTIONS) == [sip.parse(OPTIONS)]  # a pong, ignored
    assert parser.feed(b"\r") == []
    assert parser.feed(b"\n") == []
    assert parser.feed(OPTIONS) == [sip.parse(OPTIONS)]
    folded = INVITE.replace(b"Content-Length: ", b"L :\r\n ")
    assert parser.feed(folded) == [sip.parse(INVITE.replace(b"Content-Length", b"L"))]


def test_a_bad_message_on_a_stream_loses_nothing_else() -> None:
    parser = StreamParser()
    with pytest.raises(MessageError) as caught:
        parser.feed(OPTIONS + INVALID["lwsstart"][0] + INVITE)
    error = caught.value
    assert (str(error), error.fatal, error.before) == ("400 Bad Request Line", False, [sip.parse(OPTIONS)])
    assert error.request is not None
    assert parser.feed(b"") == [sip.parse(INVITE)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (INVITE.replace(b"Content-Length: ", b"X-Length: "), "400 A Stream Needs One Good Content-Length"),
        (INVITE.replace(b"To: ", b"L: x\r\nTo: "), "400 A Stream Needs One Good Content-Length"),
        (INVALID["ncl"][0], "400 A Stream Needs One Good Content-Length"),
        (INVALID["mcl01"][0], "400 A Stream Needs One Good Content-Length"),
        (OPTIONS.replace(b"Content-Length: 0", b"Content-Length: 0x1"), "400 A Stream Needs One Good Content-Length"),
        (OPTIONS.replace(b"Content-Length: 0", b"Content-Length: 999999999"), "413 Message Too Large"),
        (OPTIONS.replace(b"Content-Length: 0", b"Content-Length: 65500"), "413 Message Too Large"),
    ],
)
def test_where_the_next_message_begins_is_unknown(data: bytes, text: str) -> None:
    parser = StreamParser()
    with pytest.raises(MessageError) as caught:
        parser.feed(OPTIONS + data)
    assert (str(caught.value), caught.value.fatal, caught.value.before) == (text, True, [sip.parse(OPTIONS)])
    assert caught.value.request is not None
    for _ in range(2):
        with pytest.raises(MessageError) as again:
            parser.feed(OPTIONS)
        assert (str(again.value), again.value.fatal, again.value.request) == (text, True, None)


def test_a_bad_ack_on_a_stream_is_not_answered_either() -> None:
    with pytest.raises(MessageError) as caught:
        StreamParser().feed(request("ack", "ACK sip:a@example.com SIP/2.0", l=None))
    assert caught.value.fatal
    assert caught.value.request is None


def test_headers_without_end() -> None:
    for chunk in (b"x", b"X: y\r\n", b"\n"):
        parser, fed = StreamParser(), 0
        with pytest.raises(MessageError, match="413"):
            while fed < 10 * sip.MAX_BYTES:
                parser.feed(400 * chunk)
                fed += 400 * len(chunk)
        assert fed < sip.MAX_BYTES + 400 * len(chunk)


PIECES = [INVITE, OPTIONS, b"\r\n", b"\r\n\r\n", VALID["mpart01"], VALID["unreason"], INVALID["quotbal"][0],
          INVALID["badvers"][0], b"\r\r\n"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.lists(st.integers(1, 400), max_size=40))
def test_any_split_gives_the_same(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    whole = collect(StreamParser(), data, [])
    parser, found, at = StreamParser(), [], 0
    for cut in [*cuts, len(data) + 1]:
        if found and str(found[-1]).startswith("400 A Stream"):
            break  # the connection is closed
        found = collect(parser, data[at : at + cut], found)
        at += cut
    assert found == whole


def test_byte_by_byte() -> None:
    data = INVITE + b"\r\n\r\n" + VALID["mpart01"] + b"\r\n" + OPTIONS
    parser, found = StreamParser(), []
    for at in range(len(data)):
        found += parser.feed(data[at : at + 1])
    assert found == [sip.parse(INVITE), KeepAlive(), sip.parse(VALID["mpart01"]), sip.parse(OPTIONS)]


# ---- any bytes ----


def read_all(data: bytes) -> None:
    """Parse as a datagram and as a stream, and read what an agent would; only MessageError may come out."""
    try:
        message = sip.parse(data)
    except MessageError as error:
        assert error.status in (400, 413, 505)
        assert error.reason.isprintable()
        if error.request is not None:
            sip.encode(Response(error.status, error.reason, error.request.headers))
            parse_via(error.request.headers.get("Via"))
            assert parse_name_addr(error.request.headers.get("From"))
            assert parse_name_addr(error.request.headers.get("To"))
    else:
        sip.encode(message)
    collect(StreamParser(), data, [])


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    read_all(data)
    read_all(OPTIONS[:40] + data)
    read_all(OPTIONS.replace(b"Max-Forwards", data + b"\r\nContact: " + data + b"\r\nX"))


def test_mutated_torture() -> None:
    """Bytes changed, cut, doubled and swapped in torture messages: no crash."""
    dice = random.Random(4475)
    seeds = [*VALID.values(), *(data for data, _, _ in INVALID.values())]
    for _ in range(2000):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 8)):
            at, to = sorted(dice.randrange(len(data) + 1) for _ in range(2))
            match dice.randrange(4):
                case 0:
                    data[at : at + 1] = dice.choice([b'"', b"<", b">", b";", b",", b"\r\n", b" ", b"\\", b"@", b"\xff"])
                case 1:
                    del data[at : min(to, at + 20)]
                case 2:
                    data[at:at] = data[at : min(to, at + 200)]
                case 3:
                    data[at:at] = dice.choice(seeds)[: dice.randrange(200)]
        read_all(bytes(data))


@pytest.mark.parametrize(
    "unit",
    [b" ", b"\t", b"\r\n ", b",", b";", b";;", b'"', b'"\\', b"\\", b"<", b">", b"<>", b'"<', b"=", b";a=", b";a=b",
     b"a ", b"SIP/2.0/", b"SIP/2.0/UDP a,", b"SIP/2.0/UDP a;b,", b"%41", b"@", b":", b"[", b"::", b"0", b"1.",
     b"\xff", b'""', b"a <sip:a@b>,", b"X:y\r\n", b"l:1\r\n", b"v:,\r\n", b"\r\n", b"\r\n\r\n\r\n", b"\n"],
)  # fmt: skip
def test_repetition_takes_linear_time(unit: bytes) -> None:
    """64 KiB of anything, anywhere: well under 0.1 s; what is quadratic in it takes minutes."""
    started = time.process_time()
    filler = unit * (7_000 // len(unit))
    for name in (b"Via", b"To", b"Cseq", b"Max-Forwards", b"Content-Length", b"X"):
        line = b"\r\n%s: " % name
        for value in (filler, b"SIP/2.0/UDP a;b=" + filler, b'"' + filler, b"<sip:" + filler, b"sip:a@b;c=" + filler):
            read_all(OPTIONS.replace(line if line in OPTIONS else b"\r\nVia: ", line + value + b"\r\nX-Rest: ", 1))
        read_all(OPTIONS.replace(b"\r\n", line + unit * (64_000 // len(unit)) + b"\r\n", 1))
    read_all(unit * (64_000 // len(unit)))
    text = filler.decode("latin-1")
    split_list(text)
    unquote('"' + text)
    assert time.process_time() - started < 2
