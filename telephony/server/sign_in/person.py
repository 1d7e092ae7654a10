"""Somebody who is known to the server, and what they may do."""

from enum import IntEnum

import msgspec

from telephony.server.sign_in.scope import Needed, Scope


class Role(IntEnum):
    """Each may what those below it may."""

    VIEWER = 1  # sees
    OPERATOR = 2  # acts on live calls
    ADMIN = 3  # changes settings, deletes calls


class Person(msgspec.Struct, frozen=True):
    """Who makes a request. `csrf` is what their pages send along with everything that changes something; empty for
    programs, which send a token. `scopes` are those of an API token, for which no role counts; None for all others."""

    name: str
    role: Role
    csrf: str = ""
    scopes: tuple[Scope, ...] | None = None

    def may(self, role: Role, scope: Needed) -> bool:
        """Whether they may do what needs this role or, by an API token, this scope."""
        return self.role >= role if self.scopes is None else scope == "any" or scope in self.scopes
