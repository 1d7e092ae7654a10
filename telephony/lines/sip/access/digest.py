"""Digest authentication (RFC 7616, RFC 8760 for SIP), as the server that challenges and as the client that answers.

The server keeps no state for a challenge: a nonce holds its own time and number, sealed for one address. Only accepted
nonces are remembered, to check that the nonce count of the next request is higher.
"""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from itertools import count

import msgspec

from telephony.lines.sip.syntax.header import TCHAR, parse_uri, quote, unquote

NONCE_MS = 60_000  # how long a nonce is valid
MAX_NONCES = 10_000  # used nonces that may be used again
_HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}  # RFC 8760: the strongest first
_PARAM = re.compile(rf"[ \t]*+({TCHAR}++)[ \t]*+=[ \t]*+(\"(?:[^\"\\]|\\.)*+\"|[^\s,\"]++)[ \t]*+(?:,|\Z)", re.DOTALL)
_TIME, _NUMBER, _MAC = 6, 5, 10  # bytes of a nonce: ms, a serial number, and the seal of both; base64 without padding
_NONCE = re.compile(r"[A-Za-z0-9_-]{28}")
_HELD = re.compile(rb'nonce="([A-Za-z0-9_-]{28})"')
_NEEDED = ("username", "realm", "nonce", "uri", "response", "cnonce")


class Accepted(msgspec.Struct, frozen=True):
    """Valid credentials of `user`."""

    user: str


class Stale(msgspec.Struct, frozen=True):
    """The nonce is invalid, or was used before: challenge again with `stale`. Says nothing about the password."""


class BadCredentials(msgspec.Struct, frozen=True):
    """Challenge again. `reason` is for the log and holds none of the peer's text. `proven`: it answers a nonce that we
    sent to this very address, so nobody else can have sent it."""

    reason: str
    proven: bool = False


Verdict = Accepted | Stale | BadCredentials


class Digest:
    """The server's side for one realm."""

    def __init__(
        self,
        realm: str,
        passwords: Mapping[str, str],
        *,
        secret: bytes | None = None,
        algorithms: Iterable[str] = ("SHA-256", "MD5"),
        max_nonces: int = MAX_NONCES,
    ) -> None:
        """`passwords` by user name. `secret` seals the nonces: random unless given. ValueError for an algorithm
        other than SHA-256 and MD5."""
        self._realm = realm
        self._passwords = passwords
        self._secret = secret or secrets.token_bytes(32)
        self._decoy = secrets.token_hex(16)  # compared with an unknown user's answer
        self._algorithms = tuple(algorithms)
        if not self._algorithms or not set(self._algorithms) <= set(_HASHES):
            raise ValueError(f"digest algorithms are {', '.join(_HASHES)}")
        self._serial = count(1)
        self._max_nonces = max_nonces
        self._counts: dict[int, tuple[int, int]] = {}  # of a nonce's number: its time, the last nc
        self._floor = 0  # nonces up to this number that are not in `_counts` are spent

    def challenge(self, now_ms: float, ip: str, *, stale: bool = False) -> list[str]:
        """The values of the WWW-Authenticate headers, one for each algorithm, in the order to send them."""
        nonce = self._seal(int(now_ms), next(self._serial), ip)
        flag = ", stale=true" if stale else ""
        start = f'Digest realm={quote(self._realm)}, nonce="{nonce}"'
        return [f'{start}, algorithm={algorithm}, qop="auth"{flag}' for algorithm in self._algorithms]

    def check(self, method: str, uri: str, header: str, now_ms: float, ip: str) -> Verdict:
        """Check an Authorization header. `uri` is the Request-URI.

        Its user must be the one that was signed; the host may differ, because proxies rewrite it. A known and an
        unknown user take the same work. With an invalid nonce the password is not even checked: otherwise anybody
        could make up nonces and guess without being counted.
        """
        try:
            params = parse_auth(header)
        except ValueError:
            return BadCredentials("bad Authorization header")
        if reason := self._misfit(params, uri):
            return BadCredentials(reason)
        seal = self._unseal(params["nonce"], ip)
        if seal is None or now_ms - seal[0] >= NONCE_MS:
            return Stale()
        known = self._passwords.get(params["username"])
        expected = _response(params, method, self._decoy if known is None else known)
        right = hmac.compare_digest(expected.encode(), params["response"].lower().encode())
        if known is None or not right:
            return BadCredentials("wrong password" if known is not None else "unknown user", proven=True)
        return Accepted(params["username"]) if self._spend(*seal, int(params["nc"], 16), int(now_ms)) else Stale()

    def is_answered(self, datagram: bytes, ip: str) -> bool:
        """Whether a datagram, not parsed yet, holds a nonce that we sent to this address, however old."""
        found = _HELD.search(datagram)
        return found is not None and self._unseal(found[1].decode(), ip) is not None

    def _misfit(self, params: dict[str, str], uri: str) -> str:
        """Why the header cannot be checked at all; "" if it can."""
        if any(not params.get(name) for name in _NEEDED) or params["realm"] != self._realm:
            return "incomplete credentials, or for another realm"
        if params.get("qop") != "auth" or not re.fullmatch(r"[0-9A-Fa-f]{8}", params.get("nc", "")):
            return "credentials without qop=auth and nc"
        if params.setdefault("algorithm", "MD5").upper() not in self._algorithms:
            return "an algorithm that was not offered"
        try:
            # sipp names the host alone; proxies rewrite it, so only the user can be compared.
            same = parse_uri(params["uri"]).user in ("", parse_uri(uri).user)
        except ValueError:
            same = False
        return "" if same else "credentials for another URI"

    def _spend(self, issued: int, number: int, nc: int, now_ms: int) -> bool:
        """Whether a nonce is used with a higher count than before."""
        last = self._counts[number][1] if number in self._counts else 0
        if nc <= last or (last == 0 and number <= self._floor):
            return False
        self._counts[number] = (issued, nc)
        self._forget(now_ms)
        return True

    def _forget(self, now_ms: int) -> None:
        """Drop nonces that are too old; if there are still too many, the oldest is spent."""
        while self._counts:
            number, (issued, _) = next(iter(self._counts.items()))
            if now_ms - issued < NONCE_MS and len(self._counts) <= self._max_nonces:
                return
            del self._counts[number]
            self._floor = max(self._floor, number)

    def _seal(self, issued: int, number: int, ip: str) -> str:
        """A nonce: as short as is safe, since the answer that holds it must not be longer than the request was."""
        said = issued.to_bytes(_TIME) + number.to_bytes(_NUMBER)
        return urlsafe_b64encode(said + self._mac(said, ip)).decode()

    def _unseal(self, nonce: str, ip: str) -> tuple[int, int] | None:
        """When we gave a nonce to this address, and its number; None for any other nonce."""
        if not _NONCE.fullmatch(nonce):
            return None
        data = urlsafe_b64decode(nonce)
        said, mac = data[: _TIME + _NUMBER], data[_TIME + _NUMBER :]
        if not hmac.compare_digest(self._mac(said, ip), mac):
            return None
        return int.from_bytes(said[:_TIME]), int.from_bytes(said[_TIME:])

    def _mac(self, said: bytes, ip: str) -> bytes:
        return hmac.digest(self._secret, said + ip.encode(), "sha256")[:_MAC]


def choose(challenges: Iterable[str]) -> str:
    """The best challenge that can be answered, of the values of all (WWW|Proxy)-Authenticate headers.

    ValueError if there is none.
    """
    good: dict[str, str] = {}
    for challenge in challenges:
        try:
            good.setdefault(_algorithm(parse_auth(challenge)), challenge)
        except ValueError:
            continue
    for algorithm in _HASHES:
        if algorithm in good:
            return good[algorithm]
    raise ValueError("no digest challenge that can be answered (MD5 or SHA-256, qop auth or none)")


def is_stale(challenge: str) -> bool:
    """Whether the challenge only wants a new nonce: the password was right."""
    return parse_auth(challenge).get("stale", "").lower() == "true"


def answer(challenge: str, method: str, uri: str, user: str, password: str, *, cnonce: str, nc: int = 1) -> str:
    """The (Proxy-)Authorization value for one challenge. ValueError if it cannot be answered: see `choose`.

    `nc` counts the requests that use this challenge's nonce, from 1. Without a qop (RFC 2069) nc and cnonce are
    left out.
    """
    given = parse_auth(challenge)
    algorithm = _algorithm(given)
    params = {"username": user, "realm": given["realm"], "nonce": given["nonce"], "uri": uri, "algorithm": algorithm}
    if "qop" in given:
        params |= {"qop": "auth", "cnonce": cnonce, "nc": f"{nc:08x}"}
    params["response"] = _response(params, method, password)
    if "opaque" in given:
        params["opaque"] = given["opaque"]
    bare = ("algorithm", "qop", "nc")
    return "Digest " + ", ".join(f"{k}={v if k in bare else quote(v)}" for k, v in params.items())


def parse_auth(value: str) -> dict[str, str]:
    """The parameters of a Digest challenge or of Digest credentials: names in lower case, values without quotes.

    ValueError for another scheme, for bad syntax and for a name that occurs twice.
    """
    scheme, _, rest = value.strip(" \t").partition(" ")
    if scheme.lower() != "digest":
        raise ValueError("not the Digest scheme")
    params: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAM.match(rest, position)
        if match is None or match[1].lower() in params:
            raise ValueError("bad Digest parameters")
        params[match[1].lower()] = unquote(match[2])
        position = match.end()
    return params


def _algorithm(challenge: dict[str, str]) -> str:
    """The algorithm of a challenge; ValueError if it cannot be answered."""
    algorithm = challenge.get("algorithm", "MD5").upper()
    qops = [qop.strip().lower() for qop in challenge.get("qop", "auth").split(",")]
    if algorithm not in _HASHES or "auth" not in qops or not {"realm", "nonce"} <= set(challenge):
        raise ValueError("a digest challenge that cannot be answered")
    return algorithm


def _response(params: dict[str, str], method: str, password: str) -> str:
    """The digest of RFC 7616, 3.4.1, in lower-case hex."""

    def digest(*parts: str) -> str:
        return new(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    new = _HASHES[params["algorithm"].upper()]
    secret = digest(params["username"], params["realm"], password)
    what = digest(method, params["uri"])
    if "qop" not in params:
        return digest(secret, params["nonce"], what)
    return digest(secret, params["nonce"], params["nc"], params["cnonce"], params["qop"], what)
