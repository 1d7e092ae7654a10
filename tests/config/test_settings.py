"""Settings: every key documented, every mistake named."""

from pathlib import Path

import pytest
import yaml

from config.exceptions import SettingsError
from config.settings import DEFAULT_FILE, Settings, is_loopback, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)


def test_the_shipped_file_shows_every_setting_with_its_default() -> None:
    shipped = yaml.safe_load(DEFAULT_FILE.read_text())
    assert load_settings() == Settings()

    def keys(tree: object, prefix: str = "") -> set[str]:
        if not isinstance(tree, dict):
            return {prefix}
        return {key for name, value in tree.items() for key in keys(value, f"{prefix}.{name}")}

    assert keys(shipped) == keys(Settings().model_dump())


def test_every_setting_is_explained_beside_it() -> None:
    lines = [line for line in DEFAULT_FILE.read_text().splitlines() if line.startswith("  ") and ":" in line]
    bare = [line for line in lines if "#" not in line and not line.rstrip().endswith(":") and "_message" not in line]
    assert bare == []


def test_the_environment_goes_before_the_file_and_overrides_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("turn: {endpoint_ms: 500, reprompt_ms: 9000}\nserver: {port: 1}")
    monkeypatch.setenv("VOXLINE_TURN__ENDPOINT_MS", "600")
    settings = load_settings(file, {"server.port": 2})
    assert (settings.turn.endpoint_ms, settings.turn.reprompt_ms, settings.server.port) == (600, 9000, 2)


def test_the_secret_comes_from_twilios_own_variable_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "s3cret-value")
    settings = load_settings(overrides={"server.public_url": "https://voice.example.com"})
    assert settings.secured
    assert settings.twilio.auth_token.get_secret_value() == "s3cret-value"
    assert "s3cret-value" not in repr(settings)
    with pytest.raises(SettingsError) as error:
        load_settings(overrides={"server.public_url": "ftp://x"})
    assert "s3cret-value" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("turn: {endpont_ms: 5}", ["turn.endpont_ms", "no such setting"]),
        ("turn: {endpoint_ms: 5}", ["turn.endpoint_ms", "50", "got 5"]),
        ("turn: {onset_probability: loud}", ["turn.onset_probability", "loud"]),
        ("tern: {}", ["tern", "no such setting"]),
        ("engine: {profile: gpt}", ["engine.profile", "embedded", "gpt"]),
        ("playout: {lead_ms: 100}", ["playout", "block_ms"]),
        ("server: {host: 0.0.0.0}", ["server.host", "loopback", "TWILIO_AUTH_TOKEN"]),
        ("twilio: {auth_token: x}", ["server.public_url"]),
        ("[1, 2]", ["groups of settings"]),
        ("turn: {", ["YAML"]),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, named: list[str]) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(file)
    assert str(file) in str(error.value)
    for part in named:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("VOXLINE_TRUN__ENDPOINT_MS", "1", "VOXLINE_TRUN__ENDPOINT_MS"),
        ("VOXLINE_TURN__ENDPONT_MS", "1", "turn.endpont_ms"),
        ("VOXLINE_TURN__ENDPOINT_MS", "soon", "turn.endpoint_ms"),
    ],
)
def test_a_mistake_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, named: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml")


LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "localhost"]
PUBLIC = ["0.0.0.0", "::", "192.168.1.1", "voice.example.com", "127.0.0.1.example.com"]


@pytest.mark.parametrize("host", [*LOOPBACK, *PUBLIC])
def test_what_counts_as_loopback(host: str) -> None:
    assert is_loopback(host) is (host in LOOPBACK)
