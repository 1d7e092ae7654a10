"""Where a model is found, and what is said when it is not, or when there is no GPU for it."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from agent.engine.host import find_folder, lacking_for_kernels, require_gpu, use_own_stream  # noqa: E402 (it needs torch)
from agent.exceptions import EngineError  # noqa: E402

FILES = ["config.json"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache of a hub that cannot be reached."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find_folder(str(tmp_path), "engine.kokoro", FILES) == tmp_path


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "../nowhere", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(EngineError, match=r"^engine\.kokoro\.model: there is no folder .*nowhere"):
        find_folder(name, "engine.kokoro", FILES)


@pytest.mark.parametrize("name", ["nobody/nothing", "no name at all"])
def test_a_name_that_the_hub_does_not_give(hub: Path, name: str) -> None:
    assert not list(hub.iterdir())
    with pytest.raises(EngineError, match=f"engine.voxtral.model: '{name}' is neither .*`hf download {name}`"):
        find_folder(name, "engine.voxtral", FILES)


def test_a_name_that_was_fetched_before_needs_no_hub(hub: Path) -> None:
    snapshot = hub / "models--somebody--kokoro" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    assert find_folder("somebody/kokoro", "engine.kokoro", FILES).samefile(snapshot)


def test_a_gpu_is_asked_for_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    require_gpu("cpu", "engine.voxtral")
    with pytest.raises(EngineError, match=r"^engine\.voxtral\.device is cuda, but torch finds no GPU"):
        require_gpu("cuda", "engine.voxtral")


def test_what_kernels_need_is_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.engine.host.find_spec", lambda name: name)
    for file in (tmp_path / "Python.h", tmp_path / "cc"):
        file.touch(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert lacking_for_kernels() == []
    (tmp_path / "Python.h").unlink()
    (tmp_path / "cc").unlink()
    assert lacking_for_kernels() == ["a C compiler (cc)", "Python's headers (python3-dev)"]


class Streams:
    """What torch.cuda knows of streams, and in which order it was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[str] = []
        for name in ("Stream", "current_stream", "set_stream"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name.lower()))

    def stream(self, priority: int) -> "Streams":
        self.told.append(f"new, priority {priority}")
        return self

    def current_stream(self) -> str:
        return "the default one"

    def wait_stream(self, other: str) -> None:
        self.told.append(f"waits for {other}")

    def set_stream(self, stream: "Streams") -> None:
        self.told.append("used")


@pytest.mark.parametrize(("urgent", "priority"), [(False, 0), (True, -1)])
def test_a_models_own_stream_begins_where_its_weights_are_there(
    monkeypatch: pytest.MonkeyPatch, urgent: bool, priority: int
) -> None:
    streams = Streams(monkeypatch)
    use_own_stream("cuda", urgent=urgent)
    assert streams.told == [f"new, priority {priority}", "waits for the default one", "used"]


def test_without_a_gpu_there_are_no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch)
    use_own_stream("cpu")
    assert streams.told == []
