"""The settings of hooks: addresses are checked, and never shown."""

import pytest

from config.exceptions import SettingsError
from config.settings import load_settings

SECRET = {"hooks.secret": "a secret of the tests"}
PASSWORD = "rumpelstiltskin"


def test_addresses_may_hold_passwords_which_are_not_shown() -> None:
    url = f"https://ann:{PASSWORD}@crm.example:8443/voxline?token=5"
    settings = load_settings(None, SECRET | {"hooks.before_call": url, "hooks.after_call": url})
    assert settings.hooks.asks_before
    assert settings.hooks.tells_after
    assert PASSWORD not in f"{settings!r} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://{PASSWORD}@crm.example/",
        f"https:///{PASSWORD}",
        f"crm.example/{PASSWORD}",
        f"https://crm.example:70000/{PASSWORD}",
        f"https://crm.example/{PASSWORD}\n",
        f"https://crm.example/{PASSWORD} x",
        f"https://crm.example/#{PASSWORD}",
        f"https://[crm/{PASSWORD}",
        "https://crm.example/" + PASSWORD * 200,
    ],
)
def test_what_is_no_address_is_not_shown_either(url: str) -> None:
    with pytest.raises(SettingsError, match=r"hooks\.before_call") as refused:
        load_settings(None, SECRET | {"hooks.before_call": url})
    assert PASSWORD not in str(refused.value)


def test_hooks_need_a_secret() -> None:
    for secret in ("", PASSWORD):
        with pytest.raises(SettingsError, match="16 characters or more") as refused:
            load_settings(None, {"hooks.after_call": "https://crm.example/", "hooks.secret": secret})
        assert PASSWORD not in str(refused.value)


def test_telling_needs_calls_on_record() -> None:
    with pytest.raises(SettingsError, match=r"hooks\.after_call: .* set records\.mode: on"):
        load_settings(None, SECRET | {"hooks.after_call": "https://crm.example/", "records.mode": "off"})


@pytest.mark.parametrize("pattern", ["", "+31 20", "**", "1*2", "a@b", 'x"y'])
def test_a_route_is_a_number_a_user_or_the_beginning_of_one(pattern: str) -> None:
    with pytest.raises(SettingsError, match="routes"):
        load_settings(None, {"routes": {pattern: "desk"}})


def test_a_number_without_quotes_is_answered_with_what_to_do() -> None:
    with pytest.raises(SettingsError, match="put the number in quotes"):
        load_settings(None, {"routes": {31201234567: "desk"}})
