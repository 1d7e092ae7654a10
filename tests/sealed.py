"""A room that nothing leaves unseen: a network namespace with a resolver that records every query, and a default route
to an interface that records every packet.

`run` starts a command in it. The resolver knows every name: a program that looks one up is led out, and seen again
there.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.debian import require

ROOT = Path(__file__).parent.parent
OUTSIDE = "203.0.113.9"  # where every name leads (RFC 5737)
SETUP = [
    "ip link set lo up",
    "ip link add name outside type veth peer name beyond",
    "ip link set outside arp off",  # whatever address is asked for, the packet leaves
    "ip link set beyond up",
    "ip addr add 203.0.113.2/24 dev outside",
    "ip -6 addr add 2001:db8::2/64 dev outside nodad",
    "ip link set outside up",
    "ip route add default dev outside",
    "ip -6 route add default dev outside",
]
FILES = {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", "nsswitch.conf": "hosts: files dns\n"}
ALL_PROTOCOLS = 3  # ETH_P_ALL
PACKET_OUTGOING = 4
IPV4, IPV6 = 0x0800, 0x86DD


class Seen(NamedTuple):
    """What was seen of a command."""

    status: int
    output: str
    names: list[str]  # asked of DNS
    packets: list[str]  # addresses outside that something was sent to
    written: list[str]  # files under HOME


def run(command: Sequence[str], folder: Path, timeout_s: float, **environment: str) -> Seen:
    """Run it to its end in a room of its own, with an empty HOME in `folder`; skips where that is not allowed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a network namespace needs Linux and root")
    for package in ("iproute2", "util-linux"):
        require(package)
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no network namespaces")
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not _leads_elsewhere(name)}
    result = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, "-P", __file__, *command],
        cwd=ROOT,
        env=kept | {"HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    *output, last = result.stdout.splitlines() or [""]
    assert last.startswith("{"), result.stdout + result.stderr
    written = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    return Seen(output="\n".join([*output, result.stderr]), written=written, **json.loads(last))


def _leads_elsewhere(name: str) -> bool:
    """Settings of whoever runs the tests, caches elsewhere than in HOME, and what is to be shown: that voxline itself
    tells its packages to be silent. Some are silent by themselves where CI runs, which would show nothing."""
    silencing = ("DO_NOT_TRACK", "HF_", "ORT_", "TRANSFORMERS_")
    if name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TF_BUILD", "TRAVIS"):
        return True
    return name.startswith(("VOXLINE_", "TWILIO_", "XDG_", *silencing)) or name.lower().endswith("_proxy")


# What follows runs in the room.


class Resolver:
    """A DNS server on 127.0.0.1:53 that gives every name the same IPv4 address, and remembers who was asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, peer = self._socket.recvfrom(4096)
            at, labels = 12, []
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            question = query[12 : at + 5]
            self.names.append(".".join(labels))
            found = question[-4:-2] == b"\0\1"  # a question for an IPv4 address
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(OUTSIDE) if found else b""
            counts = bytes([0, 1, 0, found, 0, 0, 0, 0])
            self._socket.sendto(query[:2] + b"\x81\x80" + counts + question + answer, peer)


class Watchman:
    """Sees every packet that leaves by the interface `outside`, but for what the kernel says to its neighbours."""

    def __init__(self) -> None:
        self.packets: list[str] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS))
        self._socket.bind(("outside", ALL_PROTOCOLS))
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            packet, (_, protocol, kind, *_) = self._socket.recvfrom(65_536)
            if kind != PACKET_OUTGOING:
                continue
            if protocol == IPV4:
                self.packets.append(socket.inet_ntoa(packet[16:20]))
            elif protocol == IPV6 and packet[24] != 0xFF:  # no multicast: neighbours and routers are looked for
                self.packets.append(socket.inet_ntop(socket.AF_INET6, packet[24:40]))


def _main(command: list[str]) -> None:
    for line in SETUP:
        subprocess.run(line.split(), check=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            (Path(folder) / name).write_text(text)
            subprocess.run(["mount", "--bind", f"{folder}/{name}", f"/etc/{name}"], check=True)
        resolver, watchman = Resolver(), Watchman()
        status = subprocess.run(command, check=False).returncode
        subprocess.run(["umount", *(f"/etc/{name}" for name in FILES)], check=True)
    seen: dict[str, Any] = {"status": status, "names": resolver.names, "packets": watchman.packets}
    sys.stdout.write(f"\n{json.dumps(seen)}\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
