"""HTTP and Twilio: what the server listens on, what Twilio requests, and how that gets here."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from config.exceptions import SettingsError
from config.settings import Settings, is_loopback
from telephony.doctor.finding import Finding, Level
from telephony.lines.sip.network.sockets import show
from telephony.lines.twilio.signature import Signature
from telephony.server.draining import bind

TOKEN = re.compile("[0-9a-f]{32}")
NOT_PUBLIC = ("localhost", ".local", ".internal", ".lan")


def check(settings: Settings, *, running: bool = False) -> Iterator[Finding]:
    """Check all of HTTP and Twilio."""
    server = settings.server
    yield _listening(server.host, server.port, running=running)
    if not settings.secured:
        text = "Twilio cannot call: there is no twilio.auth_token, so voxline listens to this machine only"
        advice = "set TWILIO_AUTH_TOKEN, and server.public_url to the address that Twilio calls"
        yield _found("ok", text) if settings.sip.enabled else _found("warning", text, advice)
        return
    auth_token = settings.twilio.auth_token.get_secret_value()
    if not TOKEN.fullmatch(auth_token) and (auth_token or not settings.twilio.shared_keys):
        text = "twilio.auth_token does not look like one, which is 32 characters of 0-9 and a-f"
        yield _found("warning", text, "copy the Auth Token of the account, on the console's front page")
    faults = list(_url(settings))
    yield from faults
    if not any(fault.level == "problem" for fault in faults):
        yield from _way(settings)


def _listening(host: str, port: int, *, running: bool) -> Finding:
    try:
        for bound in bind(host, port):
            bound.close()
    except SettingsError as error:
        if running:
            return _found("ok", f"HTTP {show(host, port)}: taken by the voxline that is already running here")
        return _found(
            "problem", str(error), "`ss -lpnt` shows which program has a port, `ip address` the addresses there are"
        )
    return _found("ok", f"HTTP {show(host, port)}: free to listen on")


def _url(settings: Settings) -> Iterator[Finding]:
    """Check server.public_url."""
    public_url = settings.server.public_url
    try:
        Signature("any", public_url)
    except SettingsError as error:
        yield _found("problem", f"server.{error}")
        return
    url = urlsplit(public_url)
    if url.scheme != "https":
        text = f"server.public_url is {public_url}: Twilio sends audio by wss:// only, and secrets should not be seen"
        yield _found("problem", text, "put a proxy with a certificate in front, or a tunnel, and name its https://")
    if not _is_public(url.hostname or ""):
        yield _found(
            "problem", f"server.public_url is {public_url}: Twilio cannot reach {url.hostname}", "use its public name"
        )
    if "/twilio/" in url.path + "/":
        advice = f"set {public_url[: public_url.index('/twilio')]}"
        yield _found("problem", "server.public_url must end before /twilio, which is added to it", advice)


def _way(settings: Settings) -> Iterator[Finding]:
    """The route from Twilio to here."""
    server = settings.server
    base, path = server.public_url.rstrip("/"), urlsplit(server.public_url).path.rstrip("/")
    yield _found(
        "ok", f"in Twilio's console: A call comes in: {base}/twilio/voice, by POST; status: {base}/twilio/status"
    )
    local = "http://" + show(server.host, server.port)
    without = f", without the {path} in front" if path else ""
    way = f"{base} must lead to {local}{without}, with WebSocket upgrades on /twilio/media; not seen from here"
    if is_loopback(server.host):
        yield _found("ok", f"a proxy or tunnel on this machine: {way}")
    else:
        advice = "let a firewall admit the proxy only, or put it on this machine and set server.host: 127.0.0.1"
        yield _found("warning", f"{way}; {local} is open to others, without encryption", advice)


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.lower().endswith(NOT_PUBLIC)


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "http and twilio", text, advice)
