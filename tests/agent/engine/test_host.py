"""Where a model is found, and what is said when it is not, or when there is no GPU for it."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from agent.engine.host import find_folder, lacking_for_kernels, require_gpu  # noqa: E402 (it needs torch)
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
