"""What `voxline serve` says to a person at a terminal: where to call, where to look, how to end it."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from config.settings import Settings, is_loopback


def welcome(settings: Settings, urls: Iterable[str], sip_ports: Mapping[str, int], console: str = "") -> str:
    """Some lines of text. `urls` are where HTTP listens, `sip_ports` where SIP does, by transport; `console` is the
    link that signs whoever opens it in."""
    url = next(iter(urls))
    lines = [f"voxline {version('voxline')} answers calls."]
    if console:
        lines.append(f"  console   {console}")
    elif settings.console.enabled and settings.console.tls_proxy:
        lines.append(f"  console   {settings.server.public_url or 'https://YOUR-PROXY'}/console")
    lines.append(f"  try it    voxline call {url}")
    if settings.calls_from_pages:
        where = settings.server.public_url.rstrip("/") if settings.secured else url
        lines.append(f"  phone     {where}/browser/ in a browser")
    if settings.secured:
        lines.append(f"  Twilio    {settings.server.public_url}/twilio/voice (webhook, HTTP POST)")
    for transport, port in sip_ports.items():
        host = settings.sip.advertised or settings.sip.host
        host = f"[{host}]" if ":" in host else host
        lines.append(f"  SIP       sip:{settings.call.agent}@{host}:{port};transport={transport.lower()}")
    lines.append(f"  health    {url}/readyz and {url}/metrics")
    lines += [f"  missing   {what}" for what in missing(settings)]
    lines.append("  settings  voxline doctor says whether calls will come in")
    lines.append(
        f"  to end    Ctrl-C: running calls may last {settings.server.drain_s:g} s more; once again: they end at once"
    )
    return "\n".join(lines)


def missing(settings: Settings) -> list[str]:
    """What a new operator is likely to look for in vain, and which setting brings it."""
    console = settings.console
    lacks = {
        "calls from phones: set twilio.auth_token, or sip.enabled": not settings.secured and not settings.sip.enabled,
        "waveforms on calls' pages: tape.mode is off": settings.tape.mode == "off",
        "recordings: recording.mode is off": settings.recording.mode == "off",
        "what was said, on record: log.words is false": not settings.log.words,
        "the console: a proxy with TLS, and console.tls_proxy": console.enabled
        and not console.tls_proxy
        and not is_loopback(settings.server.host),
        "who may sign in: console.users": console.enabled and console.tls_proxy and not console.users,
    }
    return [what for what, is_missing in lacks.items() if is_missing]
