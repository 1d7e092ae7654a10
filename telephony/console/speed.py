"""How fast the server has answered in the last five minutes, beside its targets, and which of its switches are on."""

import msgspec

from config.settings import Settings
from telephony.console.words import millis
from telephony.server.streaming_api import switches
from telephony.timing.figures import Figures, Spread, Target

NAMES = {
    "first_word": "Decision to first word",
    "word_to_audio": "Word to audio",
    "perceived": "Decision to audio",
    "interruption_response": "Falling silent",
    "end_to_end": "Silence to audio",
}
SWITCHES = {  # by the variable: what people call it
    "STT_STREAMING_ENABLED": "hears while the caller speaks",
    "STT_PARTIALS_ENABLED": "partial words",
    "ORCH_STREAMING_ENABLED": "speaks while the model writes",
    "CONCURRENT_TTS_ENABLED": "several pieces at once",
    "TTS_STREAMING_ENABLED": "plays while it is synthesized",
}


class Speed(msgspec.Struct, frozen=True):
    """One kind of time. `met` is of the median; None: there is no target, or nothing was measured."""

    name: str
    p50: str
    p95: str
    target: str
    met: bool | None
    missed: str  # since the start


class Switch(msgspec.Struct, frozen=True):
    """One that may be changed while the server runs."""

    name: str
    variable: str
    on: bool


def speeds(figures: Figures) -> list[Speed]:
    """Of each kind that people look at."""
    recent, targets = figures.recent(), figures.targets()
    return [_speed(name, recent[kind], targets.get(kind)) for kind, name in NAMES.items()]


def switches_of(settings: Settings) -> list[Switch]:
    """All of them, as calls that begin now have them."""
    on = switches(settings)
    return [Switch(name, variable, on[variable]) for variable, name in SWITCHES.items()]


def _speed(name: str, spread: Spread, target: Target | None) -> Speed:
    p50, p95 = millis(spread.p50), millis(spread.p95)
    if target is None:
        return Speed(name, p50, p95, "", None, "")
    met = None if spread.p50 is None else spread.p50 <= target.target_ms
    missed = f"{target.missed} of {target.measured} missed" if target.measured else ""
    return Speed(name, p50, p95, millis(target.target_ms), met, missed)
