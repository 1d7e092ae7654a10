"""The messages of RFC 4475 (SIP torture tests) by their names there, as datagrams.

What a test of the parser needs is what each is about; the rest is as short as it can be.
"""

SDP = "v=0\no=mhandley 29739 7272939 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 49217 RTP/AVP 0 12\n"


def wire(text: str, body: str | bytes = b"", *, length: bool = True) -> bytes:
    """The head with CRLF, a Content-Length unless `length` is false, an empty line and the body."""
    body = body if isinstance(body, bytes) else body.replace("\n", "\r\n").encode()
    head = text.strip("\n").replace("\n", "\r\n").encode()
    return head + (b"\r\nContent-Length: %d" % len(body) if length else b"") + b"\r\n\r\n" + body


def request(name: str, start: str, *lines: str, **changed: str | None) -> bytes:
    """A request like `start`; `changed` replaces a header of its (`to`, `call_id`), None leaves it out."""
    fields: dict[str, str | None] = {
        "via": "SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw",
        "to": "sip:j.user@example.com",
        "from": "sip:caller@example.net;tag=34525",
        "call_id": f"{name}.dj0234sxdfl3",
        "cseq": f"8 {start.split(maxsplit=1)[0]}",
        "max_forwards": "70",
    } | {key.rstrip("_"): value for key, value in changed.items()}
    head = [f"{key.replace('_', '-').title()}: {value}" for key, value in fields.items() if value is not None]
    return wire("\n".join([start, *head, *lines]), SDP if start.startswith("INVITE") else b"", length="l" not in fields)


VALID = {
    "wsinv": wire(
        r"""
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 8
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
""",
        "v=0\ns=-",
        length=False,
    ),
    "intmeth": wire(
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
        ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\n"
        "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n"
        'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*@example.com>\n'
        "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>"
        ";fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.\n"
        "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n"
        "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\n"
        "Max-Forwards: 255\n"
        "extensionHeader-!.%*+_`'~:大停電\n"
    ),
    "esc01": request(
        "esc01",
        "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
        "Contact:\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
        to="sip:%75se%72@example.com",
        from_="<sip:I%20have%20spaces@example.net>;tag=938",
    ),
    "escnull": request(
        "escnull",
        "REGISTER sip:example.com SIP/2.0",
        "Contact: <sip:%00@host5.example.com>\nContact: <sip:%00%00@host5.example.com>\nL:0",
        to="sip:null-%00-null@example.com",
        l=None,
    ),
    "esc02": request(
        "esc02",
        "RE%47IST%45R sip:registrar.example.com SIP/2.0",
        "Contact: <sip:alias1@host1.example.com>",
        "C%6Fntact: <sip:alias2@host2.example.com>",
        "Contact: <sip:alias3@host3.example.com>",
        to='"%Z%45" <sip:resource@example.com>',
        via="SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234",
    ),
    "lwsdisp": request(
        "lwsdisp", "OPTIONS sip:user@example.com SIP/2.0", from_="caller<sip:caller@example.com>;tag=323"
    ),
    "longreq": request(
        "longreq",
        "INVITE sip:user@example.com SIP/2.0",
        f"Unknown-{20 * 'Long'}-Name: unknown-{20 * 'long'}-value; unknown-{20 * 'long'}-name = {20 * 'long'}-value",
        *(f"{name}SIP/2.0/TCP sip{n}.example.com" for n, name in enumerate(["v: ", "V :  ", "vIA: ", "Via  : "] * 8)),
        f"Contact: <sip:{5 * 'amazinglylongcallername'}@host5.example.net>",
        to=f'"I have a user name of {10 * "extreme"} proportion"<sip:user@example.com:6000;'
        f"unknownparam1=very{20 * 'long'}value;longparam{26 * 'name'}=shortvalue;"
        f"very{25 * 'long'}ParameterNameWithNoValue>",
        from_=f"sip:{5 * 'amazinglylongcallername'}@example.net;tag={50 * '12982'}424;unknownheaderparam{15 * 'name'}"
        f"=unknowheaderparam{15 * 'value'};unknownValueless{10 * 'paramname'}",
        call_id=f"longreq.one{20 * 'really'}longcallid",
        via=f"SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{50 * 'long'}branchvalue",
    ),
    "dblreq": request("dblreq", "REGISTER sip:example.com SIP/2.0", "Contact: sip:j.user@host.example.com")
    + request("dblreq2", "INVITE sip:joe@example.com SIP/2.0"),
    "semiuri": request("semiuri", "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"),
    "transports": request(
        "transports",
        "OPTIONS sip:user@example.com SIP/2.0",
        "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf",
        "Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj",
        "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en",
        "Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee",
    ),
    "mpart01": wire(
        """
MESSAGE sip:kumiko@example.org SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
Max-Forwards: 70
Route: <sip:127.0.0.1:5080>
Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZngQmXc=
Contact: <sip:fluffy@127.0.0.1:5070>
To: <sip:kumiko@example.org>
From: <sip:fluffy@example.com>;tag=2fb0dcc9
Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
Date: Sat, 15 Oct 2005 04:44:56 GMT
""",
        b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n0\x82\x01R\x06\t*\x86H\x86\r\n\r\n\xf7\r\x01\x00\n\r"
        b"\r\n--7a9cbec02ceef655--\r\n",
    ),
    "unreason": wire(
        """
SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Call-ID: unreason.1234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Type: application/sdp
Contact: <sip:user@host198.example.com>
""",
        SDP,
    ),
    "noreason": wire(
        """
SIP/2.0 100\x20
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: noreason.asndj203insdf99223ndf
CSeq: 35 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Contact: <sip:user@host105.example.com>
"""
    ),
    # Well-formed; what is wrong with them is for the application to find (sections 3.2 to 3.4).
    "badbranch": request(
        "badbranch", "OPTIONS sip:user@example.com SIP/2.0", via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"
    ),
    "unkscm": request("unkscm", "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"),
    "novelsc": request("novelsc", "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"),
    "unksm2": request(
        "unksm2",
        "REGISTER sip:example.com SIP/2.0",
        "Contact: <name:John_Smith>",
        to="isbn:2983792873",
        from_="<http://www.example.com>;tag=3234233",
    ),
    "bext01": request(
        "bext01", "OPTIONS sip:user@example.com SIP/2.0", "Require: nothingSupportsThis, nothingSupportsThisEither"
    ),
    "invut": request("invut", "INVITE sip:user@example.com SIP/2.0", "Content-Type: application/unknownformat"),
    "regaut01": request(
        "regaut01", "REGISTER sip:example.com SIP/2.0", "Authorization: NoOneKnowsThisScheme opaque-data=here"
    ),
    "bcast": wire(
        """
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
"""
    ),
    "zeromf": request("zeromf", "OPTIONS sip:user@example.com SIP/2.0", max_forwards="0"),
    "cparam01": request(
        "cparam01", "REGISTER sip:example.com SIP/2.0", "Contact: sip:+19725552222@gw1.example.net;unknownparam"
    ),
    "cparam02": request(
        "cparam02", "REGISTER sip:example.com SIP/2.0", "Contact: <sip:+19725552222@gw1.example.net;unknownparam>"
    ),
    "regescrt": request(
        "regescrt", "REGISTER sip:example.com SIP/2.0", "M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>"
    ),
    "sdp01": request("sdp01", "INVITE sip:user@example.com SIP/2.0", "Accept: text/nobodyKnowsThis"),
    "inv2543": wire(
        """
INVITE sip:UserB@example.com SIP/2.0
Via: SIP/2.0/UDP iftgw.example.com
From: <sip:+13035551111@ift.client.example.net;user=phone>
Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>
To: sip:+16505552222@ss1.example.net;user=phone
Call-ID: inv2543.1717@ift.client.example.com
CSeq: 56 INVITE
Content-Type: application/sdp
""",
        SDP,
        length=False,
    ),
    # Not well-formed, and taken all the same, because nothing that we use is in doubt:
    # the date is never read;
    "baddate": request("baddate", "INVITE sip:user@example.com SIP/2.0", "Date: Fri, 01 Jan 2010 16:00:00 EST"),
    # spaces inside the angle brackets stand at the edges only;
    "badaspec": request(
        "badaspec", "OPTIONS sip:user@example.org SIP/2.0", to='"Watson, Thomas" < sip:t.watson@example.org >'
    ),
    # a display name without its quotes: From and To are no lists, so the comma separates nothing there.
    "baddn": request(
        "baddn",
        "OPTIONS sip:t.watson@example.org SIP/2.0",
        from_="Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
        to="Watson, Thomas <sip:t.watson@example.org>",
    ),
}

_INVITE = "INVITE sip:user@example.com SIP/2.0"
_OPTIONS = "OPTIONS sip:user@example.com SIP/2.0"
_STATUS = """
SIP/2.0 {status}
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: {name}.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i
CSeq: {cseq}
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Retry-After: 949302838503028349304023988
Warning: 1812 overture "In Progress"
"""

# The datagram, the status and reason of the error, and whether it can be answered.
INVALID: dict[str, tuple[bytes, str, bool]] = {
    # Its only Via cannot be read; the RFC wants a 400, but we would not know for which transaction.
    "badinv01": (
        request("badinv01", _INVITE, 'Contact: "Joe" <sip:joe@example.org>;;;;', via="SIP/2.0/UDP 192.0.2.15;;,;,,"),
        "400 Bad Via",
        False,
    ),
    "clerr": (request("clerr", _INVITE, "Content-Length: 9999", l=None), "400 Body Shorter Than Content-Length", True),
    "ncl": (request("ncl", _INVITE, "Content-Length: -999", l=None), "400 Bad Content-Length", True),
    "mcl01": (
        request("mcl01", _OPTIONS, "Content-Length: 13\nContent-Length: 5", l=None),
        "400 More Than One Content-Length",
        True,
    ),
    "scalar02": (
        request(
            "scalar02",
            "REGISTER sip:example.com SIP/2.0",
            "Expires: 1" + 100 * "0" + "\nContact: <sip:user@host129.example.com>\n  ;expires=280297596632815",
            cseq="36893488147419103232 REGISTER",
            max_forwards="300",
        ),
        "400 Bad CSeq",
        True,
    ),
    # Not in the RFC: the second of scalar02's faults by itself.
    "maxforwards": (request("maxforwards", _OPTIONS, max_forwards="300"), "400 Bad Max-Forwards", True),
    "scalarlg": (
        wire(_STATUS.format(status="503 Unavailable", name="scalarlg", cseq="9292394834772304023312 OPTIONS")),
        "400 Bad CSeq",
        False,
    ),
    "bigcode": (
        wire(_STATUS.format(status="4294967301 better not break", name="bigcode", cseq="353494 INVITE")),
        "400 Bad Status Line",
        False,
    ),
    # The RFC wants a 400 here too, but our tag cannot be put into a To that cannot be read.
    "quotbal": (request("quotbal", _INVITE, to='"Mr. J. User <sip:j.user@example.com>'), "400 Bad To", False),
    "ltgtruri": (request("ltgtruri", "INVITE <sip:user@example.com> SIP/2.0"), "400 Bad Request-URI", True),
    "lwsruri": (request("lwsruri", "INVITE sip:user@example.com; lr SIP/2.0"), "400 Bad Request Line", True),
    "lwsstart": (request("lwsstart", "INVITE  sip:user@example.com  SIP/2.0"), "400 Bad Request Line", True),
    "trws": (request("trws", "OPTIONS sip:remote-target@example.com SIP/2.0  "), "400 Bad Request Line", True),
    "escruri": (
        request("escruri", "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"),
        "400 Bad Request-URI",
        True,
    ),
    "regbadct": (
        request(
            "regbadct",
            "REGISTER sip:example.com SIP/2.0",
            "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        ),
        "400 Bad Contact",
        True,
    ),
    "badvers": (
        request(
            "badvers", "OPTIONS sip:t.watson@example.org SIP/7.0", via="SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw"
        ),
        "505 Version Not Supported",
        True,
    ),
    "mismatch01": (request("mismatch01", _OPTIONS, cseq="8 INVITE"), "400 CSeq Is for Another Method", True),
    "mismatch02": (
        request("mismatch02", "NEWMETHOD sip:user@example.com SIP/2.0", cseq="8 INVITE"),
        "400 CSeq Is for Another Method",
        True,
    ),
    "insuf": (request("insuf", _INVITE, to=None, from_=None, call_id=None), "400 Missing From", False),
    "multi01": (
        request("multi01", _INVITE, "CSeq: 59 INVITE\nCall-ID: multi01.98asdh@192.0.2.2\nTo: sip:other@example.net"),
        "400 More Than One To",
        True,
    ),
}
