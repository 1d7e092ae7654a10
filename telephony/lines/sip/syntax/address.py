"""Where a message came from and where one goes."""

import msgspec

DATAGRAMS = frozenset({"UDP"})
DEFAULT_PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061}


class Address(msgspec.Struct, frozen=True):
    """One end of the way: `transport` is UDP, TCP or TLS.

    Where we send to, `host` may be a name and `port` 0: then RFC 3263 finds the server. `connection` is the open
    stream that a message came on or is to go by; when it is closed, or 0, one to `host` and `port` is opened. Over TLS
    the certificate has to be for `name`, or for `host` where that is empty.
    """

    transport: str
    host: str
    port: int = 0
    connection: int = 0
    name: str = ""

    @property
    def reliable(self) -> bool:
        """Whether the transport itself sees to it that messages arrive."""
        return self.transport not in DATAGRAMS

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport.lower()}:{host}:{self.port}"
