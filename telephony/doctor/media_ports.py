"""The UDP ports of SIP calls' audio: whether there are enough, and whether they are free and have buffers."""

from collections.abc import Iterator
from pathlib import Path

from config.sip import SipSettings
from telephony.doctor.finding import Finding, Level
from telephony.lines.sip.media.sockets import RECEIVE_BUFFER, MediaSockets, NoPort

SAMPLE = 32  # pairs that are tried
SPARE = 10  # calls per spare pair: pairs are drawn at random, and drawn again when taken
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


def check(sip: SipSettings, capacity: int, *, running: bool = False, rmem_max: Path = RMEM_MAX) -> Iterator[Finding]:
    """Check the range against the capacity for calls, and against this machine."""
    first = (sip.rtp_first_port + 1) // 2 * 2
    pairs = (sip.rtp_last_port + 1 - first) // 2
    ports = f"UDP {sip.rtp_first_port}-{sip.rtp_last_port}"
    wanted = capacity + capacity // SPARE
    advice = f"widen sip.rtp_first_port to rtp_last_port to {2 * wanted} ports, or lower call.capacity"
    if pairs < capacity:
        yield _found("problem", f"{ports}: audio for {pairs} calls; call.capacity is {capacity}", advice)
    elif pairs < wanted:
        yield _found("warning", f"{ports}: audio for {pairs} calls, none to spare for {capacity}", advice)
    else:
        yield _found("ok", f"{ports}: audio for {pairs} calls, {capacity} at once")
    yield _sampled(sip, first, pairs, running=running)
    try:
        most = int(rmem_max.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return  # not Linux
    if most < RECEIVE_BUFFER:
        text = f"the kernel keeps {most} bytes for a socket, where {RECEIVE_BUFFER} are wanted: bursts may be lost"
        yield _found("warning", text, f"sysctl net.core.rmem_max={4 * RECEIVE_BUFFER}")


def _sampled(sip: SipSettings, first: int, pairs: int, *, running: bool) -> Finding:
    tried = [first + 2 * (number * pairs // min(SAMPLE, pairs)) for number in range(min(SAMPLE, pairs))]
    taken = [port for port in tried if not _is_free(sip.host, port)]
    if not taken:
        return _found("ok", f"{len(tried)} of its pairs were tried: all free")
    text = f"{len(taken)} of {len(tried)} pairs tried are taken or unavailable, such as {sip.host} port {taken[0]}"
    if len(taken) == len(tried):
        return _found("problem", text, "choose other ports, or see the finding about sip.host")
    level: Level = "ok" if running or len(taken) <= len(tried) // 4 else "warning"
    return _found(level, text, "" if level == "ok" else "another program uses these ports; choose others")


def _is_free(host: str, port: int) -> bool:
    try:
        MediaSockets(host, port, port + 1, lambda _: 0).close()
    except NoPort:
        return False
    return True


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "sip audio", text, advice)
