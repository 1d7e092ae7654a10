"""Encrypted RTP (RFC 3711) with keys from the session description (RFC 4568), by libsrtp."""

import base64
import binascii
import re
import secrets
from collections.abc import Callable

import msgspec

from config.exceptions import SettingsError
from config.extras import install_command

try:
    import pylibsrtp
except ImportError:  # from the extra `sip`
    pylibsrtp = None  # type: ignore[assignment]

SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
KEY_BYTES = 30  # 16 of key, 14 of salt
MAX_STREAMS = 32  # SSRCs taken from one peer: libsrtp keeps a record of each
MISSING = f"encrypted audio (SRTP) needs pylibsrtp: {install_command('sip')}"

_LINE = re.compile(r"(\d{1,9})[ \t]+([A-Za-z0-9_]{1,40})[ \t]+inline:([A-Za-z0-9+/=]{40,44})((?:\|[^ \t|]{1,40})*)(.*)")
_LIFETIME = re.compile(r"\|(2\^)?\d{1,20}")


def available() -> bool:
    """Whether pylibsrtp is installed."""
    return pylibsrtp is not None


class Crypto(msgspec.Struct, frozen=True):
    """An `a=crypto` line: the key that its sender encrypts with. Never logged."""

    tag: int
    suite: str
    key: bytes  # master key and salt

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"

    def __repr__(self) -> str:
        return f"Crypto({self.tag}, {self.suite})"


def parse_crypto(value: str) -> Crypto:
    """Read the value of an `a=crypto` attribute. Raises ValueError for anything unsupported: other suites, MKI,
    several keys, session parameters."""
    match = _LINE.fullmatch(value.strip())
    if match is None:
        raise ValueError("a=crypto is malformed or has several keys")
    tag, suite, key64, options, parameters = match.groups()
    if suite.upper() not in SUITES:
        raise ValueError(f"a=crypto with {suite}; only {' and '.join(SUITES)} are spoken")
    if options and not _LIFETIME.fullmatch(options):
        raise ValueError("a=crypto with a master key identifier")
    if any(not parameter.lstrip("-").startswith("WSH=") for parameter in parameters.split()):
        raise ValueError("a=crypto with session parameters")
    try:
        key = base64.b64decode(key64 + "=" * (-len(key64) % 4), validate=True)
    except binascii.Error:
        raise ValueError("a=crypto whose key is not base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"a=crypto with a key of {len(key)} bytes, not {KEY_BYTES}")
    return Crypto(int(tag), suite.upper(), key)


def make_crypto(tag: int, suite: str, token: Callable[[int], bytes] = secrets.token_bytes) -> Crypto:
    """A line with a new key."""
    return Crypto(tag, suite, token(KEY_BYTES))


class Srtp:
    """Both directions of one call. Failures return None and are counted."""

    def __init__(self, local: Crypto, remote: Crypto) -> None:
        """Send with `local`'s key, receive with `remote`'s. Raises SettingsError if pylibsrtp is missing."""
        if not available():
            raise SettingsError(MISSING)
        self.forged = 0  # dropped: the authentication failed
        self.replayed = 0  # dropped: repeated, or too old
        self._streams: set[bytes] = set()
        self._set_local(local)
        self._set_remote(remote)

    def rekey(self, local: Crypto, remote: Crypto) -> None:
        """Change to these keys; a direction whose key is the same continues undisturbed."""
        if local != self.local:
            self._set_local(local)
        if remote != self.remote:
            self._set_remote(remote)

    def _set_local(self, crypto: Crypto) -> None:
        self.local = crypto
        self._out = pylibsrtp.Session(_policy(crypto, pylibsrtp.Policy.SSRC_ANY_OUTBOUND))

    def _set_remote(self, crypto: Crypto) -> None:
        self.remote = crypto
        self._in = pylibsrtp.Session(_policy(crypto, pylibsrtp.Policy.SSRC_ANY_INBOUND))
        self._streams.clear()

    def protect(self, data: bytes) -> bytes:
        """An RTP packet, encrypted."""
        return self._out.protect(data)

    def protect_control(self, data: bytes) -> bytes:
        """An RTCP packet, encrypted."""
        return self._out.protect_rtcp(data)

    def unprotect(self, data: bytes) -> bytes | None:
        """An RTP packet, decrypted; None for one that was forged or replayed."""
        return self._open(data, data[8:12], self._in.unprotect)

    def unprotect_control(self, data: bytes) -> bytes | None:
        """An RTCP packet, decrypted; None for one that was forged or replayed."""
        return self._open(data, data[4:8], self._in.unprotect_rtcp)

    def _open(self, data: bytes, ssrc: bytes, unprotect: Callable[[bytes], bytes]) -> bytes | None:
        if ssrc not in self._streams and len(self._streams) >= MAX_STREAMS:
            self.forged += 1
            return None
        try:
            plain = unprotect(data)
        except (pylibsrtp.Error, ValueError) as error:
            if "replay" in str(error):
                self.replayed += 1
            else:
                self.forged += 1
            return None
        self._streams.add(ssrc)
        return plain


def _policy(crypto: Crypto, direction: int) -> "pylibsrtp.Policy":
    short = crypto.suite.endswith("_32")
    profile = (
        pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32 if short else pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    )
    policy = pylibsrtp.Policy(key=crypto.key, ssrc_type=direction, srtp_profile=profile)
    policy.window_size = 128
    return policy
