"""For the simulator's tests: an agent in a process of its own, and a voice that needs no synthesizer."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio import g711
from audio.rate import FRAME, SAMPLES_PER_MS
from telephony.simulator.clip import FloatArray
from telephony.simulator.script import Script

HERE = Path(__file__).parent


class AgentServer:
    """`agent_server.py` as a process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(HERE / "agent_server.py")],
            env=os.environ | {"PYTHONPATH": str(HERE.parents[2])},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()

    def voice(self, **query: str) -> str:
        """The webhook for a behaviour."""
        return f"{self.url}/twilio/voice?" + "&".join(f"{key}={value}" for key, value in query.items())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="session")
def agent() -> Iterator[AgentServer]:
    """An agent for all tests."""
    server = AgentServer()
    yield server
    server.stop()


@pytest.fixture
def mortal_agent() -> Iterator[AgentServer]:
    """An agent that a test may kill."""
    server = AgentServer()
    yield server
    server.stop()


@pytest.fixture
def speak() -> Callable[[str, str, float], tuple[FloatArray, int]]:
    """A voice: 50 ms of tone a letter, at 16 kHz."""

    def tone(text: str, voice: str, speed: float) -> tuple[FloatArray, int]:
        time = np.arange(int(16_000 * 0.05 * len(text) / speed))
        return (0.3 * np.sin(time * 0.2)).astype(np.float32), 16_000

    return tone


@pytest.fixture
def script() -> Callable[..., Script]:
    """Makes scripts: script("wait", {"say": "hello"}, timeout_ms=1000)."""

    def make(*steps: Any, **settings: Any) -> Script:
        defaults = {"name": "test", "quiet_ms": 200, "timeout_ms": 3000}
        return Script.model_validate(defaults | settings | {"steps": list(steps)})

    return make


@pytest.fixture
def tone() -> Callable[[int], bytes]:
    """Loud mu-law audio of so many ms."""

    def make(ms: int) -> bytes:
        samples = np.arange(ms * SAMPLES_PER_MS)
        return g711.encode((np.cos(samples * 0.7) * 8000).astype("<i2").tobytes())

    return make


@pytest.fixture
def floor() -> tuple[bytes, ...]:
    """The line's silence, recognizable."""
    return (b"/" * (FRAME * 4 // 3 + 4),)
