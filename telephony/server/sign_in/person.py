"""Somebody who is known to the server, and what they may do."""

from enum import IntEnum

import msgspec


class Role(IntEnum):
    """Each may what those below it may."""

    VIEWER = 1  # sees
    OPERATOR = 2  # acts on live calls
    ADMIN = 3  # changes settings, deletes calls


class Person(msgspec.Struct, frozen=True):
    """Who makes a request. `csrf` is what their pages send along with everything that changes something; empty for
    programs, which send the server's token."""

    name: str
    role: Role
    csrf: str = ""
