"""What the doctor says of the console."""

from typing import Any

import pytest

from telephony.doctor import console
from tests.telephony.doctor.findings import of, settings
from tests.telephony.server.sign_in.users import USERS

PUBLIC = {"server__host": "0.0.0.0", "twilio__auth_token": "x" * 32, "server__public_url": "https://voice.example.com"}
PROXY = PUBLIC | {"console__tls_proxy": True}
VIEWER = {"vera": USERS["vera"]}


@pytest.mark.parametrize("changes", [{}, {"console__enabled": False}, PROXY | {"console__users": USERS}])
def test_what_makes_sense(changes: dict[str, Any]) -> None:
    assert {finding.level for finding in console.check(settings(**changes))} == {"ok"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"console__enabled": False, "console__tls_proxy": True}, "have no effect"),
        ({"console__enabled": False, "console__users": USERS}, "have no effect"),
        (PUBLIC, "it is not served"),
        ({"console__users": USERS}, "on this machine only"),
        (PROXY, "there are no console.users"),
        (PROXY | {"console__users": VIEWER}, "no user has the role admin"),
        ({"console__tls_proxy": True, "console__users": VIEWER}, "server.public_url does not name it"),
        (PROXY | {"console__users": USERS, "server__public_url": "http://voice.example.com"}, "is http://"),
        ({"console__idle_s": 600, "console__session_s": 300}, "console.idle_s is 600"),
    ],
)
def test_what_does_not(changes: dict[str, Any], said: str) -> None:
    [found] = of("warning", console.check(settings(**changes)))
    assert said in found
