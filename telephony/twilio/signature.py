"""Who is asking: Twilio's signature on webhooks and on the upgrade of the media socket.

https://www.twilio.com/docs/usage/webhooks/webhooks-security. Twilio signs the URL as it dialled it,
which behind a proxy is not the one that arrives here: the public URL is a setting.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from twilio.request_validator import RequestValidator

from config.exceptions import SettingsError

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


class Signature:
    """Checks X-Twilio-Signature with the account's auth token."""

    def __init__(self, auth_token: str, public_url: str) -> None:
        """`public_url` is what Twilio dials: `https://voice.example.com`, or with a path in front of ours.

        Raises SettingsError when it is no such URL.
        """
        self._validator = RequestValidator(auth_token)
        url = _public(public_url)
        self._prefix = url.path.rstrip("/")
        self._webhook_origins = _origins(url, url.scheme)
        self._socket_origins = _origins(url, _SOCKET_SCHEMES[url.scheme])

    def webhook(self, path_and_query: str, form: Mapping[str, str], header: str | None) -> bool:
        """Whether Twilio signed this POST.

        `path_and_query` as it stood in the request line, still percent-encoded, without the path that the
        public URL has in front. `form` holds the decoded fields; one with `getlist` may hold several of a name.
        """
        target = self._prefix + path_and_query
        return self._signed([origin + target for origin in self._webhook_origins], form, header)

    def upgrade(self, path_and_query: str, header: str | None) -> bool:
        """Whether Twilio signed this WebSocket upgrade: the wss:// URL, slash at the end or not."""
        path, mark, query = (self._prefix + path_and_query).partition("?")
        targets = [path.rstrip("/") + slash + mark + query for slash in ("", "/")]
        urls = [origin + target for origin in self._socket_origins for target in targets]
        return self._signed(urls, {}, header)

    def _signed(self, urls: list[str], form: Mapping[str, str], header: str | None) -> bool:
        # Not RequestValidator.validate: it takes 80 for the port of wss:// and cuts IPv6 addresses.
        given = (header or "").encode("utf-8", "replace")
        try:
            wanted = [self._validator.compute_signature(url, form).encode() for url in urls]
        except (TypeError, UnicodeError):  # an uploaded file for a value, or half a character
            return False
        matches = [hmac.compare_digest(given, signature) for signature in wanted]  # all, in constant time
        return any(matches)


def _public(public_url: str) -> SplitResult:
    """Split the setting, or raise SettingsError; the port is read here because a bad one shows only then."""
    try:
        url = urlsplit(public_url)
        good = url.scheme in _SOCKET_SCHEMES and url.hostname and url.port != 0
    except ValueError:
        good = False
    if not good or "@" in url.netloc or url.query or url.fragment:
        # The value is not shown: it may hold a password.
        raise SettingsError("public_url must be http(s)://host[:port][/path], without user, query or fragment")
    return url


def _origins(url: SplitResult, scheme: str) -> list[str]:
    """`scheme://host` without and with its port: Twilio signs the one or the other."""
    host = url.netloc.removesuffix(f":{url.port}").removesuffix(":")
    return [f"{scheme}://{host}", f"{scheme}://{host}:{url.port or _DEFAULT_PORTS[scheme]}"]
