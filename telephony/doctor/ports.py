"""Checks whether a port can be listened on, and says what to do if not."""

import errno
import socket
from collections.abc import Callable
from ipaddress import ip_address

from telephony.doctor.finding import Area, Finding
from telephony.lines.sip.network.sockets import bind_udp, reason, show

Bind = Callable[[str, int], socket.socket]
NOBODY = {4: "192.0.2.1", 6: "2001:db8::1"}  # addresses for documentation; nothing is sent to them

ADVICE = {
    errno.EADDRINUSE: "another program has it (`ss -lpntu` shows which): stop it, or choose another port",
    errno.EACCES: "ports below 1024 are for root, or take AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit",
    errno.EADDRNOTAVAIL: "no interface of this machine has this address; `ip address` shows the ones there are",
}


def try_port(area: Area, name: str, host: str, port: int, bind: Bind, *, running: bool) -> Finding:
    """Listen there for a moment. `running`: voxline itself may be holding the port."""
    where = f"{name} {show(host, port)}"
    try:
        bind(host, port).close()
    except OSError as error:
        if running and error.errno == errno.EADDRINUSE:
            return Finding("ok", area, f"{where}: taken by the voxline that is already running here")
        return Finding("problem", area, f"{where}: {reason(error)}", ADVICE.get(error.errno or 0, ""))
    return Finding("ok", area, f"{where}: free to listen on")


def is_local(address: str) -> bool:
    """Whether an interface of this machine has the address."""
    try:
        bind_udp(address, 0).close()
    except OSError:
        return False
    return True


def leaves_from(version: int) -> str:
    """The address of this machine from which packets leave; empty without a route. Sends nothing."""
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect((NOBODY[version], 9))
        except OSError:
            return ""
        address = str(one.getsockname()[0])
    return "" if ip_address(address).is_unspecified else address
