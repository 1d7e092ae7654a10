"""What a user agent produces: messages to send, and events for the call layer.

Events are plain data: `call` and `registration` are ids. `UserAgent.call` gives the call while it lasts.
"""

from enum import Enum

import msgspec

from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Request


class Send(msgspec.Struct, frozen=True):
    """Send one message. If that cannot be done, say so with `UserAgent.unreachable`."""

    data: bytes
    to: Address


class Cause(Enum):
    """Why a call is over."""

    LOCAL = "hung up here"
    REMOTE = "hung up there"
    CANCELLED = "given up by the caller before it was answered"
    REJECTED = "rejected here"
    REFUSED = "refused there"
    UNANSWERED = "not answered in time"
    UNACKNOWLEDGED = "our answer was never acknowledged"
    EXPIRED = "the session was not refreshed in time"
    LOST = "the peer does not answer or has forgotten the call"


class Invited(msgspec.Struct, frozen=True):
    """A call comes in: `accept` or `reject` it. The body (SDP) is empty if our answer must hold the offer."""

    call: str
    request: Request
    source: Address
    body: bytes


class Progress(msgspec.Struct, frozen=True):
    """The called party is ringing (180), or another provisional answer; `body` may be an early answer."""

    call: str
    status: int
    body: bytes


class Answered(msgspec.Struct, frozen=True):
    """The called party has answered, and has our ACK. `body` is its SDP."""

    call: str
    body: bytes


class Acked(msgspec.Struct, frozen=True):
    """The peer has our 2xx to its INVITE or re-INVITE. `body` is its SDP if the 2xx held the offer."""

    call: str
    body: bytes


class Reinvited(msgspec.Struct, frozen=True):
    """The peer wants other media: `answer_reinvite` or `refuse_reinvite`. An empty body asks for our offer."""

    call: str
    body: bytes


class ReinviteWithdrawn(msgspec.Struct, frozen=True):
    """The peer has withdrawn its re-INVITE, or we took too long: there is nothing to answer."""

    call: str


class Reanswered(msgspec.Struct, frozen=True):
    """The answer to our `reinvite`: its SDP if `status` is 200 to 299, otherwise nothing changes."""

    call: str
    status: int
    body: bytes


class Info(msgspec.Struct, frozen=True):
    """A key by INFO, of one of the types in `invite_dialog.KEYS`."""

    call: str
    content_type: str
    body: bytes


class Referred(msgspec.Struct, frozen=True):
    """The peer asks us to call `target` instead (a URI; its headers may hold Replaces): `accept_refer`,
    `refuse_refer`."""

    call: str
    target: str


class TransferProgress(msgspec.Struct, frozen=True):
    """How our `refer` is going; status 0 means unknown. If it is `final` and 2xx, hang up."""

    call: str
    status: int
    final: bool


class Ended(msgspec.Struct, frozen=True):
    """A call is over; the last event of each call. `status` is the peer's or ours, or 0."""

    call: str
    cause: Cause
    status: int
    reason: str  # the peer's words, if any
    retry_after_s: int


class Registered(msgspec.Struct, frozen=True):
    """We are registered for `expires_s`; it is renewed in time. 0: we have unregistered."""

    registration: str
    expires_s: int


class RegistrationFailed(msgspec.Struct, frozen=True):
    """Registering failed; the next attempt is after `retry_ms`."""

    registration: str
    status: int
    reason: str
    retry_ms: float


class Refused(msgspec.Struct, frozen=True):
    """A request was refused; for the log."""

    method: str
    status: int
    why: str
    source: Address
    call_id: str  # the peer's


Event = (
    Invited
    | Progress
    | Answered
    | Acked
    | Reinvited
    | ReinviteWithdrawn
    | Reanswered
    | Info
    | Referred
    | TransferProgress
    | Ended
    | Registered
    | RegistrationFailed
    | Refused
)
