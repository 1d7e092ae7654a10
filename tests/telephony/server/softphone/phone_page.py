"""A phone page in a real Chromium, whose caller is scripted: sounds played at set times in place of a microphone."""

import asyncio
import base64
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import soundfile
from playwright.async_api import Page, async_playwright

from telephony.simulator.voices import CallerVoice
from tests.waiting import until

CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
WAIT_MS = 40_000  # for whatever a busy machine is slow with
# A microphone that plays what it is told, with a little noise, as every microphone has.
MICROPHONE = """
(() => {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const noise = context.createBuffer(1, context.sampleRate, context.sampleRate);
  noise.getChannelData(0).forEach((_, i, data) => (data[i] = (Math.random() - 0.5) * 0.002));
  const hiss = new AudioBufferSourceNode(context, { buffer: noise, loop: true });
  hiss.connect(out);
  hiss.start();
  window.asked = null;
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    window.asked = wanted;
    await context.resume();
    return out.stream.clone();
  };
  window.say = async (wav) => {
    const bytes = Uint8Array.from(atob(wav), (sign) => sign.charCodeAt(0));
    const buffer = await context.decodeAudioData(bytes.buffer);
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(out);
    const over = new Promise((resolve) => (source.onended = resolve));
    source.start();
    return over.then(() => buffer.duration);
  };
})();
"""


def wav(text: str, voice: str = "am_michael") -> str:
    """What the simulator's caller says, as a WAV in base64."""
    samples, rate = CallerVoice()(text, voice, 1.0)
    out = io.BytesIO()
    soundfile.write(out, np.asarray(samples), rate, format="WAV")
    return base64.b64encode(out.getvalue()).decode()


class PhonePage:
    """The page and its caller."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    async def call(self, url: str) -> None:
        """Open the page and start a call."""
        await self.page.goto(f"{url}/browser/")
        await self.page.click("#call")

    async def say(self, text: str) -> float:
        """Say it; returns once it is said."""
        duration: float = await self.page.evaluate("wav => window.say(wav)", wav(text))
        return duration

    async def until_state(self, state: str) -> None:
        """Wait until the agent is in this state."""
        await self.page.wait_for_selector(f'#state[data-state="{state}"]', timeout=WAIT_MS)

    async def heard_out(self, count: int) -> None:
        """Wait until the agent has said so many things, the last one to its end."""
        await self.page.wait_for_function(
            "count => document.querySelectorAll('#talk .agent').length >= count", arg=count, timeout=WAIT_MS
        )

    async def talk(self) -> list[dict[str, Any]]:
        """The conversation as the page shows it."""
        found: list[dict[str, Any]] = await self.page.evaluate(
            "[...document.querySelectorAll('#talk li')].map(item => ({role: item.className, "
            "text: item.querySelector('.words')?.textContent ?? '', "
            "notes: [...item.querySelectorAll('.note')].map(note => note.textContent)}))"
        )
        return found


@asynccontextmanager
async def phone_page(
    *, dark: bool = False, width: int = 1100, scripted: bool = True, options: tuple[str, ...] = ()
) -> AsyncGenerator[PhonePage]:
    """A page in a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, *options])
        try:
            size: Any = {"width": width, "height": 850}
            page = await browser.new_page(viewport=size, color_scheme="dark" if dark else "light")
            if scripted:
                await page.add_init_script(MICROPHONE)
            yield PhonePage(page)
        finally:
            await browser.close()


class Relay:
    """A network between page and server that can be cut."""

    def __init__(self, url: str) -> None:
        self._to = url.rpartition(":")[2]
        self._open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """The address to use in place of the server's."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break all connections, and let none through until `mend`."""
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """The network is back."""
        self._open = True

    async def stop(self) -> None:
        """End everything."""
        self.cut()
        assert self._server
        self._server.close()
        await until(lambda: not self._writers)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(self._to))
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()
