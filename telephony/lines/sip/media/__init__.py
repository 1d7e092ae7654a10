"""The audio of a SIP call: offer and answer, ports, the wire."""
