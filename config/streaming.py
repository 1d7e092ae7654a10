"""What other streaming voice agents call their switches and targets: read as settings of ours.

Their environment variables are aliases; their YAML is translated by `voxline import-config`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from config.exceptions import SettingsError
from config.group import Group, Milliseconds
from config.sources import SettingsSource, nested


class RecognitionSettings(Group):
    """When the recognizer is given what a caller says, and whether its words count before the end."""

    streaming: bool = True
    partials: bool = True


class TargetsSettings(Group):
    """How fast the agent is to be; what is slower is counted."""

    first_word_ms: Milliseconds = Field(default=120, ge=1)
    word_to_audio_ms: Milliseconds = Field(default=150, ge=1)
    perceived_ms: Milliseconds = Field(default=200, ge=1)
    interruption_response_ms: Milliseconds = Field(default=100, ge=1)


# By the variable, what it sets when it is on and when it is off.
SWITCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "STT_STREAMING_ENABLED": ({"recognition.streaming": True}, {"recognition.streaming": False}),
    "STT_PARTIALS_ENABLED": ({"recognition.partials": True}, {"recognition.partials": False}),
    "PARTIAL_SUPPORT_ENABLED": ({"recognition.partials": True}, {"recognition.partials": False}),
    "ORCH_STREAMING_ENABLED": ({"reply.streaming": True}, {"reply.streaming": False}),
    "CONCURRENT_TTS_ENABLED": ({}, {"reply.concurrent_tts_streams": 1}),
    "TTS_STREAMING_ENABLED": ({"reply.speech_streaming": True}, {"reply.speech_streaming": False}),
}
_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def aliases(environment: Mapping[str, str]) -> list[SettingsSource]:
    """The settings that the switches in the environment stand for, off before on where two mean the same. Raises
    SettingsError for a value that is neither."""
    given = [(name, _is_on(name, environment[name])) for name in SWITCHES if environment.get(name)]
    ordered = sorted(given, key=lambda item: not item[1])  # the later source counts: what is off anywhere is off
    return [SettingsSource(name, nested(SWITCHES[name][not on])) for name, on in ordered]


def _is_on(name: str, value: str) -> bool:
    on = _WORDS.get(value.strip().lower())
    if on is None:
        raise SettingsError(f"{name}: true or false is wanted, not {value!r}")
    return on
