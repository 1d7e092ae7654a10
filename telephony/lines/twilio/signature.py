"""Verifies Twilio's signature on webhooks and on the upgrade of the media socket.

https://www.twilio.com/docs/usage/webhooks/webhooks-security and .../webhook-shared-keys. Twilio signs the URL that it
requested. Behind a proxy that is not the one that arrives here, so the public URL is a setting.
"""

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

import msgspec
from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from config.exceptions import SettingsError

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


class NotSigned(Exception):
    """A request whose signature cannot be valid. `reason` and `details` are as Refusals takes them."""

    def __init__(self, reason: str, *details: object) -> None:
        super().__init__(reason % details)
        self.reason = reason
        self.details = details


class Claim(msgspec.Struct, frozen=True):
    """A signature, and the secret and algorithm that it claims to be made with."""

    given: bytes
    validator: RequestValidator
    algorithm: str


class Signature:
    """Checks X-Twilio-Signature with the account's auth token, or with the shared key that the request names."""

    def __init__(self, auth_token: str, public_url: str, shared_keys: Mapping[str, str] | None = None) -> None:
        """`public_url` is what Twilio requests: `https://voice.example.com`, perhaps with a path in front of ours.
        `shared_keys` are secrets by the keys' ids. Without `auth_token`, only they count.

        Raises SettingsError when `public_url` is no such URL.
        """
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._shared = {name: RequestValidator(secret) for name, secret in (shared_keys or {}).items()}
        url = _public(public_url)
        self._prefix = url.path.rstrip("/")
        self._webhook_origins = _origins(url, url.scheme)
        self._socket_origins = _origins(url, _SOCKET_SCHEMES[url.scheme])

    def claim(self, headers: Mapping[str, str]) -> Claim:
        """What the headers claim (their names in any case, as Starlette has them). Raises NotSigned if it cannot be
        checked; the rest of the request then need not be read."""
        given = headers.get(SIGNATURE_HEADER, "")
        if not given:
            raise NotSigned("the signature is missing: this is not Twilio, or a proxy drops %s", SIGNATURE_HEADER)
        settings = headers.get(SIGNATURE_SETTINGS_HEADER, "")
        algorithm = get_signature_algorithm(settings)
        if algorithm.upper() not in (HMAC_SHA1, HMAC_SHA256):
            raise NotSigned("signed by %.40r, which this version does not know", algorithm)
        if settings:
            name = _key_name(settings)
            validator = self._shared.get(name)
            if validator is None:
                raise NotSigned("signed with the shared key %.80r, which twilio.shared_keys does not have", name)
        elif self._validator:
            validator = self._validator
        else:
            raise NotSigned("signed with the account's auth token, but only twilio.shared_keys are set")
        return Claim(given.encode("utf-8", "replace"), validator, algorithm)

    def webhook(self, claim: Claim, path_and_query: str, form: Mapping[str, Sequence[str]]) -> bool:
        """Whether Twilio signed this POST.

        `path_and_query` as it stood in the request line, still percent-encoded, without the path that the
        public URL has in front. `form` holds the decoded values of each field.
        """
        # Joined as by RequestValidator.compute_signature, but once for all URLs.
        fields = "".join(name + value for name in sorted(form) for value in sorted(set(form[name])))
        target = self._prefix + path_and_query + fields
        return _signed(claim, [origin + target for origin in self._webhook_origins])

    def upgrade(self, claim: Claim, path_and_query: str) -> bool:
        """Whether Twilio signed this WebSocket upgrade: the wss:// URL, slash at the end or not."""
        path, mark, query = (self._prefix + path_and_query).partition("?")
        targets = [path.rstrip("/") + slash + mark + query for slash in ("", "/")]
        return _signed(claim, [origin + target for origin in self._socket_origins for target in targets])


def _signed(claim: Claim, texts: list[str]) -> bool:
    # Not RequestValidator.validate: it assumes port 80 for wss:// and truncates IPv6 addresses.
    try:
        wanted = [claim.validator.compute_signature(text, {}, claim.algorithm).encode() for text in texts]
    except UnicodeError:  # a lone surrogate
        return False
    matches = [hmac.compare_digest(claim.given, signature) for signature in wanted]  # all, in constant time
    return any(matches)


def _key_name(settings: str) -> str:
    """The id in `key=ID,algorithm=HMAC_SHA256`."""
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "key":
            return value.strip()
    return ""


def _public(public_url: str) -> SplitResult:
    """Split the setting, or raise SettingsError. The port is read here because only that reveals a bad one."""
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
    """`scheme://host` without and with its port: Twilio signs either."""
    host = url.netloc.removesuffix(f":{url.port}").removesuffix(":")
    return [f"{scheme}://{host}", f"{scheme}://{host}:{url.port or _DEFAULT_PORTS[scheme]}"]
