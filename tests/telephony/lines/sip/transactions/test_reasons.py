"""The words beside a status, against RFC 3261's own list and against what the code answers."""

import re
from pathlib import Path

import pytest

from telephony.lines.sip.transactions.reasons import REASONS, reason

SIP = Path(__file__).parents[5] / "telephony" / "lines" / "sip"
# RFC 3261, 25.1: Informational to Global-Failure, as they stand there.
RFC_3261 = """
100 Trying; 180 Ringing; 181 Call Is Being Forwarded; 182 Queued; 183 Session Progress; 200 OK; 300 Multiple Choices;
301 Moved Permanently; 302 Moved Temporarily; 305 Use Proxy; 380 Alternative Service; 400 Bad Request; 401 Unauthorized;
402 Payment Required; 403 Forbidden; 404 Not Found; 405 Method Not Allowed; 406 Not Acceptable;
407 Proxy Authentication Required; 408 Request Timeout; 410 Gone; 413 Request Entity Too Large;
414 Request-URI Too Long; 415 Unsupported Media Type; 416 Unsupported URI Scheme; 420 Bad Extension;
421 Extension Required; 423 Interval Too Brief; 480 Temporarily Unavailable; 481 Call/Transaction Does Not Exist;
482 Loop Detected; 483 Too Many Hops; 484 Address Incomplete; 485 Ambiguous; 486 Busy Here; 487 Request Terminated;
488 Not Acceptable Here; 491 Request Pending; 493 Undecipherable; 500 Server Internal Error; 501 Not Implemented;
502 Bad Gateway; 503 Service Unavailable; 504 Server Time-out; 505 Version Not Supported; 513 Message Too Large;
600 Busy Everywhere; 603 Decline; 604 Does Not Exist Anywhere; 606 Not Acceptable
"""


@pytest.mark.parametrize("line", RFC_3261.replace("\n", " ").split(";"))
def test_words_are_the_rfcs(line: str) -> None:
    status, _, words = line.strip().partition(" ")
    assert reason(int(status)) == words


def test_every_status_that_the_code_names_has_words_of_its_own() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SIP.rglob("*.py"))
    named = {int(status) for status in re.findall(r"\b(?:Refusal|MessageError|_fail)\((\d{3})", code)}
    assert {400, 401, 415, 503, 505} <= named
    assert named <= set(REASONS)


def test_one_that_is_in_no_list_is_called_as_the_first_of_its_class() -> None:
    assert [reason(status) for status in (150, 299, 399, 499, 599, 699)] == [
        "Trying", "OK", "Multiple Choices", "Bad Request", "Server Internal Error", "Busy Everywhere"
    ]  # fmt: skip
