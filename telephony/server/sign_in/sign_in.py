"""Signing in: by the link that `voxline serve` prints, or by name and password.

Guesses are slowed by address and by user. A stranger can thereby slow a user too, but not a browser in which that user
has signed in before: it holds a cookie that proves it, and has a count of its own (OWASP's device cookies).
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address

import msgspec

from config.console import ConsoleSettings
from config.password_hash import PasswordHash
from telephony.server.errands import Errands
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.sessions import Sessions
from telephony.server.sign_in.throttle import Throttle

AT_ONCE = 2  # passwords that are checked
WAITING = 16  # that wait for it; beyond it people are told to try again
ADDRESSES, USERS = 65_536, 4_096  # places in the throttles
LONGEST_ADDRESS_S, LONGEST_USER_S = 300.0, 30.0


class SignedIn(msgspec.Struct, frozen=True):
    """What to put into cookies."""

    key: str  # of the session
    device: str = ""  # the proof that this browser is known


class Refused(msgspec.Struct, frozen=True):
    """Not now, and why. With `wait_s`, because of too many attempts."""

    reason: str
    wait_s: float = 0.0


class SignIn:
    """Of one server. `link_token` is in the link."""

    def __init__(
        self, settings: ConsoleSettings, errands: Errands | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.link_token = secrets.token_urlsafe(32)
        self.sessions = Sessions(idle_s=settings.idle_s, longest_s=settings.session_s)
        self._clock = clock
        self._errands = errands or Errands()
        self._users: Mapping[str, tuple[PasswordHash, Role]] = {
            name: (PasswordHash.parse(user.password.get_secret_value()), Role[user.role.upper()])
            for name, user in settings.users.items()
        }
        self._nobody = PasswordHash(salt=secrets.token_bytes(16), hash=secrets.token_bytes(32))
        self._addresses = Throttle(ADDRESSES, LONGEST_ADDRESS_S)
        self._names = Throttle(USERS, LONGEST_USER_S)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    @property
    def has_users(self) -> bool:
        """Whether anybody can sign in by name."""
        return bool(self._users)

    def by_link(self, token: str) -> SignedIn | None:
        """By the token of the link, which is good until the server ends: whoever sees the terminal it is printed on may
        open it again when their session is over."""
        if not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self.link_token.encode()):
            return None
        return SignedIn(self.sessions.begin("local", Role.ADMIN, self._clock()))

    async def by_password(self, name: str, password: str, address: str, device: str = "") -> SignedIn | Refused:
        """By name and password, from an address, with the browser's device cookie. Takes the same time whether there is
        such a user or not."""
        hashed, role = self._users.get(name, (self._nobody, None))
        counted = device if role is not None and self._knows(device, name, hashed) else name
        names = [(self._addresses, _network(address)), (self._names, counted)]
        now_s = self._clock()
        if (wait_s := max(throttle.wait_s(key, now_s) for throttle, key in names)) > 0:
            return Refused("Too many attempts.", wait_s)
        if self._waiting >= WAITING:
            return Refused("Too many people are signing in at the moment.", 1.0)
        for throttle, key in names:
            throttle.attempt(key, now_s)
        self._waiting += 1
        try:
            async with self._slots:
                fits = await self._errands.run(hashed.fits, password)
        finally:
            self._waiting -= 1
        if not fits or role is None:
            return Refused("Name or password is wrong.")
        for throttle, key in names:
            throttle.succeeded(key)
        return SignedIn(self.sessions.begin(name, role, self._clock()), _device(name, hashed, secrets.token_hex(16)))

    def _knows(self, device: str, name: str, hashed: PasswordHash) -> bool:
        expected = _device(name, hashed, device.partition(".")[0])
        return hmac.compare_digest(*(text.encode("utf-8", "surrogatepass") for text in (device, expected)))


def _device(name: str, hashed: PasswordHash, nonce: str) -> str:
    """Its key is the password's hash: it outlives a restart, and a new password ends it."""
    signed = hmac.digest(hashed.hash, f"{name}\n{nonce}".encode("utf-8", "surrogatepass"), "sha256")
    return f"{nonce}.{signed.hex()}"


def _network(address: str) -> str:
    """What a stranger has of addresses: one of IPv4, 2^64 of IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and not parsed.ipv4_mapped:
        return str(int(parsed) >> 64)
    return str(parsed)
