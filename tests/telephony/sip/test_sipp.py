"""Calls by sipp, a SIP stack that is not ours; skipped where it is not installed (Debian: sip-tester)."""

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from telephony.sip.line import SipCall
from tests.telephony.sip.phone import likeness, over, server

SCENARIO = Path(__file__).parent / "sipp" / "uac_ulaw.xml"

pytestmark = [
    pytest.mark.alone,  # sipp says back what it hears, when it hears it
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed (Debian: sip-tester)"),
]


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def sipp(folder: Path, port: int, *options: str) -> tuple[int, str]:
    """Run the scenario against a port; its exit status and what it wrote."""
    local, media = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM) & ~3
    arguments = f"-sf {SCENARIO} -s 1000 127.0.0.1:{port} -i 127.0.0.1 -p {local} -mi 127.0.0.1 -mp {media} -nostdin"
    process = await asyncio.create_subprocess_exec(
        "sipp",
        *arguments.split(),
        *options,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")[-3000:]


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_sipp_hears_the_greeting_and_says_it_back(
    sent: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    heard: list[bytes] = []
    entered = SipCall.open

    def overheard(self: SipCall, listener: object) -> None:
        audio = listener.audio  # type: ignore[attr-defined]

        def both(pcm: bytes) -> None:
            heard.append(pcm)
            audio(pcm)

        listener.audio = both  # type: ignore[attr-defined]
        entered(self, listener)  # type: ignore[arg-type]

    monkeypatch.setattr(SipCall, "open", overheard)
    async with server() as app:
        assert app.sip
        port = app.sip.ports["UDP" if transport == "u1" else "TCP"]
        status, said = await sipp(tmp_path, port, "-m", "1", "-rtp_echo", "-t", transport)
        assert status == 0, said
        await over(app)
    assert likeness(b"".join(sent), b"".join(heard)) > 0.9


async def test_many_calls_of_sipp_at_once(tmp_path: Path) -> None:
    async with server(call__capacity=20) as app:
        assert app.sip
        status, said = await sipp(tmp_path, app.sip.ports["UDP"], *"-m 20 -l 20 -r 20".split())
        assert status == 0, said
        await over(app)
        assert 'voxline_calls_total{outcome="hangup"} 20.0' in app.metrics.exposition().decode()
