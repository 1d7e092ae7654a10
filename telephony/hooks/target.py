"""One address that is sent signed JSON. What it answers is bounded, and redirects are not followed."""

import asyncio
import time
from importlib.metadata import version
from typing import NamedTuple

import httpx
from pydantic import SecretStr

from config.logging import printable
from config.settings import is_loopback
from telephony.hooks.signature import HEADER, signature

MAX_ANSWER = 32_768  # bytes
MAX_REASON = 200  # characters
CONNECTIONS = 100
DELIVERY_HEADER = "Voxline-Delivery"


class HookError(Exception):
    """No usable answer; the message says why, without the address. `status` is HTTP's, if there was an answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(printable(reason)[:MAX_REASON])


class HookAnswer(NamedTuple):
    """What was answered, with a status of success."""

    status: int
    body: bytes


class Target:
    """Used in one event loop. Neither errors nor the log show the address: it may hold a password."""

    def __init__(self, url: SecretStr, secret: SecretStr) -> None:
        self._url = httpx.URL(url.get_secret_value())
        self._secret = secret
        self._http = httpx.AsyncClient(
            headers={"User-Agent": f"voxline/{version('voxline')}", "Accept-Encoding": "identity"},
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=10, keepalive_expiry=4),
            follow_redirects=False,
            timeout=None,  # noqa: S113 (`post` has one for everything together)
            trust_env=not is_loopback(self._url.host),
        )

    async def post(self, body: bytes, delivery: str, limit_s: float) -> HookAnswer:
        """Send it under this id. Raises HookError."""
        headers = {
            "Content-Type": "application/json",
            DELIVERY_HEADER: delivery,
            HEADER: signature(self._secret.get_secret_value(), body, int(time.time())),
        }
        try:
            async with asyncio.timeout(limit_s):
                async with self._http.stream("POST", self._url, content=body, headers=headers) as answer:
                    return HookAnswer(answer.status_code, await _body(answer))
        except TimeoutError:
            raise HookError(f"no answer within {limit_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError) as error:
            raise HookError(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()


async def _body(answer: httpx.Response) -> bytes:
    if not answer.is_success:
        kind = "a redirect, which is not followed" if answer.has_redirect_location else "an error"
        raise HookError(f"{answer.status_code}: {kind}", answer.status_code)
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER:
            raise HookError(f"an answer of more than {MAX_ANSWER} bytes", answer.status_code)
    return bytes(body)
