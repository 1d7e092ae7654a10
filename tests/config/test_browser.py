"""The settings of the browser line."""

from typing import Any

import pytest

from config.exceptions import SettingsError
from config.settings import load_settings

SECURED: dict[str, Any] = {"twilio.auth_token": "secret", "server.public_url": "https://voice.example.com"}
SHOP = "https://shop.example"


@pytest.mark.parametrize("origin", [SHOP, "http://127.0.0.1:8000", "https://[::1]:8443"])
def test_origins(origin: str) -> None:
    assert load_settings(overrides={"browser.origins": [origin]}).browser.origins == (origin,)


@pytest.mark.parametrize("origin", ["shop.example", "*", "null", SHOP + "/", "https://Shop.example", "ftp://a", ""])
def test_anything_else_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match="is no origin"):
        load_settings(overrides={"browser.origins": [origin]})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"browser.enabled": False}, False),
        (SECURED, False),
        (SECURED | {"browser.origins": [SHOP]}, True),
        (SECURED | {"console.tls_proxy": True}, True),
        (SECURED | {"console.tls_proxy": True, "console.enabled": False}, False),
        (SECURED | {"browser.origins": [SHOP], "browser.enabled": False}, False),
    ],
)
def test_pages_may_call(settings: dict[str, Any], expected: bool) -> None:
    assert load_settings(overrides=settings).calls_from_pages is expected
