"""Who is signed in: sessions in memory. Sans-I/O but for random numbers: the time is handed in, in s."""

import hashlib
import secrets
from collections import OrderedDict

import msgspec

from telephony.server.sign_in.person import Person, Role

MAX_SESSIONS = 1000  # beyond it the one that was used least recently ends


class _Session(msgspec.Struct):
    person: Person
    began_s: float
    used_s: float


class Sessions:
    """Of one server; a restart ends them all."""

    def __init__(self, *, idle_s: float, longest_s: float) -> None:
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()  # by their keys' hashes; the latest used last

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, name: str, role: Role, now_s: float) -> str:
        """Begin one; returns its key, for a cookie."""
        key = secrets.token_urlsafe(32)
        person = Person(name, role, secrets.token_urlsafe(32))
        self._sessions[_hash(key)] = _Session(person, now_s, now_s)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return key

    def person(self, key: str, now_s: float) -> Person | None:
        """Whose session this is, which counts as its use; None if it is over."""
        hashed = _hash(key)
        session = self._sessions.get(hashed)
        if session is None:
            return None
        if self._is_over(session, now_s):
            del self._sessions[hashed]
            return None
        session.used_s = now_s
        self._sessions.move_to_end(hashed)
        return session.person

    def is_on(self, key: str, now_s: float) -> bool:
        """Whether it goes on; to ask is no use of it."""
        session = self._sessions.get(_hash(key))
        return session is not None and not self._is_over(session, now_s)

    def end(self, key: str) -> None:
        """Somebody signs out."""
        self._sessions.pop(_hash(key), None)

    def _is_over(self, session: _Session, now_s: float) -> bool:
        return now_s - session.used_s > self._idle_s or now_s - session.began_s > self._longest_s


def _hash(key: str) -> bytes:
    """Looked up by its hash, a key cannot be guessed byte by byte by the time that takes."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
