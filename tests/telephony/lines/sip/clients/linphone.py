"""linphonec (Debian: linphone-cli), a third-party telephone, at a terminal."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.debian import needs
from tests.telephony.lines.sip.clients import terminal
from tests.telephony.lines.sip.clients.baresip import pcm_of, write_wav
from tests.telephony.lines.sip.clients.local import HOST, free_port
from tests.telephony.lines.sip.clients.terminal import Terminal
from tests.waiting import until

RATE = 8000
WIDE = range(3)  # its first codecs: Opus and Speex
CONFIG = """
[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port={tls}
guess_hostname=0
contact="Lin" <sip:lin@{host}>
use_ipv6=0
bind_address={host}
root_ca={certificate}
verify_server_certs=1
verify_server_cn=0
use_info={info}
use_rfc2833=1
media_encryption={encryption}
[rtp]
audio_rtp_port={rtp}
bind_address={host}
[sound]
use_files=1
[video]
enabled=0
"""

needs_linphone = needs("linphone-cli")


class Linphone:
    """A running telephone."""

    user = "lin"

    def __init__(self, terminal: Terminal, folder: Path, port: int, *, info: bool) -> None:
        self.port = port
        self.terminal = terminal
        self._folder = folder
        self._info = info

    async def dial(self, uri: str) -> None:
        self.terminal.type(f"call {uri}")
        await self.established()

    async def established(self) -> None:
        """Wait until it is in a call."""
        await self.terminal.says("Media streams established")

    async def hold(self) -> None:
        self.terminal.type("pause")
        await self.terminal.says("paused")

    async def retrieve(self) -> None:
        self.terminal.type("resume")
        await self.terminal.says("Media streams established")

    async def press(self, key: str) -> None:
        """Press a key. Press the next one only after it has read our answer to its INFO: until then it would delay its
        own INFO, while its events go out."""
        answered = self._answered_infos()
        self.terminal.type(key)
        if self._info:
            await until(lambda: self._answered_infos() > answered)

    async def hears_key(self, key: str) -> None:
        await self.terminal.says(f"Receiving tone {re.escape(key)}")

    async def hang_up(self) -> None:
        self.terminal.type("terminate")
        await self.terminal.says("ended")

    def _answered_infos(self) -> int:
        log = (self._folder / "log.txt").read_text(errors="replace")
        return len(re.findall(r"^SIP/2\.0 200 .*\n(?:.+\n)*?CSeq: \d+ INFO", log, re.MULTILINE))

    def heard(self) -> bytes:
        """The output of its decoder in its last call, PCM16 at 8 kHz if the codec has that rate."""
        file = self._folder / "speaker.wav"
        return pcm_of(file) if file.exists() else b""


@asynccontextmanager
async def running(
    folder: Path, microphone: bytes, certificate: Path | str = "", keys: str = "events", narrow: bool = False
) -> AsyncIterator[Linphone]:
    """A telephone that speaks `microphone` (PCM16 at 8 kHz) in each call."""
    (folder / ".local" / "share" / "linphone").mkdir(parents=True)  # without it no port is opened
    port, tls, rtp = free_port(), free_port(), free_port()
    values = {"info": int(keys == "info"), "encryption": "srtp" if certificate else "none"}
    text = CONFIG.format(host=HOST, port=port, tls=tls, rtp=rtp, certificate=certificate, **values)
    (folder / "linphonerc").write_text(text)
    write_wav(folder / "microphone.wav", microphone, RATE)
    async with terminal.running(
        "linphonec", "-a", "-c", str(folder / "linphonerc"), "-d", "6", "-l", str(folder / "log.txt"), folder=folder
    ) as program:
        await program.says("linphonec>")
        for number in WIDE if narrow else ():
            program.type(f"codec disable {number}")
            await program.says("linphonec>")
        for line in ("soundcard use files", f"play {folder}/microphone.wav", f"record {folder}/speaker.wav"):
            program.type(line)
            await program.says("linphonec>")
        yield Linphone(program, folder, port, info=keys == "info")
