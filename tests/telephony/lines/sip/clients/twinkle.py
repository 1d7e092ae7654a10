"""twinkle-console (Debian), a third-party telephone, at a terminal, with a PulseAudio as its sound device."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.debian import needs
from tests.telephony.lines.sip.clients import pulse, terminal
from tests.telephony.lines.sip.clients.local import HOST, free_port
from tests.telephony.lines.sip.clients.pulse import Pulse, needs_pulse
from tests.telephony.lines.sip.clients.terminal import Terminal
from tests.waiting import until

SYSTEM = """
dev_ringtone=alsa:default
dev_speaker=alsa:default
dev_mic=alsa:default
sip_port={port}
rtp_port={rtp}
play_ringtone=no
play_ringback=no
"""
PROFILE = """
user_name=tim
user_domain={host}
user_display=Tim
register_at_startup=no
pres_publish_startup=no
ask_user_to_refer=no
dtmf_transport={keys}
"""

needs_twinkle = [needs("twinkle-console"), *needs_pulse]


class Twinkle:
    """A running telephone."""

    user = "tim"

    def __init__(
        self, terminal: Terminal, sound: Pulse, microphone: bytes, port: int, log: Path, *, info: bool
    ) -> None:
        self.port = port
        self.terminal = terminal
        self._pulse = sound
        self._microphone = microphone
        self._log = log
        self._info = info

    async def dial(self, uri: str) -> None:
        self.terminal.type(f"call {uri}")
        await self.established()

    async def established(self) -> None:
        """Wait until it is in a call; then it speaks."""
        await self.terminal.says("answered call|established")
        await self._pulse.speak(self._microphone)

    async def hold(self) -> None:
        self.terminal.type("hold")
        await self.terminal.says("re-INVITE successful")

    async def retrieve(self) -> None:
        self.terminal.type("retrieve")
        await self.terminal.says("re-INVITE successful")

    async def press(self, key: str) -> None:
        """Press a key, and wait until its events are out: it may lose one that is pressed meanwhile."""
        sent = self._sent_events()
        self.terminal.type(f"dtmf {key}")
        if not self._info:
            await until(lambda: self._sent_events() > sent)

    async def hears_key(self, key: str) -> None:
        await self.terminal.says(f"DTMF detected: {re.escape(key)}")

    async def hang_up(self) -> None:
        self.terminal.type("bye")
        await self.terminal.says("call ended")

    def _sent_events(self) -> int:
        return self._log.read_text(errors="replace").count("finish DTMF event")

    def heard(self) -> bytes:
        """The output of its speaker, PCM16 at 8 kHz."""
        return self._pulse.heard()


@asynccontextmanager
async def running(
    folder: Path, microphone: bytes, certificate: Path | str = "", keys: str = "events"
) -> AsyncIterator[Twinkle]:
    """A telephone that speaks `microphone` (PCM16 at 8 kHz) once it is in a call."""
    assert not certificate, "it has no TLS"
    (folder / ".twinkle").mkdir(parents=True)
    port, rtp = free_port(), free_port()
    (folder / ".twinkle" / "twinkle.sys").write_text(SYSTEM.format(port=port, rtp=rtp))
    profile = PROFILE.format(host=HOST, keys={"events": "rfc2833", "info": "info"}[keys])
    (folder / ".twinkle" / "tim.cfg").write_text(profile)
    async with (
        pulse.running(folder) as sound,
        terminal.running("twinkle-console", "tim.cfg", folder=folder, **sound.environment) as program,
    ):
        await program.says("Twinkle>")
        program.type("auto_answer -a on")
        await program.says("Twinkle>")
        await sound.listen()
        yield Twinkle(program, sound, microphone, port, folder / ".twinkle" / "twinkle.log", info=keys == "info")
