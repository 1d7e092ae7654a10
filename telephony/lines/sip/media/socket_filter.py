"""A socket filter for a call's audio: once its only possible source is known, the kernel drops packets from all others.

Otherwise a flood would fill the socket's buffer between two reads, and the caller's packets would be lost. Linux only;
elsewhere only the media session turns strangers away.
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
_SOURCE = {4: 12, 6: 8}  # the offset in the IP header


def only_from(sock: socket.socket, sources: Collection[SocketAddress]) -> None:
    """From now on take datagrams from these sources only; from anybody if there are none."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError):  # a kernel without filters, or none to detach
        if not sources:
            sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
            return
        program = b"".join(map(_accept, sources)) + _step(_RETURN, 0)
        code = ctypes.create_string_buffer(program)
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HP", len(program) // 8, ctypes.addressof(code)))


def _accept(source: SocketAddress) -> bytes:
    """Classic BPF: compare the address word by word, then the port; accept on a match, else skip to the next source."""
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
