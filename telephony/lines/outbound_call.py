"""An outbound call, as it is requested and reported over HTTP."""

import msgspec

TOKEN_FILE = "control-token"  # noqa: S105 (the name of the file in server.data that a request's token stands in)


class CallRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /calls."""

    to: str
    agent: str = ""
    trunk: str = ""
    keys: str = ""  # pressed once it is answered


class OutboundCall(msgspec.Struct):
    """One outbound call. `state` is calling, ringing or answered while it goes on, then busy, declined, unanswered,
    cancelled or failed, or ended if it was answered."""

    id: str
    to: str
    agent: str
    trunk: str
    state: str = "calling"
    status: int = 0  # SIP's status, if it was not answered
    reason: str = ""
    outcome: str = ""  # of the conversation: hangup, transfer or failed

    @property
    def over(self) -> bool:
        """Whether its state is final."""
        return self.state not in ("calling", "ringing", "answered")
