"""The TLS certificate as a phone sees it: handshakes in memory, judged by OpenSSL itself."""

import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from config.exceptions import SettingsError
from config.sip import SipSettings
from telephony.doctor.finding import Finding, Level
from telephony.lines.sip.network.tls import checking_context, client_context, server_context

SOON_DAYS = 21
EXPIRED, NOT_YET = 10, 9  # X509_V_ERR_...


def check(sip: SipSettings) -> Iterator[Finding]:
    """Check that it loads, how long it is valid, for which names, and who signed it."""
    try:
        ours = server_context(sip)
    except SettingsError as error:
        yield _found("problem", str(error))
        return
    try:
        shown = handshake(ours, _knowing(sip.tls_cert))
    except ssl.SSLCertVerificationError as error:
        late = error.verify_code == EXPIRED
        when = "has expired" if late else "is not yet valid" if error.verify_code == NOT_YET else "is invalid"
        advice = "renew it" if late else ""
        yield _found("problem", f"the certificate {sip.tls_cert} {when}: {error.verify_message}", advice)
        return
    yield _lifetime(shown)
    yield _names(sip, ours, shown)
    try:
        theirs = checking_context()
        theirs.check_hostname = False
        handshake(ours, theirs)
    except ssl.SSLCertVerificationError as error:
        advice = "give callers the authority that signed it, or add the authority's certificates to sip.tls_cert"
        yield _found("warning", f"no authority that this machine knows vouches for it: {error.verify_message}", advice)


def check_authorities(sip: SipSettings) -> Iterator[Finding]:
    """Check that the operator's own authorities are certificates, and how long they are valid."""
    try:
        client_context(sip)
    except SettingsError as error:
        yield _found("problem", str(error), "without it the server does not start")
        return
    alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    alone.load_verify_locations(sip.tls_ca)
    known: list[dict[str, Any]] = alone.get_ca_certs()
    if not known:
        advice = "put there the certificate of the authority that signed your servers' certificates"
        yield _found("warning", f"sip.tls_ca: no certificate in {sip.tls_ca} is an authority's", advice)
    for each in known:
        name = ", ".join(value for part in each["subject"] for _, value in part) or "an authority without a name"
        until = ssl.cert_time_to_seconds(each["notAfter"])
        day = time.strftime("%Y-%m-%d", time.gmtime(until))
        if until < time.time():
            yield _found(
                "problem", f"sip.tls_ca: {name} expired on {day}: servers that it vouches for cannot be called"
            )
        else:
            yield _found("ok", f"sip.tls_ca: {name} vouches for servers that we call, until {day}")


def handshake(ours: ssl.SSLContext, theirs: ssl.SSLContext, name: str | None = None) -> dict[str, Any]:
    """A server and a client in memory; what the client sees of the server's certificate. Raises ssl.SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = theirs.wrap_bio(down, up, server_hostname=name)
    server = ours.wrap_bio(up, down, server_side=True)
    for _ in range(3):  # there are two round trips
        for end in (client, server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return client.getpeercert() or {}


def _knowing(file: str) -> ssl.SSLContext:
    """A client that trusts this certificate itself."""
    context = checking_context(file)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


def _lifetime(shown: dict[str, Any]) -> Finding:
    until = ssl.cert_time_to_seconds(shown["notAfter"])
    days = int((until - time.time()) / 86_400)
    text = f"the certificate is valid until {time.strftime('%Y-%m-%d', time.gmtime(until))}, {days} days"
    if days >= SOON_DAYS:
        return _found("ok", text)
    return _found("warning", text, "renew it; the server reads it only when it starts")


def _names(sip: SipSettings, ours: ssl.SSLContext, shown: dict[str, Any]) -> Finding:
    """Check the names: callers compare them with the name or address that they dial."""
    address = sip.advertised or sip.host
    names = ", ".join(value for _, value in shown.get("subjectAltName", ()))
    theirs = _knowing(sip.tls_cert)
    theirs.check_hostname = True
    try:
        handshake(ours, theirs, address)
    except ssl.SSLCertVerificationError:
        if any(kind == "DNS" for kind, _ in shown.get("subjectAltName", ())):
            return _found("ok", f"callers by TLS must dial {names}, not {address}, which the certificate does not name")
        advice = f"make one with the name that callers dial, or with IP:{address}"
        return _found("warning", f"the certificate names {names or 'nothing'} and not {address}", advice)
    return _found("ok", f"the certificate names {names}, {address} among them")


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "sip", text, advice)
