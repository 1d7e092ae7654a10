"""The user agent of simulated callers: it calls one server, and takes no calls."""

import asyncio
from typing import Any

import pytest

from config.exceptions import SettingsError
from telephony.lines.sip.dialogs.events import Ended
from telephony.lines.sip.dialogs.uac import Outgoing
from telephony.lines.sip.network import locator
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import NameAddr, parse_uri
from telephony.simulator.call import run_call
from telephony.simulator.identity import Identity
from telephony.simulator.sip.trunk import SipTrunk
from tests.telephony.simulator.sip.desk import HOST, Desk


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sip:", "bad host"),
        ("sip:desk@127.0.0.1:99999", "above 65535"),
        ("sip:ann:s3cret@127.0.0.1", "does not belong in a SIP address"),
        ("sip:desk@127.0.0.1;transport=ws", "udp, tcp and tls are"),
    ],
)
async def test_addresses_that_are_none(script: Any, speak: Any, url: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        await run_call(url, script("wait"), speak=speak)
    assert "s3cret" not in str(caught.value)


async def test_a_name_that_nobody_knows(script: Any, speak: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locator, "dns", None)
    with pytest.raises(SettingsError, match=r"sip:desk@nowhere\.invalid: looking up"):
        await run_call("sip:desk@nowhere.invalid", script("wait"), speak=speak)


async def test_a_name_is_looked_up(script: Any, speak: Any) -> None:
    async with Desk() as desk:
        url = desk.url().replace(HOST, "localhost")
        report = await run_call(url, script({"silence": 100}), speak=speak)
        assert report.ok, report
        assert report.url == url


async def test_it_takes_no_calls() -> None:
    async with Desk() as desk:
        trunk = SipTrunk(desk.url(), Identity())
        await trunk.open()
        assert trunk._transports is not None
        port = trunk._transports.ports["UDP"]
        outgoing = Outgoing(
            to=f"sip:caller@{HOST}:{port}",
            body=b"",
            caller=NameAddr("", parse_uri("sip:desk@127.0.0.1")),
            proxy=Address("UDP", HOST, port),
        )
        desk.ua.invite(outgoing, 1000 * asyncio.get_running_loop().time())
        ended = await desk.wait(Ended)
        assert ended.status == 403
        await trunk.close()
