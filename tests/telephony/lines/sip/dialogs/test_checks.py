"""Requests that are refused before anything is kept of them."""

import pytest

from telephony.lines.sip.dialogs.events import Refused
from telephony.lines.sip.syntax.message import Response
from tests.telephony.lines.sip.peer import Bench, invite, message


@pytest.mark.parametrize(
    ("changes", "status", "header", "value"),
    [
        ({"add": "Require: 100rel, timer\n"}, 0, "", ""),
        ({"add": "Require: 100rel, precondition\n"}, 420, "Unsupported", "precondition"),
        ({"add": "Require: timer, Path, x-y\n"}, 420, "Unsupported", "Path"),
        ({"Content_Type": "application/isup"}, 415, "Accept", "application/sdp"),
        ({"Content_Type": 'multipart/mixed;boundary="x"'}, 400, "", ""),
        ({"add": "Content-Encoding: gzip\n"}, 415, "Accept-Encoding", "identity"),
        ({"add": "Accept: text/plain\n"}, 406, "Accept", "application/sdp"),
        ({"without": "Contact"}, 400, "", ""),
        ({"Contact": "<tel:+1555>"}, 400, "", ""),
        ({"add": "Record-Route: <sip:p;lr>, nonsense\n"}, 400, "", ""),
        ({"add": "Record-Route: <tel:1;lr>\n"}, 400, "", ""),
        ({"add": "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKours\n"}, 482, "", ""),
        ({"add": "Session-Expires: 30\nSupported: timer\n"}, 422, "Min-SE", "90"),
        ({"add": "Content-Disposition: session;handling=optional\n", "Content_Type": "text/x"}, 0, "", ""),
        ({"Max_Forwards": "0"}, 0, "", ""),
        ({"To": "<tel:+15551230000>", "From": "<tel:+1555;phone-context=a.example>;tag=1"}, 0, "", ""),
    ],
)
def test_invite_is_checked(changes: dict[str, str], status: int, header: str, value: str) -> None:
    bench = Bench()
    (refusal,) = bench.give(invite(**changes))
    assert isinstance(refusal, Response)
    if status:
        assert (refusal.status, refusal.headers.get(header) if header else "") == (status, value)
        assert bench.told(Refused).status == status
        assert bench.ua.idle
    else:
        assert refusal.status == 100


@pytest.mark.parametrize(
    ("method", "uri", "status"),
    [
        ("REGISTER", "sip:10.0.0.1", 405),
        ("SUBSCRIBE", "sip:1000@10.0.0.1", 405),
        ("MESSAGE", "sip:1000@10.0.0.1", 405),
        ("NEWMETHOD", "sip:1000@10.0.0.1", 501),
        ("INVITE", "urn:service:sos", 416),
        ("OPTIONS", "nobodyKnowsThisScheme:totallyopaquecontent", 416),
        ("REFER", "sip:1000@10.0.0.1", 403),
        ("BYE", "sip:1000@10.0.0.1", 481),
        ("INFO", "sip:1000@10.0.0.1", 481),
        ("NOTIFY", "sip:1000@10.0.0.1", 481),
        ("UPDATE", "sip:1000@10.0.0.1", 481),
    ],
)
def test_requests_outside_of_calls(method: str, uri: str, status: int) -> None:
    bench = Bench()
    request = invite() if method == "INVITE" else None
    request = request or message(
        f"""
{method} {uri} SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK-x
From: <sip:a@10.0.0.2>;tag=1
To: <sip:1000@10.0.0.1>
Call-ID: x
CSeq: 1 {method}
"""
    )
    request.uri = uri
    (refusal,) = bench.give(request)
    assert isinstance(refusal, Response)
    assert refusal.status == status
    assert ("Allow" in refusal.headers) == (status in (405, 501))
    assert bench.told(Refused).method == method
    assert bench.ua.idle
