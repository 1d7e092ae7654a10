"""A call out, as it is asked for over HTTP and told of."""

import msgspec

TOKEN_FILE = "control-token"  # noqa: S105 (the name of the file in server.data that a request's token stands in)


class CallRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What POST /calls asks for."""

    to: str
    agent: str = ""
    trunk: str = ""
    keys: str = ""  # pressed once it is answered


class OutboundCall(msgspec.Struct):
    """One call of ours. `state` is calling, ringing or answered while it goes on, then busy, declined, unanswered,
    cancelled or failed, or ended where it was answered."""

    id: str
    to: str
    agent: str
    trunk: str
    state: str = "calling"
    status: int = 0  # SIP's, of a call that was not answered
    reason: str = ""
    outcome: str = ""  # of the conversation: hangup, transfer or failed

    @property
    def over(self) -> bool:
        """Whether nothing more will be told of it."""
        return self.state not in ("calling", "ringing", "answered")
