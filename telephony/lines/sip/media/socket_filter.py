"""A socket filter for a call's audio: once it is known who alone can be its source, the kernel drops what all others
send.

Else a flood would fill the socket's buffer between two looks at it, and the caller's packets would be lost. Linux only;
elsewhere the media session alone turns strangers away.
"""

import ctypes
import socket
import struct
import sys
from collections.abc import Collection
from contextlib import suppress
from ipaddress import ip_address

from telephony.lines.rtp.parameters import SocketAddress

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER
_LOAD_WORD, _LOAD_HALF, _EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_IP_HEADER = 0xFFF0_0000  # SKF_NET_OFF; from 0 on is UDP's
_SOURCE = {4: 12, 6: 8}  # where in the IP header it is


def only_from(sock: socket.socket, sources: Collection[SocketAddress]) -> None:
    """Take nothing but these sources' datagrams from now on; anybody's if there are none."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError):  # a kernel without it; or there is none to detach
        if not sources:
            sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
            return
        program = b"".join(map(_accept, sources)) + _step(_RETURN, 0)
        code = ctypes.create_string_buffer(program)
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", len(program) // 8, ctypes.addressof(code)))


def _accept(source: SocketAddress) -> bytes:
    """Classic BPF: compare the address word by word, then the port; take what is equal, go on behind this if not."""
    ip = ip_address(source[0])
    words = struct.unpack(f"!{len(ip.packed) // 4}I", ip.packed)
    first = _IP_HEADER + _SOURCE[ip.version]
    tests = [(_LOAD_WORD, first + 4 * number, word) for number, word in enumerate(words)]
    tests.append((_LOAD_HALF, 0, source[1]))
    code = b""
    for left, (load, where, wanted) in zip(reversed(range(len(tests))), tests, strict=True):
        code += _step(load, where) + _step(_EQUAL, wanted, if_not=2 * left + 1)
    return code + _step(_RETURN, 0xFFFF_FFFF)


def _step(what: int, value: int, *, if_not: int = 0) -> bytes:
    return struct.pack("HBBI", what, 0, if_not, value)
