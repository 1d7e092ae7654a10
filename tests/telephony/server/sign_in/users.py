"""Users for tests, whose passwords take no time to check."""

from typing import Any

import msgspec

from config.console import ConsoleSettings
from config.password_hash import PasswordHash

PASSWORD = "correct horse battery"


def quick_hash(password: str = PASSWORD) -> str:
    """A hash as it stands in settings."""
    new = PasswordHash(2, 1, 1, b"salt" * 4)
    return str(msgspec.structs.replace(new, hash=new._computed(password.encode())))


USERS: dict[str, Any] = {
    name: {"password": quick_hash(), "role": role}
    for name, role in {"vera": "viewer", "otto": "operator", "ada": "admin"}.items()
}


def console_settings(**changes: Any) -> ConsoleSettings:
    """Settings with these users."""
    return ConsoleSettings(**{"users": USERS, **changes})
