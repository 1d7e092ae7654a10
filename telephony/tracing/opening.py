"""Opens the traces of a server, where OpenTelemetry is installed: it is an extra."""

from typing import TYPE_CHECKING

from config.exceptions import SettingsError
from config.extras import install_command
from config.settings import Settings

if TYPE_CHECKING:
    from telephony.tracing.traces import Traces


def open_traces(settings: Settings, version: str) -> "Traces | None":
    """None where `traces.url` is empty. Raises SettingsError where the SDK is missing."""
    if not settings.traces.url:
        return None
    try:
        from telephony.tracing.traces import Traces  # noqa: PLC0415 (an extra)
    except ImportError:
        raise SettingsError(f"traces.url: OpenTelemetry is not installed: {install_command('traces')}") from None
    return Traces(settings, version)
