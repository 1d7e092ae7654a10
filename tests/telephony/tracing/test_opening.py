"""Traces are sent where a collector is set and OpenTelemetry is there."""

import sys

import pytest
from pydantic import SecretStr

from config.exceptions import SettingsError
from config.settings import load_settings
from config.traces import TracesSettings
from telephony.tracing.opening import open_traces


def test_without_an_address_there_are_none() -> None:
    assert open_traces(load_settings(), "1") is None


def test_without_the_extra_the_server_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(None, {"traces.url": "http://127.0.0.1:4318"})
    monkeypatch.setitem(sys.modules, "telephony.tracing.traces", None)
    with pytest.raises(SettingsError, match=r"traces.url: OpenTelemetry is not installed: .*traces"):
        open_traces(settings, "1")


@pytest.mark.parametrize("header", ["Authorization", "a: b\nc: d", "ä: b"])
def test_a_header_that_is_none_is_refused_without_showing_it(header: str) -> None:
    with pytest.raises(SettingsError, match="a header is wanted") as error:
        load_settings(None, {"traces.header": header})
    assert header not in str(error.value)
    assert TracesSettings(header=SecretStr("a: b")).header.get_secret_value() == "a: b"
