"""Host names in place of addresses in a session description: found, and replaced by addresses."""

import re
from collections.abc import Mapping

from telephony.lines.sip.network.locator import is_ip

MOST = 4  # names in one description that are resolved
_CONNECTION = re.compile(rb"^(c=IN[ \t]+)IP[46]([ \t]+)([A-Za-z0-9_.-]{1,253})(?=[/ \t\r\n]|\Z)", re.MULTILINE)
_NOWHERE = ".invalid"  # a name without an address (RFC 6761): on hold, or not known yet


def named(body: bytes) -> list[str]:
    """The names in the `c=` lines of a description, each once."""
    found = (match[3].decode().lower().rstrip(".") for match in _CONNECTION.finditer(body))
    return list(dict.fromkeys(name for name in found if name and not is_ip(name) and not is_nowhere(name)))[:MOST]


def with_addresses(body: bytes, addresses: Mapping[str, str]) -> bytes:
    """The description with these names replaced."""

    def address(match: re.Match[bytes]) -> bytes:
        ip = addresses.get(match[3].decode().lower().rstrip("."))
        if ip is None:
            return match[0]
        return match[1] + (b"IP6" if ":" in ip else b"IP4") + match[2] + ip.encode()

    return _CONNECTION.sub(address, body)


def is_nowhere(host: str) -> bool:
    """Whether a name states that there is no address."""
    return host.lower().rstrip(".").endswith(_NOWHERE)
