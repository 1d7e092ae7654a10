"""The console: whether anybody can open it, and settings of it that have no effect."""

from collections.abc import Iterator

from config.settings import Settings, is_loopback
from telephony.doctor.finding import Finding, Level


def check(settings: Settings) -> Iterator[Finding]:
    """Check all of it."""
    console = settings.console
    if not console.enabled:
        yield _found("ok", "off: console.enabled is false")
        if console.tls_proxy or console.users:
            yield _found("warning", "console.tls_proxy and console.users have no effect", "set console.enabled: true")
        return
    here = is_loopback(settings.server.host)
    if here:
        yield _found("ok", "on this machine: by the link that `voxline serve` prints")
    if console.tls_proxy:
        yield from _proxied(settings, here=here)
    elif not here:
        advice = "put a proxy with TLS in front and set console.tls_proxy: true, or set console.enabled: false"
        yield _found("warning", "it is not served: server.host is not loopback, and console.tls_proxy is false", advice)
    elif console.users:
        advice = "put a proxy with TLS in front and set console.tls_proxy: true"
        yield _found("warning", "console.users can sign in on this machine only: console.tls_proxy is false", advice)
    if console.idle_s > console.session_s:
        text = f"console.idle_s is {console.idle_s:g}, but sessions end after console.session_s: {console.session_s:g}"
        yield _found("warning", text, "make console.idle_s the shorter one")


def _proxied(settings: Settings, *, here: bool) -> Iterator[Finding]:
    """What people need who come through the proxy."""
    users, public_url = settings.console.users, settings.server.public_url
    make = "add one; `voxline console-password` makes the hash of a password"
    if not users:
        yield _found("warning", "nobody can sign in through the proxy: there are no console.users", make)
    else:
        yield _found("ok", f"through the proxy sign in: {', '.join(users)}")
        if not here and all(user.role != "admin" for user in users.values()):
            yield _found("warning", "nobody can change anything: no user has the role admin", make)
    if not settings.secured and not public_url:
        advice = "set server.public_url to the proxy's address, such as https://voice.example.com"
        yield _found("warning", "requests through the proxy are refused: server.public_url does not name it", advice)
    elif public_url.startswith("http://"):
        text = "console.tls_proxy is true, but server.public_url is http://: people are let in over https:// only"
        yield _found("warning", text, "set server.public_url to the proxy's https://")


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "console", text, advice)
