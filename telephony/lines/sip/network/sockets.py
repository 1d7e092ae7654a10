"""Sockets on one IP address, of its IP version only: `::` does not include 0.0.0.0."""

import os
import socket


def bind_udp(host: str, port: int) -> socket.socket:
    """A non-blocking UDP socket. Raises OSError."""
    return _bind(host, port, socket.SOCK_DGRAM)


def bind_tcp(host: str, port: int) -> socket.socket:
    """A TCP socket, not listening yet. Raises OSError."""
    return _bind(host, port, socket.SOCK_STREAM)


def reason(error: OSError) -> str:
    """The system's own error text; asyncio wraps it in more words."""
    return os.strerror(error.errno) if error.errno else str(error)


def show(host: str, port: int) -> str:
    """`host:port`, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    try:
        bound.setblocking(False)
        if kind is socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a stop with open connections
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
