"""Other agents' YAML, read as settings of ours."""

from pathlib import Path

import pytest

from config.exceptions import SettingsError
from config.foreign import translated

YAML = """
speech_to_speech:
  enabled: true
  streaming:
    mode: chunked
    words_trigger_threshold: 3
    max_tokens: 250
    interruption_threshold_ms: 80
    first_word_target_ms: 100
    word_to_audio_target_ms: 150
    interruption_response_ms: 60
    concurrent_tts_streams: 2
voice_agent:
  tts_streaming_enabled: false
  colour: blue
models: {}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "theirs.yaml"
    path.write_text(text)
    return path


def test_what_has_a_counterpart_becomes_a_setting_and_the_rest_is_named(tmp_path: Path) -> None:
    found = translated(write(tmp_path, YAML))
    assert found.settings == {
        "recognition.streaming": True,
        "reply.streaming": True,
        "reply.speech_streaming": False,
        "reply.words_trigger_threshold": 3,
        "engine.voxtral.max_tokens": 250,
        "engine.openai.max_tokens": 250,
        "targets.first_word_ms": 100,
        "targets.word_to_audio_ms": 150,
        "targets.interruption_response_ms": 60,
        "reply.concurrent_tts_streams": 2,
    }
    assert set(found.left_out) == {
        "speech_to_speech.streaming.interruption_threshold_ms",
        "voice_agent.colour",
        "models",
    }


def test_sequential_means_that_nothing_is_said_before_the_reply_is_written(tmp_path: Path) -> None:
    text = "voice_agent: {streaming: {mode: sequential, concurrent_tts: false}}"
    assert translated(write(tmp_path, text)).settings == {"reply.streaming": False, "reply.concurrent_tts_streams": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "neither speech_to_speech nor voice_agent"),
        ("a: 1", "neither speech_to_speech nor voice_agent"),
        ("voice_agent: 3", "voice_agent: settings by name are wanted, not int"),
        ("voice_agent: {", "is not valid YAML"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        translated(write(tmp_path, text))
    with pytest.raises(SettingsError, match="cannot read"):
        translated(tmp_path / "missing.yaml")
