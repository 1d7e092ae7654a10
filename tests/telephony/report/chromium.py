"""Chromium without a screen, driven by its DevTools protocol: what a page looks like, measured."""

import base64
import itertools
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from websockets.sync.client import ClientConnection, connect

# No network, no sandbox (tests may run as root), nothing done in the background.
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-port=0"
).split()
WAIT_S = 60  # for whatever a busy machine is slow with


class Chromium:
    """One tab of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session = ""
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(item["targetId"] for item in targets if item["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; gives its result. RuntimeError for an error."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        self._socket.send(
            msgspec.json.encode({"id": number, "method": method, "params": parameters, **session}), text=True
        )
        while True:
            answer = msgspec.json.decode(self._socket.recv(WAIT_S))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def open(self, url: str, *, width: int, dark: bool, until: str = "true") -> None:
        """Show a page on a screen of this width, at 390 px a phone's, until an expression in JavaScript holds."""
        phone = width < 600
        size = {"width": width, "height": 844 if phone else 900, "deviceScaleFactor": 1, "mobile": phone}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=url)
        deadline = time.monotonic() + WAIT_S
        while not self.run(f"document.readyState === 'complete' && location.href === {url!r} && !!({until})"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{url}: never {until}")
            time.sleep(0.02)

    def run(self, expression: str) -> Any:
        """The value of an expression in JavaScript; of a promise, what comes of it."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page."""
        image = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(image))


@contextmanager
def started(folder: Path) -> Iterator[Chromium]:
    """A browser with one tab; `folder` is to be empty, for its profile."""
    process = subprocess.Popen(
        ["chromium", *OPTIONS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with connect(_address(process, folder / "DevToolsActivePort"), max_size=None, open_timeout=WAIT_S) as socket:
            yield Chromium(socket)
    finally:
        process.terminate()
        process.wait(WAIT_S)


def _address(process: subprocess.Popen[bytes], file: Path) -> str:
    deadline = time.monotonic() + WAIT_S
    while not (file.exists() and len(lines := file.read_text().split()) == 2):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("Chromium did not start")
        time.sleep(0.02)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
