"""SIP: what it listens on, where callers reach it, and who may call."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from config.exceptions import SettingsError
from config.settings import Settings, is_loopback
from config.sip import SipSettings
from telephony.doctor import certificate, media_ports
from telephony.doctor.finding import Finding, Level
from telephony.doctor.ports import is_local, leaves_from, try_port
from telephony.lines.rtp import opus, srtp
from telephony.lines.sip.network.sockets import bind_tcp, bind_udp
from telephony.lines.sip.trunks import Trunk

SHORT = 8  # characters; shorter passwords are guessed
WIDE = {4: 16, 6: 32}  # prefix lengths; a provider's networks are not wider than this


def check(settings: Settings, *, running: bool = False) -> Iterator[Finding]:
    """Check all of SIP."""
    sip = settings.sip
    if not sip.enabled:
        yield _found("ok", "off: sip.enabled is false")
        return
    yield from _ports(sip, running=running)
    yield from _reached(sip)
    yield from _callers(sip)
    yield from _trunks(sip)
    yield from _encryption(sip)
    if "opus" in sip.codecs and not opus.available():
        yield _found("problem", "sip.codecs: there is no opus", opus.MISSING)
    yield from media_ports.check(sip, settings.call.capacity, running=running)


def to_forward(sip: SipSettings) -> str:
    """The ports that a router must forward to this machine."""
    ports = [f"{name.upper()} {sip.port}" for name in ("udp", "tcp") if name in sip.transports]
    ports += [f"TCP {sip.tls_port} (TLS)"] if "tls" in sip.transports else []
    return ", ".join([*ports, f"UDP {sip.rtp_first_port}-{sip.rtp_last_port} (audio)"])


def _ports(sip: SipSettings, *, running: bool) -> Iterator[Finding]:
    if "udp" in sip.transports:
        yield try_port("sip", "UDP", sip.host, sip.port, bind_udp, running=running)
    if "tcp" in sip.transports:
        yield try_port("sip", "TCP", sip.host, sip.port, bind_tcp, running=running)
    if "tls" in sip.transports:
        yield try_port("sip", "TLS", sip.host, sip.tls_port, bind_tcp, running=running)
        if "tcp" in sip.transports and sip.port == sip.tls_port != 0:
            yield _found(
                "problem", f"sip.port and sip.tls_port are both {sip.port}", "give TLS a port of its own: 5061"
            )
    used = {sip.port} if {"udp", "tcp"} & set(sip.transports) else set()
    if 0 in used | ({sip.tls_port} if "tls" in sip.transports else set()) and not is_loopback(sip.host):
        yield _found(
            "warning", "port 0 is a different port at each start, unknown to anybody elsewhere", "choose one: 5060"
        )


def _reached(sip: SipSettings) -> Iterator[Finding]:
    """Where callers reach us: directly, through a NAT, or not at all."""
    address = sip.advertised or sip.host
    theirs = ip_address(address)
    if is_loopback(sip.host):
        if not theirs.is_loopback:
            advice = "set sip.host to this machine's address, or to 0.0.0.0"
            yield _found(
                "problem", f"sip.advertised is {address}, but sip.host is loopback: nobody can reach it", advice
            )
        else:
            yield _found("ok", f"reached at {address} by programs on this machine only; sip.host opens it to others")
    elif theirs.is_loopback or theirs.is_unspecified or theirs.is_multicast:
        advice = "set sip.advertised to the address that callers send to"
        yield _found("problem", f"callers are told to send to {address}, which leads to themselves or nowhere", advice)
    elif not is_local(address):
        here = leaves_from(theirs.version) or "this machine"
        advice = f"the router at {address} must lead to {here}: {to_forward(sip)}"
        yield _found("warning", f"reached at {address}, which is not this machine's: there is a NAT in between", advice)
    elif theirs.is_global:
        yield _found("ok", f"reached at {address}, this machine's own; a firewall must let in {to_forward(sip)}")
    else:
        level: Level = "warning" if any(ip_network(net).is_global for net in sip.networks) else "ok"
        advice = f"for others set sip.advertised to the router's public address, and forward {to_forward(sip)}"
        yield _found(level, f"reached at {address}, a private address: from the same network only", advice)


def _callers(sip: SipSettings) -> Iterator[Finding]:
    trusted = sip.networks
    if not trusted and not sip.users:
        yield _found("ok", "closed: without sip.trusted and sip.users only this machine may call")
        return
    if trusted:
        yield _found("ok", f"may call without a password: {', '.join(trusted)}")
    if sip.users:
        yield _found("ok", f"may call from anywhere, with a password: {', '.join(sip.users)}")
    elif trusted:
        yield _found("ok", "everybody else hears nothing at all")
    for network in trusted:
        net = ip_network(network)
        if not net.prefixlen:
            advice = "name the networks of your trunk or PBX; providers list them in their documentation"
            yield _found("problem", f"sip.trusted has {network}: anybody may call, unchecked and without limit", advice)
        elif net.is_global and net.prefixlen < WIDE[net.version]:
            yield _found("warning", f"sip.trusted has {network}, {net.num_addresses:,} public addresses", "name fewer")
    weak = [name for name, password in sip.users.items() if len(password.get_secret_value()) < SHORT]
    if weak:
        advice = "machines guess passwords day and night: `openssl rand -base64 18` makes a good one"
        yield _found("warning", f"passwords shorter than {SHORT} characters: {', '.join(weak)}", advice)


def _trunks(sip: SipSettings) -> Iterator[Finding]:
    for name, trunk in sip.trunks.items():
        does = "registers there" if trunk.registers else "does not register: its networks must be known"
        yield _found("ok", f"trunk {name}: {trunk.server}, {does}")
        try:
            Trunk(name, trunk)
        except SettingsError as error:
            yield _found("problem", str(error))
        if not trunk.registers and not trunk.trusted:
            advice = f"set sip.trunks.{name}.trusted to its networks, or register: true"
            yield _found("warning", f"trunk {name}: its calls cannot be told from a stranger's", advice)


def _encryption(sip: SipSettings) -> Iterator[Finding]:
    if sip.tls_ca:
        yield from certificate.check_authorities(sip)
    if "tls" in sip.transports:
        yield from certificate.check(sip)
        if sip.srtp == "off":
            yield _found("warning", "signalling is encrypted by TLS, but the audio is not", "set sip.srtp: allowed")
    if sip.srtp == "off":
        return
    plain = [name for name in sip.transports if name != "tls"]
    if not srtp.available():
        level: Level = "problem" if sip.srtp == "required" else "warning"
        yield _found(level, "sip.srtp: encrypted audio is refused", srtp.MISSING)
    elif sip.srtp == "required" and plain and not is_loopback(sip.host):
        text = f"the keys of encrypted audio go over {' and '.join(plain)} as plain text"
        yield _found("warning", text, "set sip.transports: [tls]")
    else:
        yield _found("ok", f"encrypted audio (SRTP) is {sip.srtp}")


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "sip", text, advice)
