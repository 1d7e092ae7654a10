"""Twilio's requests to the agent's webhooks: forms, signatures, and what comes back."""

from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx
from twilio.request_validator import RequestValidator

from config.exceptions import SettingsError
from telephony.simulator.phone import CallFailed
from telephony.simulator.twilio import twiml

VOICE_PATH = "/twilio/voice"
HTTP_TIMEOUT_S = 15.0  # Twilio's own


def webhook_of(url: str) -> str:
    """The address of the webhook or the socket, from what the user has given. Raises SettingsError for any other."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise SettingsError(f"{url!r} is no http, https, ws or wss address")
    if parts.scheme.startswith("http") and parts.path in ("", "/"):
        return urlunsplit(parts._replace(path=VOICE_PATH))
    return url


def new_client() -> httpx.AsyncClient:
    """An HTTP client for the webhooks of one or many calls."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
    return httpx.AsyncClient(
        timeout=HTTP_TIMEOUT_S, limits=limits, trust_env=False, headers={"User-Agent": "TwilioProxy/1.1"}
    )


class Webhooks:
    """The webhooks of one call.

    Twilio signs the address it knows, `public_url`; the requests themselves go to the host of `url`.
    """

    def __init__(
        self,
        url: str,
        http: httpx.AsyncClient,
        *,
        identity: dict[str, str],  # CallSid, AccountSid, From, To
        auth_token: str | None,
        public_url: str | None,
    ) -> None:
        self._http = http
        self.identity = identity
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._local, self._public = urlsplit(url), urlsplit(public_url or url)
        self.voice_url = _swap(url, self._local.netloc, self._public.netloc, self._public.scheme)

    def local(self, url: str) -> str:
        """Where to connect for an address of the server under test."""
        return _swap(url, self._public.netloc, self._local.netloc, self._local.scheme)

    def sign(self, url: str, form: dict[str, str]) -> dict[str, str]:
        """The header that proves the request is Twilio's; none without a token."""
        if self._validator is None:
            return {}
        return {"X-Twilio-Signature": self._validator.compute_signature(url, form)}

    async def fetch(self, url: str, status: str) -> list[twiml.Verb]:
        """Ask a webhook for TwiML. Raises CallFailed."""
        response = await self._post(url, {"CallStatus": status})
        if not response.is_success:
            body = " ".join(response.text.split())[:200]
            raise CallFailed(f"POST {url}: HTTP {response.status_code}" + (f": {body}" if body else ""))
        try:
            return twiml.parse(response.text)
        except ValueError as error:
            raise CallFailed(f"POST {url}: {error}") from error

    async def completed(self, duration_s: int) -> None:
        """Tell the status callback, beside the voice webhook, that the call is over.

        Raises CallFailed.
        """
        url = urljoin(self.voice_url, "status")
        fields = {
            "CallStatus": "completed",
            "CallDuration": str(duration_s),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "0",
            "Timestamp": format_datetime(datetime.now(UTC)),
        }
        response = await self._post(url, fields)
        if not response.is_success:
            raise CallFailed(f"POST {url}: HTTP {response.status_code}")

    async def _post(self, url: str, fields: dict[str, str]) -> httpx.Response:
        form = self.identity | fields
        try:
            return await self._http.post(self.local(url), data=form, headers=self.sign(url, form))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CallFailed(f"POST {url}: {error or type(error).__name__}") from error


def _swap(url: str, host: str, other: str, scheme: str) -> str:
    """Replace `host` in a URL by another host and take over its scheme's security; ws stays ws, http stays http."""
    parts = urlsplit(url)
    if parts.netloc != host or host == other:
        return url
    family = "ws" if parts.scheme.startswith("ws") else "http"
    return urlunsplit(parts._replace(scheme=family + "s" * (scheme in ("https", "wss")), netloc=other))
