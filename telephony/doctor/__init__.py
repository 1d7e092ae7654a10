"""`voxline doctor`: says before the first call whether calls will come in and be answered. It changes nothing."""

from collections.abc import Iterator

import httpx

from config.settings import Settings
from telephony.doctor import console, engine, files, hooks, records, sip, twilio
from telephony.doctor.finding import Finding

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (what to ask where a server listens everywhere)


def diagnose(settings: Settings, *, running: bool | None = None) -> list[Finding]:
    """All findings, from the settings and from the state of this machine. `running` says whether a server with these
    settings has the ports; without it, one is looked for."""
    return list(_findings(settings, running=is_running(settings) if running is None else running))


def is_running(settings: Settings) -> bool:
    """Whether a voxline with these settings is already running; then it is the one that has the ports."""
    host = EVERYWHERE.get(settings.server.host, settings.server.host)
    where = f"[{host}]" if ":" in host else host
    try:
        answer = httpx.get(f"http://{where}:{settings.server.port}/healthz", timeout=1, trust_env=False)
        return bool(answer.json() == {"status": "ok"})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False


def _findings(settings: Settings, *, running: bool) -> Iterator[Finding]:
    yield from twilio.check(settings, running=running)
    yield from sip.check(settings, running=running)
    yield from engine.check(settings)
    yield from files.check(settings)
    yield from records.check(settings)
    yield from hooks.check(settings)
    yield from console.check(settings)
