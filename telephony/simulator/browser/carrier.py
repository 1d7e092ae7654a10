"""Calls from web pages: the HTTP client by which they get their tokens."""

from urllib.parse import urlsplit

import httpx

from config.exceptions import SettingsError
from telephony.simulator.browser.call import SimulatedBrowserCall
from telephony.simulator.identity import Identity
from telephony.simulator.phone import Caller

TIMEOUT_S = 15.0


class BrowserCarrier:
    """See Carrier. `url` is the server's base address."""

    def __init__(self, url: str, identity: Identity) -> None:
        """Raises SettingsError for an invalid address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{url!r} is no http or https address")
        self.url = url
        self._identity = identity
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def open(self) -> None:
        """See Carrier."""

    async def close(self) -> None:
        """See Carrier."""
        await self._http.aclose()

    def call(self, caller: Caller) -> SimulatedBrowserCall:
        """See Carrier."""
        return SimulatedBrowserCall(caller, self.url, self._http, self._identity)
