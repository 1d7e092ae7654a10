"""For tests of the doctor: settings, and what was found with them."""

from collections.abc import Iterable
from typing import Any

from config.settings import Settings, load_settings
from telephony.doctor.finding import Finding

OPEN = {"sip.enabled": True, "sip.port": 0, "sip.tls_port": 0}


def settings(**changes: Any) -> Settings:
    """The shipped settings with SIP enabled. Double underscores stand for dots."""
    return load_settings(None, OPEN | {key.replace("__", "."): value for key, value in changes.items()})


def of(level: str, findings: Iterable[Finding]) -> list[str]:
    """The texts of a level."""
    return [finding.text for finding in findings if finding.level == level]


def text(findings: Iterable[Finding]) -> str:
    """All there is to read."""
    return "\n".join(f"{finding.level}: {finding.text} {finding.advice}" for finding in findings)
