"""Switches by the names that other agents have for them."""

import pytest

from config.exceptions import SettingsError
from config.settings import Settings, from_sources, load_settings
from config.streaming import SWITCHES, aliases


def read(**environment: str) -> Settings:
    return from_sources(aliases(environment)) if aliases(environment) else Settings()


def test_each_switch_turns_something_off_and_on_again() -> None:
    for name in SWITCHES:
        off, on = read(**{name: "false"}), read(**{name: "TRUE"})
        assert on == Settings()
        assert off != Settings()


def test_what_is_off_by_one_of_two_names_is_off() -> None:
    for on, off in (
        ("STT_PARTIALS_ENABLED", "PARTIAL_SUPPORT_ENABLED"),
        ("PARTIAL_SUPPORT_ENABLED", "STT_PARTIALS_ENABLED"),
    ):
        assert not read(**{on: "1", off: "0"}).recognition.partials


def test_a_switch_that_is_neither_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"TTS_STREAMING_ENABLED: true or false is wanted, not 'maybe'"):
        aliases({"TTS_STREAMING_ENABLED": "maybe"})


def test_our_own_names_count_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_STREAMING_ENABLED", "no")
    monkeypatch.setenv("CONCURRENT_TTS_ENABLED", "off")
    assert not load_settings().reply.streaming
    assert load_settings().reply.concurrent_tts_streams == 1
    monkeypatch.setenv("VOXLINE_REPLY__STREAMING", "true")
    assert load_settings().reply.streaming
