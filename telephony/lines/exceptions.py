"""What can go wrong on the line.

VoxlineError (in config.exceptions)
├── SettingsError         the operator's: a setting is wrong
└── LineError
    ├── ProtocolError     the peer's: it broke the carrier's protocol; carries a WebSocket close code
    └── CommandError      ours: something was sent on a line that is not open for it
"""

from config.exceptions import VoxlineError

MAX_REASON = 123  # bytes; what fits in a WebSocket close frame beside the code


class LineError(VoxlineError):
    """Anything that goes wrong in the telephony half."""


class ProtocolError(LineError):
    """The peer's fault: close its socket with `code` and `reason` (cut to what a close frame holds)."""

    def __init__(self, code: int, reason: str) -> None:
        """`code` is a WebSocket close code, `reason` one short sentence for the peer and the log."""
        self.code = code
        self.reason = reason.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")
        super().__init__(self.code, self.reason)

    def __str__(self) -> str:
        return f"{self.reason} (close code {self.code})"


class CommandError(LineError):
    """A bug of ours: a command that the line cannot carry out in its present state."""
