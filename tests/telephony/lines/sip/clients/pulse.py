"""PulseAudio with two null sinks: one is a telephone's microphone, the other its speaker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.debian import needs
from tests.telephony.lines.sip.clients.local import stop
from tests.waiting import until

RATE = 8000
FORMAT = ("--raw", f"--rate={RATE}", "--channels=1", "--format=s16le", "--latency-msec=50")

needs_pulse = [needs("pulseaudio"), needs("pulseaudio-utils")]


class Pulse:
    """A running daemon. `environment` is what programs that use it need."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            "PULSE_SERVER": f"unix:{folder}/socket",
            "PULSE_SINK": "speaker",
            "PULSE_SOURCE": "microphone.monitor",
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
        }
        self._folder = folder
        self._programs: list[asyncio.subprocess.Process] = []

    async def speak(self, pcm: bytes) -> None:
        """Play this to the microphone from now on, PCM16 at 8 kHz."""
        (self._folder / "microphone.raw").write_bytes(pcm)
        await self._run("pacat", "--playback", "--device=microphone", *FORMAT, str(self._folder / "microphone.raw"))

    async def listen(self) -> None:
        """Record the speaker from now on."""
        await self._run("pacat", "--record", "--device=speaker.monitor", *FORMAT, str(self._folder / "speaker.raw"))
        await until(self.heard)

    def heard(self) -> bytes:
        """The recording of the speaker, PCM16 at 8 kHz."""
        file = self._folder / "speaker.raw"
        data = file.read_bytes() if file.exists() else b""
        return data[: len(data) // 2 * 2]

    async def close(self) -> None:
        for program in self._programs:
            await stop(program)

    async def _run(self, *command: str) -> None:
        env = {"PATH": "/usr/bin:/bin", **self.environment}
        self._programs.append(await asyncio.create_subprocess_exec(*command, env=env))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Pulse]:
    """A private daemon."""
    pulse = Pulse(folder)
    sinks = [f"module-null-sink sink_name={name} rate={RATE} channels=1" for name in ("microphone", "speaker")]
    modules = [f"module-native-protocol-unix socket={folder}/socket auth-anonymous=1", *sinks]
    with (folder / "pulse.txt").open("wb") as output:
        daemon = await asyncio.create_subprocess_exec(
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit", "--use-pid-file=no"),
            *(word for module in modules for word in ("-L", module)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": "/usr/bin:/bin", **pulse.environment},
        )
    try:
        await until((folder / "socket").exists)
        yield pulse
    finally:
        await pulse.close()
        await stop(daemon)
