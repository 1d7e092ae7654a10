"""Which agent a call is for, by the number or the SIP user that was called. Sans-I/O."""

from collections.abc import Mapping
from urllib.parse import unquote

ANY = "*"  # ends a pattern: whatever follows

_SCHEMES = ("sip:", "sips:", "tel:")


class Routes:
    """The routes of one server: patterns, each with an agent. A pattern is a number or a SIP user, or the beginning of
    one and `*`. The exact one counts before any pattern, and the longest pattern before the others."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        self._exact = {pattern: agent for pattern, agent in routes.items() if not pattern.endswith(ANY)}
        beginnings = {pattern.removesuffix(ANY): agent for pattern, agent in routes.items() if pattern.endswith(ANY)}
        self._beginnings = sorted(beginnings.items(), key=lambda item: len(item[0]), reverse=True)

    def agent(self, called: str) -> str | None:
        """The agent for whom was called: a number, or a SIP address, of which the user counts. None: no route says."""
        name = user_of(called)
        if not name:
            return None
        if agent := self._exact.get(name):
            return agent
        return next((agent for beginning, agent in self._beginnings if name.startswith(beginning)), None)


def user_of(address: str) -> str:
    """The number, or the user of a SIP address, without parameters; escaped characters are what they stand for."""
    text = address.strip()
    scheme = next((scheme for scheme in _SCHEMES if text.lower().startswith(scheme)), "")
    return unquote(text[len(scheme) :].partition("@")[0].partition(";")[0])
