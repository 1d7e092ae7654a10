"""Passwords as they stand in settings: scrypt$N$R$P$SALT$HASH, by scrypt (RFC 7914), salt and hash in base64."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Self

import msgspec

MAX_PASSWORD = 1024  # bytes in UTF-8
MAX_MEMORY = 1 << 27  # bytes that one check may take
MAX_PARALLEL = 16  # of scrypt's p: one round after the other
SALT_BYTES = 16
HASH_BYTES = 32


class PasswordHash(msgspec.Struct, frozen=True):
    """A hash with its parameters. The usual ones take 16 MB and about 0.2 s of a core."""

    n: int = 1 << 14
    r: int = 8
    p: int = 5
    salt: bytes = b""
    hash: bytes = b""

    @classmethod
    def of(cls, password: str) -> Self:
        """A new one of this password. Raises ValueError if it is empty or longer than MAX_PASSWORD."""
        new = cls(salt=secrets.token_bytes(SALT_BYTES))
        return msgspec.structs.replace(new, hash=new._computed(_bytes(password)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From how it is written. Raises ValueError, which does not quote it."""
        scheme, *parts = text.split("$")
        try:
            if scheme != "scrypt" or len(parts) != 5:
                raise ValueError
            n, r, p = (int(part) for part in parts[:3] if part.isascii() and part.isdigit())
            salt, digest = (base64.b64decode(part, validate=True) for part in parts[3:])
        except (ValueError, binascii.Error):
            raise ValueError("scrypt$N$R$P$SALT$HASH is wanted; `voxline console-password` prints it") from None
        power_of_two = n >= 2 and not n & (n - 1)
        if not (power_of_two and r >= 1 and 1 <= p <= MAX_PARALLEL and 128 * n * r <= MAX_MEMORY):
            raise ValueError(f"N is a power of two, R at least 1, P 1 to {MAX_PARALLEL}, 128·N·R at most {MAX_MEMORY}")
        if len(salt) < SALT_BYTES or len(digest) != HASH_BYTES:
            raise ValueError(f"a salt of at least {SALT_BYTES} bytes and a hash of {HASH_BYTES} are wanted")
        return cls(n, r, p, salt, digest)

    def __str__(self) -> str:
        """As it stands in settings."""
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.hash))
        return f"scrypt${self.n}${self.r}${self.p}${salt}${digest}"

    def fits(self, password: str) -> bool:
        """Whether this is the password; blocks for some tenths of a second, without the interpreter's lock."""
        try:
            given = _bytes(password)
        except ValueError:
            given = b""
        return hmac.compare_digest(self._computed(given), self.hash) and given != b""

    def _computed(self, password: bytes) -> bytes:
        memory = 2 * 128 * self.r * (self.n + self.p)
        return hashlib.scrypt(password, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=memory, dklen=HASH_BYTES)


def _bytes(password: str) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    if not 0 < len(data) <= MAX_PASSWORD:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD} bytes")
    return data
