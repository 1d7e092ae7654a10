"""`make fuzz`: bytes from atheris, guided by branch coverage, for the parsers that strangers can reach.

A crash, a hang, memory that grows, or a message that does not come back from its own encoding ends it, and leaves the
input in out/fuzz.
"""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

from tests.telephony.lines.sip.torture import INVALID, VALID

with atheris.instrument_imports(include=["telephony"]):
    from telephony.lines.rtp import packet, rtcp
    from telephony.lines.sip.access.digest import parse_auth
    from telephony.lines.sip.syntax import sdp
    from telephony.lines.sip.syntax.message import MAX_BYTES, MessageError, StreamParser, encode, parse

LIMITS = ("-timeout=2", "-rss_limit_mb=1024", "-max_len=4096")  # s for one input, MB for all, bytes
FOUND = Path("out") / "fuzz"  # where inputs are left


def one_input(data: bytes) -> None:
    """Feed these bytes to every parser."""
    datagram(data)
    stream(data)
    for read in (sdp.parse, packet.parse, rtcp.parse):
        with suppress(ValueError):
            read(data)
    with suppress(ValueError):
        parse_auth(data.decode("latin-1"))


def datagram(data: bytes) -> None:
    """What is read is written so that it reads the same."""
    try:
        message = parse(data)
    except MessageError as error:
        assert 400 <= error.status < 600
        return
    try:
        written = encode(message)
    except ValueError:
        return  # a start line that may be read but not be sent
    if len(written) <= MAX_BYTES:
        assert encode(parse(written)) == written


def stream(data: bytes) -> None:
    """Bytes in pieces: an end, whatever they are, and nothing kept beyond one message."""
    parser, size = StreamParser(), 1 + data[0] if data else 1
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        while True:
            try:
                parser.feed(piece)
            except MessageError as error:
                if error.fatal:
                    return
                piece = b""  # go on behind the bad message
            else:
                break
        assert len(parser._buffer) <= MAX_BYTES + size


def main() -> None:
    """The arguments are libFuzzer's, such as -max_total_time=20."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in [*VALID.items(), *INVALID.items()]:
            (Path(folder) / name).write_bytes(data if isinstance(data, bytes) else data[0])
        FOUND.mkdir(parents=True, exist_ok=True)
        atheris.Setup([sys.argv[0], *LIMITS, f"-artifact_prefix={FOUND}/", *sys.argv[1:], folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
