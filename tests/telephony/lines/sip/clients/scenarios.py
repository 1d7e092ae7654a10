"""Scenarios for sipp: its XML, assembled from the messages of one caller."""

SDP = """
v=0
o=- 53655765 2353687637 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [rtp_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
""".lstrip()

THERE = "sip:[service]@[remote_ip]:[remote_port]"
ME = "<sip:+15551230000@[local_ip]:[local_port];transport=[transport]>"
NEW_VIA, SAME_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport", "[last_Via:]"

RINGING = '<recv response="100" optional="true"/><recv response="180" optional="true"/>'


def scenario(*steps: str) -> str:
    """The whole file."""
    head = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="voxline">'
    return "\n".join([head, *steps, "</scenario>"])


def request(
    method: str,
    cseq: int,
    *headers: str,
    to: str = THERE,
    via: str = NEW_VIA,
    tag: bool = True,
    body: str = "",
    kind: str = "application/sdp",
) -> str:
    """A message from the caller; `tag` is the peer's, known from its answer on."""
    content = (f"Content-Type: {kind}",) if body else ()
    lines = (
        f"{method} {to} SIP/2.0",
        via,
        *headers,
        'From: "Ann" <sip:ann@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]',
        f"To: <{THERE}>{'[peer_tag_param]' if tag else ''}",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}",
        f"Contact: {ME}",
        "Max-Forwards: 70",
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY",
        *content,
        "Content-Length: [len]",
        "",
        body,
    )
    return "\n".join(lines)


def send(message: str, attributes: str = 'retrans="500"') -> str:
    """Send it; sipp retransmits it over UDP."""
    return f"<send {attributes}><![CDATA[\n{message}\n]]></send>"


def invite(cseq: int = 1, *headers: str, attributes: str = 'retrans="500"') -> str:
    """Dial."""
    return send(request("INVITE", cseq, *headers, tag=False, body=SDP), attributes)


def ack(cseq: int = 1) -> str:
    """For a 200, along its route set."""
    return send(request("ACK", cseq, "[routes]", to="[next_url]"), "")


def ack_refusal(cseq: int = 1) -> str:
    """For any other final answer."""
    return send(request("ACK", cseq, via=SAME_VIA), "")


def answered() -> str:
    """Wait for the 200."""
    return RINGING + '<recv response="200" rrs="true"/>'


def pause(ms: int) -> str:
    """Stay on the line."""
    return f'<pause milliseconds="{ms}"/>'


def play(*files: str, gap_ms: int = 600) -> str:
    """Send the packets of these pcap files, one file each `gap_ms`."""
    return "".join(f'<nop><action><exec play_pcap_audio="{file}"/></action></nop>{pause(gap_ms)}' for file in files)


def hang_up(cseq: int = 2) -> str:
    """BYE. Without the name of a transaction sipp mistakes a repeated 200 to the INVITE for its answer."""
    bye = send(request("BYE", cseq, "[routes]", to="[next_url]"), 'retrans="500" start_txn="bye"')
    return bye + '<recv response="200" response_txn="bye"/>'


def call(ms: int) -> str:
    """A caller who stays for a while and hangs up."""
    return scenario(invite(), answered(), ack(), pause(ms), hang_up())


_CHALLENGED = (
    invite(),
    '<recv response="100" optional="true"/><recv response="401" auth="true"/>',
    ack_refusal(),
    invite(2, "[authentication]"),
)
DIGEST = scenario(*_CHALLENGED, answered(), ack(2), pause(200), hang_up(3))
DIGEST_REFUSED = scenario(*_CHALLENGED, '<recv response="100" optional="true"/><recv response="401"/>', ack_refusal(2))

# A CANCEL that crosses the 200: both ends have the call, and it goes on until one hangs up.
CANCEL = scenario(
    invite(attributes='start_txn="invite"'),
    '<recv response="100" optional="true" response_txn="invite"/>',
    '<recv response="200" rrs="true" response_txn="invite"/>',
    send(request("CANCEL", 1, via=SAME_VIA, tag=False), 'start_txn="cancel"'),
    '<recv response="200" response_txn="cancel"/>',
    send(request("ACK", 1, to="[next_url]"), 'ack_txn="invite"'),
    hang_up(),
)


# A gateway that passes on the signalling of the telephone network.
_ISUP = """
--isup
Content-Type: application/isup;version=itu-t92+
Content-Disposition: signal;handling=optional

xyz
--isup--
"""
_MIXED = f"--isup\nContent-Type: application/sdp\n\n{SDP}{_ISUP}"
WITH_ISUP = scenario(
    send(request("INVITE", 1, tag=False, body=_MIXED, kind="multipart/mixed;boundary=isup")),
    answered(),
    ack(),
    pause(200),
    hang_up(),
)


def reinvite(cseq: int, direction: str, name: str) -> str:
    """Offer audio in another direction, and wait for the 200; `name` is that of the transaction."""
    offer = request("INVITE", cseq, "[routes]", to="[next_url]", body=f"{SDP}a={direction}\n")
    taken = f'<recv response="100" optional="true" response_txn="{name}"/><recv response="200" response_txn="{name}"/>'
    return send(offer, f'retrans="500" start_txn="{name}"') + taken


# A network that requires reliable provisional answers (RFC 3262) and acknowledges them.
RELIABLE = scenario(
    invite(1, "Require: 100rel", attributes='retrans="500" start_txn="invite"'),
    '<recv response="100" optional="true" response_txn="invite"/>',
    """<recv response="180" response_txn="invite" rrs="true"><action>
  <ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/>
</action></recv>""",
    '<recv response="200" response_txn="invite" rrs="true"/>',
    send(request("ACK", 1, "[routes]", to="[next_url]"), 'ack_txn="invite"'),
    send(request("PRACK", 2, "[routes]", "RAck: [$rseq] 1 INVITE", to="[next_url]"), 'retrans="500" start_txn="prack"'),
    '<recv response="200" response_txn="prack"/>',
    pause(200),
    hang_up(3),
)

# A caller whose ACK of the hold arrives only after the call is off hold.
HELD_WITH_A_LATE_ACK = scenario(
    invite(),
    answered(),
    ack(),
    reinvite(2, "sendonly", "hold"),
    pause(200),
    reinvite(3, "sendrecv", "retrieve"),
    ack(3).replace("<send ", '<send ack_txn="retrieve" '),
    ack(2).replace("<send ", '<send ack_txn="hold" '),
    pause(200),
    hang_up(4),
)


def answer(status: str, *headers: str, tag: bool = False, body: str = "") -> str:
    """Answer the last request; `tag` is ours, if it began a dialog."""
    to = "[last_To:];tag=[pid]SIPp[call_number]" if tag else "[last_To:]"
    lines = ("[last_Via:]", "[last_Record-Route:]", "[last_From:]", to, "[last_Call-ID:]", "[last_CSeq:]", *headers)
    content = ("Content-Type: application/sdp",) if body else ()
    return send("\n".join([f"SIP/2.0 {status}", *lines, *content, "Content-Length: [len]", "", body]), "")


# A caller who is transferred, reports that the target answered, and is hung up on.
REFERRED = scenario(
    invite(),
    answered(),
    ack(),
    '<recv request="REFER"/>',
    answer("202 Accepted", f"Contact: {ME}"),
    send(
        request(
            *("NOTIFY", 2, "[routes]", "Event: refer", "Subscription-State: terminated;reason=noresource"),
            to="[next_url]",
            body="SIP/2.0 200 OK",
            kind="message/sipfrag",
        )
    ),
    '<recv response="200"/>',
    '<recv request="BYE"/>',
    answer("200 OK"),
)


def registered(status: str, *headers: str) -> str:
    """Receive a REGISTER, note its Expires and whether its password is right, and answer."""
    noted = """
<recv request="REGISTER"><action>
  <ereg regexp="[0-9]+" search_in="hdr" header="Expires:" assign_to="expires"/>
  <verifyauth assign_to="right" username="agent" password="pw123"/>
  <log message="note expires [$expires] password [$right]"/>
</action></recv>"""
    return noted + answer(status, *headers, tag=True)


def challenge(nonce: str, more: str = "") -> str:
    """The header of a 401."""
    return f'WWW-Authenticate: Digest realm="pbx", nonce="{nonce}", algorithm=MD5, qop="auth", opaque="xyz"{more}'


# A called party: after a 407 and good credentials it rings, answers, and the caller hangs up.
_RINGS = (
    '<recv request="INVITE" rrs="true"/>',
    answer("180 Ringing", f"Contact: {ME}", tag=True),
)
_ANSWERS = (
    answer("200 OK", f"Contact: {ME}", tag=True, body=SDP),
    '<recv request="ACK"/>',
    '<recv request="BYE"/>',
    answer("200 OK"),
)
CALLED = scenario(*_RINGS, pause(300), *_ANSWERS)
ASKING_CALLED = scenario(
    '<recv request="INVITE"/>',
    answer("407 Proxy Authentication Required", challenge("n1").replace("WWW", "Proxy"), tag=True),
    '<recv request="ACK"/>',
    *_RINGS,
    *_ANSWERS,
)
# A called party whose SDP answer comes in a reliable provisional response, and not again in the 200.
CALLED_RELIABLY = scenario(
    """<recv request="INVITE" rrs="true"><action>
  <ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>
  <ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/>
</action></recv>""",
    answer("183 Session Progress", f"Contact: {ME}", "Require: 100rel", "RSeq: 4711", tag=True, body=SDP),
    """<recv request="PRACK"><action>
  <ereg regexp="4711 [0-9]+ INVITE" search_in="hdr" header="RAck:" assign_to="rack"/>
  <log message="note acknowledged [$rack]"/>
</action></recv>""",
    answer("200 OK"),
    answer("200 OK", f"Contact: {ME}").replace("[last_Via:]", "Via:[$via]").replace("[last_CSeq:]", "CSeq:[$cseq]"),
    '<recv request="ACK"/>',
    '<recv request="BYE"/>',
    answer("200 OK"),
)
# Nobody answers, and the caller gives up.
UNANSWERED = scenario(
    *_RINGS,
    '<recv request="CANCEL"/>',
    answer("200 OK"),
    answer("487 Request Terminated", tag=True).replace("[last_CSeq:]", "CSeq: 1 INVITE"),
    '<recv request="ACK"/>',
)

# A registrar that finds the first nonce stale and the expiry too short, and then grants a short one.
REGISTRAR = scenario(
    registered("401 Unauthorized", challenge("n1")),
    registered("401 Unauthorized", challenge("n2", ", stale=true")),
    registered("423 Interval Too Brief", "Min-Expires: 20"),
    registered("401 Unauthorized", challenge("n3")),
    registered("200 OK", "[last_Contact:];expires=3"),
    registered("401 Unauthorized", challenge("n4")),
    registered("200 OK", "[last_Contact:];expires=60"),
    registered("401 Unauthorized", challenge("n5")),
    registered("200 OK"),
)
