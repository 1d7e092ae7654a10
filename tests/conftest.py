"""Shared by all tests: a real server in a process of its own, and real human speech."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings

from telephony.server.process import Process, ServerProcess
from tests.forked import Forked

pytest_plugins = ["tests.telephony.lines.sip.peers.matrix"]
ROOT = Path(__file__).parent.parent
# How long an example takes tells of the machine only. CI's profile keeps its fixed examples.
settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
asyncio.set_event_loop(None)  # or looptime has one made in each sync test, which nobody closes
os.environ["HF_HUB_OFFLINE"] = "1"  # models come from folders that the tests make
if not shutil.which("nvidia-smi"):
    os.environ["TRITON_INTERPRET"] = "1"  # without a GPU its kernels are interpreted; Triton looks when it is imported


class Server(ServerProcess):
    """`voxline serve` on a free port of 127.0.0.1, with words in its log."""

    def __init__(self, settings: dict[str, Any], data: Path, environment: dict[str, str]) -> None:
        # Many of the tests' callers have espeak-ng's voice.
        usual = {"server.data": str(data), "log.words": True, "engine.embedded.recognizer": "pocketsphinx"}
        super().__init__(usual | settings, environment=environment)
        self.data = data

    def _start(self, arguments: list[str], environment: dict[str, str]) -> Process:
        return Forked(arguments, environment)

    def metric(self, name: str) -> float:
        """The present value of one metric, its labels included in the name."""
        for line in httpx.get(self.url + "/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers: serve({"engine.profile": "simulated"}, TWILIO_AUTH_TOKEN="..."); stopped after the module."""
    servers: list[Server] = []

    def start(settings: dict[str, Any] | None = None, **environment: str) -> Server:
        servers.append(Server(settings or {}, tmp_path_factory.mktemp("data"), environment))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real human speech."""
    return Path(__file__).parent / "recordings"
