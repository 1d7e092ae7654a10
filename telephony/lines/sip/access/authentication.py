"""The right to call: trunks have it by their networks, all others by name and password."""

import logging

from config.sip import SipSettings
from telephony.lines.sip.access.digest import Accepted, BadCredentials, Digest, Stale
from telephony.lines.sip.access.guard import Guard, GuardSettings
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Request
from telephony.lines.sip.transactions.answers import Refusal

LOOPBACK = ("127.0.0.0/8", "::1")
MAX_CREDENTIALS = 4  # of one INVITE that are checked

bans = logging.getLogger("voxline.sip.ban")  # not rate-limited: every line counts here


class Authentication:
    """The guard and the passwords of one server."""

    def __init__(self, settings: SipSettings) -> None:
        """Without networks and users, only this machine may call."""
        users = {name: secret.get_secret_value() for name, secret in settings.users.items()}
        trusted = settings.networks or (() if users else LOOPBACK)
        limits = GuardSettings(failures=settings.ban_failures, ban_ms=1000 * settings.ban_s)
        self._digest = Digest(settings.realm, users, algorithms=settings.digest) if users else None
        answers = self._digest.is_answered if self._digest is not None else lambda *_: False
        self.guard = Guard(trusted, strangers=bool(users), answers=answers, settings=limits)

    def admit(self, source: Address, now_ms: float, datagram: bytes = b"") -> bool:
        """Whether to parse a packet; if not, it gets no answer. `datagram` is its content, unless it came by a
        stream."""
        return self.guard.admit(source, now_ms, datagram)

    def failed(self, source: Address, now_ms: float, *, proven: bool = False) -> None:
        """Count a failure that suggests an attack, and log a ban. A datagram does not count, since anybody
        may have sent it, unless it is `proven` that its sender receives our answers."""
        if (source.reliable or proven) and self.guard.failed(source.host, now_ms):
            bans.warning(self.guard.ban_line(source.host))

    def authorized(self, request: Request, source: Address, now_ms: float) -> Refusal | None:
        """None if a new INVITE or OPTIONS is allowed: a trunk's, or one with good credentials; else the challenge."""
        ip = source.host
        if self.guard.is_trunk(ip):
            return None
        if self._digest is None:  # a party that we have called
            return Refusal(403, "a call from outside of the trunks")
        why, stale, proven = "no credentials", False, False
        for header in request.headers.all("Authorization")[:MAX_CREDENTIALS]:
            verdict = self._digest.check(request.method, request.uri, header, now_ms, ip)
            if isinstance(verdict, Accepted):
                self.guard.succeeded(source, now_ms)
                return None
            stale = isinstance(verdict, Stale)
            why = "a stale nonce" if isinstance(verdict, Stale) else verdict.reason
            proven = proven or (isinstance(verdict, BadCredentials) and verdict.proven)
        if not stale and (proven or request.method == "INVITE"):  # many send OPTIONS all the time, without a password
            self.failed(source, now_ms, proven=proven)
        challenges = self._digest.challenge(now_ms, ip, stale=stale)
        return Refusal(401, why, tuple(("WWW-Authenticate", value) for value in challenges))
