"""Nothing leaves the host: whatever voxline does, no name is looked up, no packet goes out, and nothing is left in
HOME."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from tests import sealed
from tests.sealed import OUTSIDE, Seen

SCRIPT = """
name: privacy
voice: en-us+adam
timeout_ms: 60000
steps:
  - wait: {quiet_ms: 1500}
  - say: What are your opening hours?
  - wait: {quiet_ms: 1500}
"""
OPEN = """
import {module}, sys, time
from importlib.util import find_spec
onnxruntime = sys.modules.get("onnxruntime") or __import__("onnxruntime")
folder = find_spec("silero_vad").submodule_search_locations[0]
onnxruntime.InferenceSession(folder + "/data/silero_vad.onnx", providers=["CPUExecutionProvider"])
time.sleep({wait_s})
"""


@pytest.fixture
def room(tmp_path: Path) -> Callable[..., Seen]:
    """Runs a command in a room of its own; its last words are shown when it fails."""

    def run(*command: str, timeout_s: float = 120, **environment: str) -> Seen:
        seen = sealed.run(command, tmp_path, timeout_s, **environment)
        assert seen.status == 0, seen.output
        return seen

    return run


def nothing(seen: Seen) -> None:
    assert (seen.names, seen.packets, seen.written) == ([], [], []), seen.output


def test_the_room_sees_who_asks_a_name_who_goes_out_and_who_writes(room: Callable[..., Seen]) -> None:
    leak = """
import socket
from pathlib import Path
line = socket.socket()
line.settimeout(0.5)
try:
    line.connect(("collector.example", 443))
except TimeoutError:
    pass
Path("~/.identifier").expanduser().write_text("1")
"""
    seen = room(sys.executable, "-c", leak)
    assert "collector.example" in seen.names
    assert OUTSIDE in seen.packets
    assert seen.written == [".identifier"]


def test_onnxruntime_left_to_itself_is_seen(room: Callable[..., Seen]) -> None:
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 31):
        pytest.skip(f"onnxruntime {onnxruntime.__version__} keeps no events")
    seen = room(sys.executable, "-c", OPEN.format(module="onnxruntime", wait_s=0))
    assert any("onnxruntime" in name for name in seen.written)


@pytest.mark.parametrize("module", ["agent.listening.vad", "telephony.server.app"])
def test_whatever_is_imported_first_keeps_onnxruntime_silent(room: Callable[..., Seen], module: str) -> None:
    nothing(room(sys.executable, "-c", OPEN.format(module=module, wait_s=0)))


@pytest.mark.slow
def test_the_demo_keeps_to_itself(room: Callable[..., Seen], tmp_path: Path) -> None:
    nothing(room(sys.executable, "-m", "telephony.cli", "demo", "--out", str(tmp_path / "demo")))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings with tiny models in folders."""
    pytest.importorskip("kokoro")
    from bench.checkpoints import kokoro, realtime, voxtral  # they need the models' packages

    folder = tmp_path_factory.mktemp("models")
    says = {"[/INST]": ["Good", " morning."], "[TRANSCRIBE]": ["hello"]}
    return {
        "engine.voxtral.model": str(voxtral.build(folder / "voxtral", says=says)),
        "engine.voxtral.slots": 4,
        "engine.realtime.model": str(realtime.build(folder / "realtime", encoder_window=100)),
        "engine.realtime.streams": 4,
        "engine.kokoro.model": str(kokoro.build(folder / "kokoro", pace=2.0)),
        **{f"engine.{part}.device": "cpu" for part in ("voxtral", "realtime", "kokoro")},
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "settings",
    [
        {"engine.profile": "embedded"},
        {"engine.profile": "simulated"},
        {"engine.profile": "gpu"},
        {"engine.profile": "gpu", "engine.voxtral.transcripts": "realtime"},
        {"engine.profile": "gpu", "engine.process": False},
        {"engine.profile": "cascade"},
        {"engine.profile": "openai"},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_a_call_in_every_profile_keeps_to_itself(
    room: Callable[..., Seen], request: pytest.FixtureRequest, tmp_path: Path, settings: dict[str, Any]
) -> None:
    if settings["engine.profile"] in ("gpu", "cascade"):
        settings = request.getfixturevalue("models") | settings
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "tests.sealed_call", json.dumps(settings), str(script), str(tmp_path / "data")]
    nothing(room(*command, timeout_s=500))
