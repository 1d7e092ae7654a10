"""The caller that an INVITE names, and which peers we trust for it."""

import pytest

from config.parties import Parties
from telephony.lines.sip.access.asserted_identity import parties_of
from telephony.lines.sip.syntax.headers import Headers
from telephony.lines.sip.syntax.message import Request


def invite(
    *more: tuple[str, str], caller: str = '"Ann Lee" <sip:+15550100123@203.0.113.5;user=phone>;tag=1'
) -> Request:
    headers = [("From", caller), ("To", "<sip:100@192.0.2.1>"), ("Call-ID", "abc@host"), *more]
    return Request("INVITE", "sip:+15550100199@192.0.2.1:5060", Headers(headers))


def test_a_strangers_identity_counts_as_not_verified() -> None:
    told = invite(("P-Asserted-Identity", "<sip:+1999@x.example>"), ("Diversion", "<sip:+1888@x.example>"))
    expected = Parties("+15550100123", "+15550100199", "Ann Lee", ids={"sip_call": "abc@host"})
    assert parties_of(told, trusted=False) == expected


def test_a_trunk_is_believed() -> None:
    told = invite(
        ("P-Asserted-Identity", '"A. Lee" <sip:+15550100777@x.example>, <tel:+15550100777>'),
        ("Diversion", "<sip:+15550100888@x.example>;reason=no-answer"),
        caller="<sip:anonymous@anonymous.invalid>;tag=1",
    )
    found = parties_of(told, trusted=True)
    assert (found.caller, found.caller_name, found.verified) == ("+15550100777", "A. Lee", True)
    assert found.forwarded_from == "+15550100888"


@pytest.mark.parametrize(
    ("caller", "number", "name"),
    [
        ("<sip:ann@example.com:5070;transport=tcp>;tag=1", "sip:ann@example.com", ""),
        ("<tel:+1-555-010-0123>;tag=1", "+1-555-010-0123", ""),
        ("<sip:example.com>;tag=1", "", ""),
        ('"a\u202eb" <sip:1@example.com>;tag=1', "1", ""),
        (f'"{"x" * 200}" <sip:1@example.com>;tag=1', "1", ""),
        ("nonsense", "", ""),
    ],
)
def test_what_stands_in_from(caller: str, number: str, name: str) -> None:
    request = invite(caller=caller)
    found = parties_of(request, trusted=False)
    assert (found.caller, found.caller_name) == (number, name)
