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


def test_the_password_of_the_database_is_never_shown() -> None:
    url = "postgresql://voxline:s3cret-value@db.example.com/calls"
    settings = load_settings(overrides={"records.url": url})
    assert settings.records.url.get_secret_value() == url
    assert "s3cret-value" not in repr(settings)
    for wrong in ({"records.url": [url]}, {"records.keep_days": -1, "records.url": url}):
        with pytest.raises(SettingsError) as error:
            load_settings(overrides=wrong)
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
        ("sip: {enabled: true, host: 0.0.0.0}", ["sip.host", "sip.trusted", "sip.users", "loopback"]),
        ("sip: {enabled: true, host: 0.0.0.0, trusted: [10.0.0.0/8]}", ["sip.advertised", "0.0.0.0"]),
        ("sip: {host: example.com}", ["sip.host", "example.com"]),
        ("sip: {trusted: [10.0.0.1/8]}", ["sip.trusted", "10.0.0.1/8"]),
        ("sip: {transports: [tls]}", ["sip", "tls_cert"]),
        ("sip: {advertised: '2001:db8::1'}", ["sip", "advertised", "IPv6"]),
        ("sip: {transports: [sctp]}", ["sip.transports", "tcp"]),
        ("sip: {trunks: {acme: {}}}", ["sip.trunks.acme.server", "required"]),
        ("sip: {trunks: {acme: {server: pbx.example.com}}}", ["sip.trunks.acme.server", "pbx.example.com"]),
        ("sip: {trunks: {acme: {server: 'sip:bob@pbx'}}}", ["sip.trunks.acme.server", "bob@pbx"]),
        ("sip: {trunks: {acme: {server: 'sip:pbx;transport=ws'}}}", ["sip.trunks.acme.server", "ws"]),
        ("sip: {trunks: {acme: {server: 'sip:pbx', from: bob}}}", ["sip.trunks.acme.from", "bob"]),
        ("sip: {trunks: {acme: {server: 'sip:pbx', expires_s: 1}}}", ["sip.trunks.acme.expires_s", "10"]),
        ("sip: {trunks: {acme: {server: 'sip:pbx', trusted: [pbx]}}}", ["sip.trunks.acme.trusted", "pbx"]),
        ("sip: {trunks: {acme: {server: 'sip:pbx', register: true}}}", ["sip.trunks.acme", "register needs user"]),
        ("sip: {trunks: {acme: {server: 'sip:pbx', password: x}}}", ["sip.trunks.acme", "password without user"]),
        ("sip: {trunks: {acme: {server: 'sip:pbx', registers: true}}}", ["acme.registers", "no such setting"]),
        ("sip: {trunks: {'a b': {server: 'sip:pbx'}}}", ["sip.trunks.a b"]),
        ("sip: {ring_timeout_s: 0}", ["sip.ring_timeout_s"]),
        ("sip: {rtp_first_port: 30000}", ["sip", "rtp_last_port"]),
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


def test_sip_listens_on_other_addresses_once_somebody_is_known() -> None:
    trunk = {"acme": {"server": "sip:pbx.example.com", "user": "ann", "password": "s3cret"}}
    for known in ({"sip.trusted": ["192.0.2.0/24"]}, {"sip.users": {"ann": "s3cret"}}, {"sip.trunks": trunk}):
        settings = load_settings(overrides={"sip.enabled": True, "sip.host": "192.0.2.1"} | known)
        assert settings.sip.enabled
        assert "s3cret" not in repr(settings)


def test_a_password_of_sip_is_not_shown_even_if_it_is_wrong() -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(overrides={"sip.users": {"ann": 31337}})
    assert "sip.users.ann" in str(error.value)
    assert "31337" not in str(error.value)


def test_a_trunk_from_the_environment_keeps_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = {"server": "sip:pbx.example.com:5070;transport=tcp", "user": "ann", "register": True, "from": "sip:a@b"}
    monkeypatch.setenv("VOXLINE_SIP__TRUNKS__ACME__PASSWORD", "s3cret")
    acme = load_settings(overrides={"sip.trunks": {"acme": trunk}}).sip.trunks["acme"]
    assert (acme.registers, acme.caller, acme.password.get_secret_value()) == (True, "sip:a@b", "s3cret")
    with pytest.raises(SettingsError) as error:
        load_settings(overrides={"sip.trunks": {"acme": trunk | {"password": 31337}}})
    assert "sip.trunks.acme.password" in str(error.value)
    assert "31337" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("VOXLINE_TRUN__ENDPOINT_MS", "1", "VOXLINE_TRUN__ENDPOINT_MS"),
        ("VOXLINE_TURN__ENDPONT_MS", "1", "the environment: VOXLINE_TURN__ENDPONT_MS: .*did you mean endpoint_ms"),
        ("VOXLINE_TURN__ENDPOINT_MS", "soon", "the environment: VOXLINE_TURN__ENDPOINT_MS: .*got 'soon'"),
        ("VOXLINE_SERVER__HOST", "0.0.0.0", "the environment: server.host: .*loopback"),
        ("VOXLINE_PLAYOUT__LEAD_MS", "100", "the environment: VOXLINE_PLAYOUT: lead_ms must be"),
        ("VOXLINE_SIP__CODECS", "opus", "the environment: VOXLINE_SIP__...: .*JSON: Expecting value"),
        ("VOXLINE_TWILIO__SHARED_KEYS", "{'id': 's3cret'}", "VOXLINE_TWILIO__...: .* as JSON: [^3]*$"),
    ],
)
def test_a_mistake_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, named: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_a_mistake_in_set_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text("turn: {endpoint_ms: 500}")
    for changes, named in (
        ({"turn.endpoint_ms": 5}, "--set: turn.endpoint_ms: .*got 5"),
        ({"turn.endpont_ms": 500}, "--set: turn.endpont_ms: there is no such setting; did you mean endpoint_ms?"),
        ({"server.host": "0.0.0.0"}, "--set: server.host: .*loopback"),
    ):
        with pytest.raises(SettingsError, match=named) as error:
            load_settings(file, changes)
        assert str(file) not in str(error.value)


def test_an_unknown_key_is_answered_with_those_there_are() -> None:
    trunks = {"sip.trunks": {"acme": {"server": "sip:pbx", "registers": True}}}
    for changes, known in (
        ({"log.levels": "info"}, ["did you mean level?", "level, format, words"]),
        ({"lgo": {}}, ["did you mean log?", "server, log, call"]),
        ({"zzz": {}}, ["no such setting; there are server, log, call"]),
        ({"engine.voxtral.modle": "x"}, ["engine.voxtral.modle", "did you mean model?"]),
        (trunks, ["sip.trunks.acme.registers", "did you mean register?", "expires_s"]),
    ):
        with pytest.raises(SettingsError) as error:
            load_settings(overrides=changes)
        for part in known:
            assert part in str(error.value)


def test_what_stands_in_place_of_a_group_is_not_shown() -> None:
    for group in ("twilio", "engine.openai", "sip.trunks.acme"):
        with pytest.raises(SettingsError, match=f"--set: {group}: ") as error:
            load_settings(overrides={group: "s3cret-value"})
        assert "s3cret-value" not in str(error.value)


def test_off_and_on_need_no_quotes(tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text("tape:\n  mode: off\nlog:\n  words: yes\nturn:\n  resume: off\n  adapt_words: on\n")
    settings = load_settings(file)
    assert settings.tape.mode == "off"
    assert (settings.log.words, settings.turn.resume, settings.turn.adapt_words) == (True, False, True)


def test_a_key_that_stands_twice_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("turn: {endpoint_ms: 500}\nturn: {reprompt_ms: 9000}")
    with pytest.raises(SettingsError, match=r"twice\.yaml.*turn: stands twice"):
        load_settings(file)


def test_secrets_come_as_credentials_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "voxline_twilio.auth_token").write_text("s3cret-value\n")
    (tmp_path / "engine.openai.api_key").write_text("another")
    (tmp_path / "tls-key").write_text("of something else")
    settings = load_settings(overrides={"server.public_url": "https://voice.example.com"})
    assert settings.twilio.auth_token.get_secret_value() == "s3cret-value"
    assert settings.engine.openai.api_key.get_secret_value() == "another"
    (tmp_path / "voxline_twilio.token").write_text("s3cret-value")
    with pytest.raises(SettingsError, match=r"the credentials in .*: twilio\.token: there is no such setting") as error:
        load_settings()
    assert "s3cret-value" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml")


LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "localhost"]
PUBLIC = ["0.0.0.0", "::", "192.168.1.1", "voice.example.com", "127.0.0.1.example.com"]


@pytest.mark.parametrize("host", [*LOOPBACK, *PUBLIC])
def test_what_counts_as_loopback(host: str) -> None:
    assert is_loopback(host) is (host in LOOPBACK)
