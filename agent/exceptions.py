"""What can go wrong in the conversation.

VoxlineError (in config.exceptions)
├── SettingsError         the operator's: a setting or an agent's file is wrong
└── ConversationError
    ├── EngineError       an engine cannot load, or cannot go on with a request
    │   ├── OutOfMemory   there is no room for this request
    │   └── DeviceLost    its GPU is lost to this process
    └── IllegalEvent      ours: an event came in a state that does not allow it
"""

from config.exceptions import VoxlineError


class ConversationError(VoxlineError):
    """Anything wrong in the conversation half."""


class EngineError(ConversationError):
    """An engine cannot load, or cannot go on with a request; the message says what to do."""


class OutOfMemory(EngineError):
    """There is no room for this request; others go on."""


class DeviceLost(EngineError):
    """The GPU is lost to this process; the models go on in a new one."""


class IllegalEvent(ConversationError):
    """A bug of ours: an event that the present state does not allow."""
