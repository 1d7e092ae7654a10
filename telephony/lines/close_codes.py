"""Why a WebSocket is closed (RFC 6455, 7.4.1)."""

from enum import IntEnum


class CloseCode(IntEnum):
    """The codes that we send, or take for the end of a call."""

    NORMAL = 1000
    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005  # never sent: the peer's close frame had no code
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
