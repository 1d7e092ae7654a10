"""What may be asked of others before a call is answered: who answers it, with what, or that nobody does."""

from typing import Literal, Protocol

import msgspec

from config.parties import NOBODY, Parties

Refused = Literal["busy", "rejected"]


class IncomingCall(msgspec.Struct, frozen=True):
    """A call that is not answered yet."""

    call_id: str
    line: str  # twilio, sip
    agent: str  # that answers unless something else is said
    parties: Parties = NOBODY
    trunk: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of it."""

    agent: str = ""  # one that there is; empty: as it was
    variables: dict[str, str] = {}  # for the agent's texts
    refuse: Refused | None = None


class Screening(Protocol):
    """Asks."""

    async def screen(self, call: IncomingCall) -> Verdict:
        """The verdict, in time: where none comes, the call goes on as it would have without. Never raises."""
