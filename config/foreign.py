"""Settings of other streaming voice agents, read as ours: `speech_to_speech.streaming.*` and `voice_agent.*` of their
YAML.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from config import strict_yaml
from config.exceptions import SettingsError

Translate = Callable[[Any], dict[str, Any]]


class Translated(msgspec.Struct):
    """What there is of ours, by dotted key, and what has no counterpart, with the reason."""

    settings: dict[str, Any] = {}
    left_out: dict[str, str] = {}


def _to(*keys: str) -> Translate:
    return lambda value: dict.fromkeys(keys, value)


def _mode(value: Any) -> dict[str, Any]:
    return {"reply.streaming": value not in ("sequential", "batch", "off", False)}


def _concurrent(value: Any) -> dict[str, Any]:
    return {} if value else {"reply.concurrent_tts_streams": 1}


# By the other's key, without its group.
KEYS: dict[str, Translate] = {
    "enabled": _to("recognition.streaming", "reply.streaming", "reply.speech_streaming"),
    "mode": _mode,
    "words_trigger_threshold": _to("reply.words_trigger_threshold"),
    "min_sentence_chars": _to("reply.min_sentence_chars"),
    "concurrent_tts_streams": _to("reply.concurrent_tts_streams"),
    "concurrent_tts": _concurrent,
    "concurrent_tts_enabled": _concurrent,
    "max_tokens": _to("engine.voxtral.max_tokens", "engine.openai.max_tokens"),
    "max_new_tokens": _to("engine.voxtral.max_tokens", "engine.openai.max_tokens"),
    "temperature": _to("engine.voxtral.temperature", "engine.openai.temperature"),
    "top_p": _to("engine.voxtral.top_p", "engine.openai.top_p"),
    "stt_streaming": _to("recognition.streaming"),
    "stt_streaming_enabled": _to("recognition.streaming"),
    "partials": _to("recognition.partials"),
    "partials_enabled": _to("recognition.partials"),
    "partial_support": _to("recognition.partials"),
    "tts_streaming": _to("reply.speech_streaming"),
    "tts_streaming_enabled": _to("reply.speech_streaming"),
    "first_word_target_ms": _to("targets.first_word_ms"),
    "word_to_audio_target_ms": _to("targets.word_to_audio_ms"),
    "interruption_response_ms": _to("targets.interruption_response_ms"),
    "perceived_latency_target_ms": _to("targets.perceived_ms"),
    "voice": _to("engine.kokoro.voice"),
}
REASONS = {
    "interruption_threshold_ms": "a pause costs nothing here, so the agent falls silent at the first sound; see "
    "turn.interrupt_ms for when a reply is ended",
    "interruption_threshold": "the voice detector decides; see turn.pause_probability",
}


def translated(path: Path) -> Translated:
    """What the file's settings are here. Raises SettingsError if it is not such a file."""
    try:
        content = strict_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from None
    found = Translated()
    if not isinstance(content, dict) or not {"speech_to_speech", "voice_agent"} & content.keys():
        raise SettingsError(f"{path}: neither speech_to_speech nor voice_agent is in it")
    for key in content.keys() - {"speech_to_speech", "voice_agent"}:
        found.left_out[str(key)] = "no such group here"
    for group in ("speech_to_speech", "voice_agent"):
        if group in content:
            _translate(found, group, content[group])
    return found


def _translate(found: Translated, prefix: str, values: Any) -> None:
    """A group, and the groups in it, whatever they are called."""
    if not isinstance(values, dict):
        raise SettingsError(f"{prefix}: settings by name are wanted, not {type(values).__name__}")
    for key, value in values.items():
        name = f"{prefix}.{key}"
        if isinstance(value, dict):
            _translate(found, name, value)
        elif key in KEYS:
            found.settings |= KEYS[key](value)
        else:
            found.left_out[name] = REASONS.get(str(key), "has no counterpart here")
