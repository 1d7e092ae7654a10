"""baresip (Debian: baresip-core), a third-party telephone, driven through its control port."""

import asyncio
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.debian import needs
from tests.telephony.lines.sip.clients.local import BLOCK, HOST, certificate, free_port, stop
from tests.waiting import WAIT_S

RATE = 8000
MODULES = "/usr/lib/baresip/modules"
CONFIG = """
poll_method epoll
sip_listen {host}:{port}
sip_certificate {certificate}
sip_cafile {certificate}
sip_verify_server yes
call_local_timeout 60
call_max_calls 4
audio_source aufile,{folder}/microphone.wav
audio_player aufile,{folder}/speaker.wav
audio_alert aufile,{folder}/alert.wav
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
audio_buffer 20-160
opus_inbandfec yes
opus_bitrate 32000
rtp_ports {rtp}-{rtp_end}
jitter_buffer_delay 2-10
net_interface {host}
module_path {modules}
module g711.so
{wide}
module aufile.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {folder}
"""

OPUS, G722 = Path(MODULES) / "opus.so", Path(MODULES) / "g722.so"
needs_opus = pytest.mark.skipif(not OPUS.exists(), reason="baresip has no module opus.so")
needs_g722 = pytest.mark.skipif(not G722.exists(), reason="baresip has no module g722.so")
needs_baresip = needs("baresip-core")


class Baresip:
    """A running telephone."""

    def __init__(self, folder: Path, port: int, writer: asyncio.StreamWriter) -> None:
        self.port = port  # where to call it
        self.events: list[dict[str, Any]] = []
        self._folder = folder
        self._writer = writer
        self._news = asyncio.Event()

    def do(self, command: str, parameters: str = "") -> None:
        """Give it a command: dial, hold, resume, sndcode, hangup."""
        text = json.dumps({"command": command, "params": parameters, "token": "test"})
        self._writer.write(f"{len(text)}:{text},".encode())

    async def event(self, kind: str, **fields: str) -> dict[str, Any]:
        """The next event of that kind with these fields, awaited if necessary; each is found once."""
        wanted = {"type": kind, **fields}

        def found() -> dict[str, Any] | None:
            return next((event for event in self.events if wanted.items() <= event.items()), None)

        try:
            async with asyncio.timeout(WAIT_S):
                while (event := found()) is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no event {wanted} of baresip; there were {self.events}") from None
        self.events.remove(event)
        return event

    # The interface of ../peers/cases.py

    user = "bob"

    async def dial(self, uri: str) -> None:
        self.do("dial", uri)
        await self.established()

    async def established(self) -> None:
        await self.event("CALL_ESTABLISHED")

    async def hold(self) -> None:
        self.do("hold")
        await self.event("CALL_REMOTE_SDP", param="answer")

    async def retrieve(self) -> None:
        self.do("resume")
        await self.event("CALL_REMOTE_SDP", param="answer")

    async def press(self, key: str) -> None:
        self.do("sndcode", key)

    async def hears_key(self, key: str) -> None:
        await self.event("CALL_DTMF_START", param=key)

    async def hang_up(self) -> None:
        self.do("hangup")
        await self.event("CALL_CLOSED")

    def heard(self) -> bytes:
        """What came out of its decoder, PCM16: G.711 mono at 8 kHz, G.722 at 16, Opus stereo at 48."""
        return b"".join(pcm_of(file) for file in sorted(self._folder.glob("dump-*-dec.wav")))

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Read its events: JSON in netstrings."""
        while size := (await reader.readuntil(b":"))[:-1]:
            message = json.loads(await reader.readexactly(int(size)))
            await reader.readexactly(1)
            self.events.append(message)
            self._news.set()


@asynccontextmanager
async def running(
    folder: Path, microphone: bytes, account: str, certificate: Path, *, rate: int = RATE
) -> AsyncIterator[Baresip]:
    """A telephone that speaks `microphone` (PCM16 at `rate`) in each call and then hangs up. `account` are the
    parameters of its address; `certificate` is a PEM file with a key. At 16 kHz it can speak Opus and G.722."""
    port, control = free_port(), free_port()
    wide = "" if rate == RATE else "\n".join(f"module {file.name}" for file in (OPUS, G722) if file.exists())
    _configure(folder, account, port=port, control=control, certificate=certificate, rate=rate, wide=wide)
    write_wav(folder / "microphone.wav", microphone, rate)
    with (folder / "output.txt").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "baresip",
            *("-f", str(folder), "-v"),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"TERM": "dumb", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        )
    try:
        reader, writer = await _connect(control)
        baresip = Baresip(folder, port, writer)
        reading = asyncio.create_task(baresip.read(reader))
        try:
            yield baresip
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            writer.close()
    finally:
        await stop(process)


@asynccontextmanager
async def telephone(folder: Path, microphone: bytes, secure: Path | None = None) -> AsyncIterator[Baresip]:
    """One for ../peers/cases.py: G.711, and it answers. With `secure`, a certificate, by TLS and SRTP."""
    account = "audio_codecs=PCMU;answermode=auto" + (";mediaenc=srtp-mand" if secure else "")
    async with running(folder, microphone, account, secure or certificate(folder.parent)) as one:
        yield one


def _configure(folder: Path, account: str, **values: Any) -> None:
    folder.mkdir()
    rtp = free_port()
    config = CONFIG.format(host=HOST, modules=MODULES, folder=folder, rtp=rtp, rtp_end=rtp + BLOCK - 1, **values)
    (folder / "config").write_text(config)
    (folder / "accounts").write_text(f'"Bob" <sip:bob@{HOST}:{values["port"]}>;regint=0;{account}\n')
    (folder / "contacts").write_text("")


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.05)


def microphone(ms: int, *pieces: tuple[int, bytes], rate: int = RATE) -> bytes:
    """So much PCM16: each piece from its time in ms on, silence between them."""
    audio = bytearray(2 * rate * ms // 1000)
    for at_ms, pcm in pieces:
        begin = 2 * rate * at_ms // 1000
        audio[begin : begin + len(pcm)] = pcm
    return bytes(audio)


def write_wav(file: Path, pcm: bytes, rate: int) -> None:
    """PCM16 as a file."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)


def pcm_of(file: Path) -> bytes:
    """The samples of such a file, even if its writer has not closed it."""
    return file.read_bytes()[44:]
