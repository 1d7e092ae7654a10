"""API tokens: one for each program, good for some scopes, as a file in server.data that only its user can read.

A token is 256 random bits, kept as its SHA-256. scrypt, as passwords have it, would add nothing: it slows guesses at
what people choose, and nobody guesses 256 bits. So wrong tokens are logged but not slowed, which would only keep out
programs that come from the same address.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from config import private
from config.exceptions import SettingsError
from telephony.server.sign_in.scope import Scope

FILE = "api-tokens.json"
LOCK = "api-tokens.lock"
PREFIX = "voxline_"  # by which people, and programs that look for leaked secrets, know one
MAX_TOKENS = 200
MAX_BYTES = 1 << 20  # of the file
MAX_DAYS = 3650
DAY_S = 86_400
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class ApiToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One token, as it is stored. Times are Unix time in s."""

    name: str
    scopes: tuple[Scope, ...]
    hash: str  # SHA-256 in hex
    created: int
    expires: int | None = None

    def is_over(self, now_s: float) -> bool:
        """Whether it has expired."""
        return self.expires is not None and now_s >= self.expires


class _File(msgspec.Struct, forbid_unknown_fields=True):
    tokens: tuple[ApiToken, ...] = ()


def hashed(token: str) -> str:
    """As a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def find(tokens: Sequence[ApiToken], given: str) -> ApiToken | None:
    """The one that was given. Compares with all of them, each in constant time."""
    wanted, found = hashed(given), None
    for token in tokens:
        if hmac.compare_digest(token.hash, wanted):
            found = token
    return found


def read(folder: Path) -> tuple[ApiToken, ...]:
    """All that there are. Raises SettingsError where the file cannot be read."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=_File).tokens
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from None


def create(folder: Path, name: str, scopes: tuple[Scope, ...], days: int | None, now_s: float) -> str:
    """Make one and store it; returns the token itself, which is kept nowhere. Raises SettingsError."""
    if not NAME.fullmatch(name):
        raise SettingsError("the name of a token is 1 to 40 letters, digits, dots, hyphens and underscores")
    if not scopes:
        raise SettingsError("a token needs a scope")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise SettingsError(f"--days: a number from 1 to {MAX_DAYS} is wanted")
    given = PREFIX + secrets.token_urlsafe(32)
    with _changing(folder):
        tokens = read(folder)
        if any(token.name == name for token in tokens):
            raise SettingsError(f"there is a token {name} already; revoke it first")
        if len(tokens) >= MAX_TOKENS:
            raise SettingsError(f"there are {MAX_TOKENS} tokens already; revoke those that are not needed")
        expires = None if days is None else int(now_s) + days * DAY_S
        _write(folder, (*tokens, ApiToken(name, scopes, hashed(given), int(now_s), expires)))
    return given


def revoke(folder: Path, name: str) -> bool:
    """Whether there was one of this name; now there is none. Raises SettingsError."""
    with _changing(folder):
        tokens = read(folder)
        left = tuple(token for token in tokens if token.name != name)
        if len(left) < len(tokens):
            _write(folder, left)
    return len(left) < len(tokens)


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """One change at a time, on this machine. Raises SettingsError."""
    try:
        private.make_folder(folder)
        with open(folder / LOCK, "ab", opener=private.opener) as lock:
            _give(lock.fileno(), folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise SettingsError(f"cannot change {folder / FILE}: {error.strerror}") from None


def _write(folder: Path, tokens: tuple[ApiToken, ...]) -> None:
    replace(folder / FILE, msgspec.json.format(msgspec.json.encode(_File(tokens)), indent=1) + b"\n")


def replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, for the server's user only. Raises OSError."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _give(file.fileno(), path.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _give(file: int, folder: Path) -> None:
    """Root makes tokens for the server's own user, to whom the folder belongs."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
