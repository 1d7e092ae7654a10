"""What the settings of a trunk come to."""

from typing import Any

import pytest

from config.exceptions import SettingsError
from config.sip import SipSettings
from telephony.lines.sip.network import locator
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.trunks import Trunk, Trunks
from tests.telephony.lines.sip.phone import server

pytestmark = pytest.mark.looptime


def trunks(**each: dict[str, Any]) -> Trunks:
    return Trunks(SipSettings.model_validate({"trunks": each}))


def test_account_of_a_user() -> None:
    acme = trunks(acme={"server": "sip:192.0.2.1:5070;transport=tcp", "user": "ann", "password": "s3cret"})["acme"]
    first, second = Address("TCP", "192.0.2.1", 5070), Address("TCP", "192.0.2.2", 5070)
    account = acme.account([first, second])
    assert (account.registrar, account.address) == ("sip:192.0.2.1:5070", "sip:ann@192.0.2.1")
    assert (account.proxy, account.spares) == (first, (second,))
    assert account.credentials == acme.credentials
    assert "s3cret" not in repr(account)
    assert acme.uri("+15550100123") == "sip:+15550100123@192.0.2.1:5070"


def test_account_of_a_number_of_ours_without_a_password() -> None:
    acme = trunks(acme={"server": "sips:sbc.example.com", "from": "sip:+15550100123@example.com"})["acme"]
    account = acme.account([Address("TLS", "192.0.2.1", 5061, name="sbc.example.com")])
    assert (account.registrar, account.address) == ("sips:sbc.example.com", "sip:+15550100123@example.com")
    assert account.credentials is None


def test_whose_call_it_is() -> None:
    both = trunks(
        a={"server": "sip:192.0.2.1", "trusted": ["192.0.2.0/28", "2001:db8::/64"]},
        b={"server": "sip:192.0.2.1", "trusted": ["192.0.2.0/24"]},
        c={"server": "sip:198.51.100.1"},
    )

    def of(ip: str) -> str:
        found: Trunk | None = both.of(ip)
        return found.name if found else ""

    assert [of(ip) for ip in ("192.0.2.3", "192.0.2.99", "2001:db8::1", "198.51.100.1")] == ["a", "b", "a", ""]
    both["c"].registrars = frozenset({"198.51.100.1"})
    assert of("198.51.100.1") == "c"
    assert both.registrars == {"198.51.100.1"}


def test_name_without_dnspython_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locator, "dns", None)
    trunks(acme={"server": "sip:192.0.2.1"})
    with pytest.raises(SettingsError, match=r"sip\.trunks\.acme\.server: .*\[sip\]"):
        trunks(acme={"server": "sip:pbx.example.com"})


@pytest.mark.parametrize(
    ("trunk", "named"),
    [
        ({"server": "sip:192.0.2.1:99999"}, r"sip\.trunks\.acme: server or from: a port above"),
        ({"server": "sip:192.0.2.1", "agent": "nobody"}, r"sip\.trunks\.acme\.agent: no agent 'nobody'"),
    ],
)
async def test_what_cannot_be_is_said_at_the_start(trunk: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        async with server(sip__trunks={"acme": trunk}):
            pass
