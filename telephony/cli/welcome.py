"""What `voxline serve` says to a person at a terminal: where to call, where to look, how to end it."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from config.settings import Settings


def welcome(settings: Settings, urls: Iterable[str], sip_ports: Mapping[str, int]) -> str:
    """Some lines of text. `urls` are where HTTP listens, `sip_ports` where SIP does, by transport."""
    url = next(iter(urls))
    lines = [f"voxline {version('voxline')} answers calls.", f"  try it    voxline call {url}"]
    if settings.calls_from_pages:
        lines.append(f"  phone     {url}/browser/ in a browser")
    if settings.secured:
        lines.append(f"  Twilio    {settings.server.public_url}/twilio/voice (webhook, HTTP POST)")
    for transport, port in sip_ports.items():
        host = settings.sip.advertised or settings.sip.host
        host = f"[{host}]" if ":" in host else host
        lines.append(f"  SIP       sip:{settings.call.agent}@{host}:{port};transport={transport.lower()}")
    lines.append(f"  health    {url}/readyz and {url}/metrics")
    lines.append("  settings  voxline doctor says whether calls will come in")
    lines.append(
        f"  to end    Ctrl-C: running calls may last {settings.server.drain_s:g} s more; once again: they end at once"
    )
    return "\n".join(lines)
