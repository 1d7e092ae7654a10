"""pjsua2 (PyPI: pjsua2-python, GPL), a third-party telephone, in a process and an environment of its own."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.telephony.lines.sip.clients import terminal
from tests.telephony.lines.sip.clients.baresip import pcm_of, write_wav
from tests.telephony.lines.sip.clients.local import HOST, free_port
from tests.telephony.lines.sip.clients.terminal import Terminal

RATE = 8000
PYTHON = Path(__file__).parents[5] / "build" / "peers" / "bin" / "python"
PACKAGE = "pjsua2-python"
PHONE = Path(__file__).with_name("pjsua_phone.py")

needs_pjsua = pytest.mark.skipif(not PYTHON.exists(), reason="pjsua2 is not installed (.ci/clients does)")


class Pjsua:
    """A running telephone."""

    user = "pat"

    def __init__(self, terminal: Terminal, folder: Path, port: int) -> None:
        self.port = port
        self.terminal = terminal
        self._folder = folder

    async def dial(self, uri: str) -> None:
        self.terminal.type(f"dial {uri}")
        await self.established()

    async def established(self) -> None:
        """Wait until it is in a call."""
        await self.terminal.says("state CONFIRMED")

    async def hold(self) -> None:
        self.terminal.type("hold")
        await self.terminal.says("media held")

    async def retrieve(self) -> None:
        self.terminal.type("retrieve")
        await self.terminal.says("media active")

    async def press(self, key: str) -> None:
        self.terminal.type(f"press {key}")

    async def hears_key(self, key: str) -> None:
        await self.terminal.says(f"key {re.escape(key)}")

    async def hang_up(self) -> None:
        self.terminal.type("hangup")
        await self.terminal.says("state DISCONNECTED")

    def heard(self) -> bytes:
        """The output of its decoder in all its calls, PCM16 at 8 kHz."""
        return b"".join(pcm_of(file) for file in sorted(self._folder.glob("speaker-*.wav")))


@asynccontextmanager
async def running(
    folder: Path, microphone: bytes, certificate: Path | str = "", keys: str = "events"
) -> AsyncIterator[Pjsua]:
    """A telephone that speaks `microphone` (PCM16 at 8 kHz) from its first call on."""
    options = {"certificate": str(certificate), "keys": keys}
    port = _configure(folder, microphone)
    options |= {"host": HOST, "port": port, "rtp": free_port(), "folder": str(folder)}
    async with terminal.running(str(PYTHON), str(PHONE), json.dumps(options), folder=folder) as program:
        await program.says("ready")
        yield Pjsua(program, folder, port)


def _configure(folder: Path, microphone: bytes) -> int:
    """Its folder; the port to listen on."""
    folder.mkdir()
    write_wav(folder / "microphone.wav", microphone, RATE)
    return free_port()
