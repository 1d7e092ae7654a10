"""What an API token may be good for."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, TypeAlias


class Scope(StrEnum):
    """Each opens some routes, and no others."""

    CALLS_READ = "calls:read"
    CALLS_ACT = "calls:act"
    CALLS_PLACE = "calls:place"
    CALLS_DELETE = "calls:delete"
    AGENTS_RELOAD = "agents:reload"
    HOOKS_RESEND = "hooks:resend"
    SETTINGS_WRITE = "settings:write"
    BROWSER_TOKEN = "browser:token"  # noqa: S105 (the name of a scope)
    METRICS_READ = "metrics:read"


# What a route needs of an API token: this scope, any, or (None) more than API tokens can give.
Needed: TypeAlias = Scope | Literal["any"] | None

# What each opens. Which route needs which stands in its Operation.
OPENS = {
    Scope.CALLS_READ: "see calls, live and on record, with recordings, tapes and what hooks were told",
    Scope.CALLS_ACT: "listen in to live calls and act on them: say, transfer, take over, hang up and so on",
    Scope.CALLS_PLACE: "place outbound calls, follow and cancel them; make test calls",
    Scope.CALLS_DELETE: "delete calls on record",
    Scope.AGENTS_RELOAD: "see which agents are loaded, and have their files read anew",
    Scope.HOOKS_RESEND: "send hooks.after_call again",
    Scope.SETTINGS_WRITE: "change switches and settings while the server runs",
    Scope.BROWSER_TOKEN: "issue tokens for phones in web pages",
    Scope.METRICS_READ: "see how fast the server answers, and /metrics",
}


def parse(text: str) -> tuple[Scope, ...]:
    """The scopes in a list with commas, each once. Raises ValueError."""
    return of(part.strip() for part in text.split(","))


def of(names: Iterable[str]) -> tuple[Scope, ...]:
    """The scopes of these names, in the order of the table. Raises ValueError."""
    wanted = set()
    for name in names:
        if name not in set(Scope):
            raise ValueError(f"there is no scope {name[:40]!r}; there are {', '.join(Scope)}")
        wanted.add(Scope(name))
    return tuple(scope for scope in Scope if scope in wanted)
