"""Webhooks: settings that do not fit together. Nobody is called, and no address is shown: it may hold a password."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from config.settings import Settings, is_loopback
from telephony.doctor.finding import Finding, Level

PORTS = {"http": 80, "https": 443}


def check(settings: Settings) -> Iterator[Finding]:
    """Check both hooks."""
    hooks = settings.hooks
    if not hooks.asks_before and not hooks.tells_after:
        yield _found("ok", "off: nobody is asked before calls or told after them")
        if hooks.secret.get_secret_value():
            advice = "set hooks.before_call or hooks.after_call"
            yield _found("warning", "hooks.secret is set, but there is no address to use it with", advice)
        return
    if hooks.asks_before:
        yield _found(
            "ok", f"hooks.before_call: asked before each call, for at most {hooks.before_call_ms} ms; not tried"
        )
        yield from _address("hooks.before_call", hooks.before_call, settings)
    if hooks.tells_after:
        yield _found(
            "ok", f"hooks.after_call: told after each call, for up to {hooks.after_call_days:g} days; not tried"
        )
        yield from _address("hooks.after_call", hooks.after_call, settings)
        if 0 < settings.records.keep_days < hooks.after_call_days:
            text = (
                f"calls are deleted after {settings.records.keep_days} days (records.keep_days), while "
                f"hooks.after_call may be told for {hooks.after_call_days:g} (hooks.after_call_days)"
            )
            yield _found("warning", text, "keep calls longer, or lower hooks.after_call_days")


def _address(key: str, address: SecretStr, settings: Settings) -> Iterator[Finding]:
    url = urlsplit(address.get_secret_value())
    host = url.hostname or ""
    if url.scheme == "http" and not is_loopback(host):
        text = f"{key} is http://: numbers and words of callers go over the network unencrypted"
        yield _found("warning", text, "use https://, unless the network is your own")
    if is_loopback(host) and (url.port or PORTS[url.scheme]) == settings.server.port:
        text = f"{key} leads to voxline's own port {settings.server.port}, where no hook is answered"
        yield _found("warning", text, "set it to the address of your own program")


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "hooks", text, advice)
