"""TLS for SIP: the operator's certificate for callers; the system's authorities and the operator's for those we
call."""

import ssl
from contextlib import suppress
from pathlib import Path

from config.exceptions import SettingsError
from config.sip import SipSettings

REASONS = {"KEY_VALUES_MISMATCH": "the key is not the certificate's", "EE_KEY_TOO_SMALL": "the key is too short"}


class ServerTls:
    """The server's end of one TLS connection, without I/O: the network's bytes in, plain ones out, and back.

    Not asyncio's, which would count and admit a peer only after the handshake, or after a minute without one.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side=True)
        self._shaken = False
        self.over = False  # the peer has announced that it sends no more

    def receive(self, data: bytes) -> bytes:
        """Data from the peer, decrypted. Raises ssl.SSLError; `take` then still holds the alert for the peer."""
        self._in.write(data)
        plain = bytearray()
        with suppress(ssl.SSLWantReadError):
            if not self._shaken:
                self._ssl.do_handshake()
                self._shaken = True
            try:
                while piece := self._ssl.read(65_536):
                    plain += piece
            except ssl.SSLZeroReturnError:
                pass
            self.over = True
        return bytes(plain)

    def send(self, data: bytes) -> None:
        """Send data; before the handshake is done it is lost."""
        if self._shaken:
            self._ssl.write(data)

    def close(self) -> None:
        """Announce that nothing more follows."""
        if self._shaken:
            with suppress(ssl.SSLError):
                self._ssl.unwrap()

    def take(self) -> bytes:
        """The bytes to send now."""
        return self._out.read()


def server_context(settings: SipSettings) -> ssl.SSLContext:
    """The operator's certificate and key. Raises SettingsError with the reason if they are unusable."""
    key = "sip.tls_key" if settings.tls_key else "sip.tls_cert"
    _look("sip.tls_cert", settings.tls_cert, "CERTIFICATE-----")
    _look(key, settings.tls_key or settings.tls_cert, "PRIVATE KEY-----")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except ssl.SSLError as error:
        reason = error.reason or "not what OpenSSL can read"
        raise SettingsError(f"sip.tls_cert, {key}: {REASONS.get(reason, reason.replace('_', ' ').lower())}") from None
    return context


def client_context(settings: SipSettings) -> ssl.SSLContext:
    """For connections that we open: the peer's certificate must be valid for the name that we call, and signed by an
    authority that the system knows or one in `tls_ca`. Raises SettingsError with the reason if that file is unusable.
    """
    context = checking_context()
    if settings.tls_ca:
        _look("sip.tls_ca", settings.tls_ca, "CERTIFICATE-----")
        try:
            context.load_verify_locations(settings.tls_ca)
        except ssl.SSLError as error:
            reason = (error.reason or "not what OpenSSL can read").replace("_", " ").lower()
            raise SettingsError(f"sip.tls_ca: {settings.tls_ca!r}: {reason}") from None
    return context


def checking_context(authorities: str | None = None) -> ssl.SSLContext:
    """A client context that checks certificates against the authorities in a file, or the system's."""
    context = ssl.create_default_context(cafile=authorities)
    # The default from Python 3.13 on; it would refuse most in-house authorities: `openssl req -x509`
    # leaves out an extension that it asks for.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


def _look(setting: str, path: str, kind: str) -> None:
    """OpenSSL's error for a bad file names neither the file nor the fault, and it asks the terminal for a password."""
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise SettingsError(f"{setting}: cannot read {path!r}: {error.strerror}") from None
    if kind not in text:
        raise SettingsError(f"{setting}: {path!r} has no PEM text with {kind.strip('-')}")
    if kind.startswith("PRIVATE") and "ENCRYPTED" in text:
        raise SettingsError(f"{setting}: the key in {path!r} has a password; a key without one is needed")
