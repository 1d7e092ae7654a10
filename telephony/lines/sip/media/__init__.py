"""The audio of a SIP call: what is offered and agreed, its ports, its pace."""
