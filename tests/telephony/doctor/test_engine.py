"""What the doctor says of the engine; models from folders and names, without loading any."""

import importlib.util
import socket
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from config.engine import EngineSettings
from telephony.doctor import engine
from tests.telephony.doctor.findings import of, settings, text


def test_the_default_is_in_order() -> None:
    found = list(engine.check(settings()))
    assert {finding.level for finding in found} == {"ok"}
    assert "agents: front_desk; front_desk answers" in text(found)
    assert "espeak-ng: speaks the languages of all agents" in text(found)


def test_agents_that_are_not_there(tmp_path: Path) -> None:
    assert "no agent 'nobody'; there are front_desk" in of("problem", engine.check(settings(call__agent="nobody")))[0]
    assert str(tmp_path) in of("problem", engine.check(settings(agents=str(tmp_path))))[0]
    trunks = {"telco": {"server": "sip:192.0.2.9", "agent": "night"}}
    assert "sip.trunks.telco.agent: no agent 'night'" in of("problem", engine.check(settings(sip__trunks=trunks)))[0]


def test_routes_lead_to_agents_that_exist() -> None:
    assert "front_desk answers; routes: 1" in text(engine.check(settings(routes={"+3120*": "front_desk"})))
    routes = {"+3120*": "bakery", "+3130": "night", "*": "front_desk"}
    assert of("problem", engine.check(settings(routes=routes))) == [
        "routes.+3120*: no agent 'bakery'; there are front_desk",
        "routes.+3130: no agent 'night'; there are front_desk",
    ]


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("language: en-gb", ""),
        ("voice: en-us+adam", ""),
        (
            "voice: bob",
            "desk.yaml: espeak-ng has no voice 'bob'; it has those for af, ",
        ),
        ("language: xx-klingon", "desk.yaml: language: 'xx-klingon': the embedded recognizer, which hears the callers"),
        ("language: es", "desk.yaml: language: 'es': the embedded recognizer, which hears the callers"),
    ],
)
def test_agents_that_nobody_can_speak_for_or_hear(tmp_path: Path, agent: str, said: str) -> None:
    (tmp_path / "desk.yaml").write_text(f"name: desk\n{agent}\n")
    found = engine.check(settings(agents=str(tmp_path), call__agent="desk"))
    problems = of("problem", found)
    assert problems[0].startswith(said) if said else not problems


def test_what_an_agent_loses_with_the_models(tmp_path: Path) -> None:
    dialogue = "dialogue: {texts: {greeting: Hola.}, intents: {hours: {phrases: [hours], answer: Nine.}}}"
    (tmp_path / "desk.yaml").write_text(f"name: desk\nlanguage: es\n{dialogue}\n")
    found = engine.check(settings(agents=str(tmp_path), call__agent="desk", engine__profile="openai"))
    assert "desk.yaml: language: 'es' is not understood without the models" in of("warning", found)


def test_dialogues_that_callers_cannot_get_on_with(tmp_path: Path) -> None:
    dialogue = "dialogue: {texts: {greeting: Hi.}, intents: {hours: {phrases: [xyzzyx], answer: Nine.}}}"
    (tmp_path / "desk.yaml").write_text(f"name: desk\n{dialogue}\n")
    values = {"agents": str(tmp_path), "call__agent": "desk"}
    [warning] = of("warning", engine.check(settings(**values)))
    assert warning == "desk.yaml: problems in the dialogue: 1"
    assert not of("warning", engine.check(settings(**values, engine__embedded__recognizer="moonshine")))


def test_a_voice_that_kokoro_has_not(tmp_path: Path) -> None:
    pytest.importorskip("kokoro")
    model, agents = tmp_path / "model", tmp_path / "agents"
    (model / "voices").mkdir(parents=True)
    (model / "voices" / "af_heart.pt").touch()
    agents.mkdir()
    values = {"engine__profile": "gpu", "agents": str(agents), "call__agent": "desk"}
    for agent, said in (
        ("voice: af_heart", []),
        ("voice: bob", ["desk.yaml: voice: 'bob': Kokoro has only af_heart"]),
        ("language: de", ["desk.yaml: language: 'de': Kokoro has only en-gb, en-us, es, fr-fr, hi, it, pt-br"]),
    ):
        (agents / "desk.yaml").write_text(f"name: desk\n{agent}\n")
        found = of("problem", engine.check(settings(**values, engine__kokoro__model=str(model))))
        assert [line for line in found if line.startswith("desk.yaml")] == said


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"profile": "embedded"}, ["embedded"]),
        ({"profile": "simulated"}, []),
        ({"profile": "openai"}, ["openai", "embedded"]),
        ({"profile": "gpu"}, ["voxtral", "kokoro", "embedded"]),
        ({"profile": "gpu", "voxtral": {"transcripts": "realtime"}}, ["voxtral", "realtime", "kokoro", "embedded"]),
        ({"profile": "cascade"}, ["openai", "realtime", "kokoro", "embedded"]),
        (
            {"profile": "cascade", "cascade": {"recognizer": "openai", "synthesizer": "embedded"}},
            ["openai", "embedded"],
        ),
    ],
)
def test_parts_of_a_profile(values: dict[str, Any], parts: list[str]) -> None:
    assert engine.parts_of(EngineSettings(**values)) == parts


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kokoro")
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in ("kokoro", "pocketsphinx") else find(name, package)

    monkeypatch.setattr(engine, "find_spec", without)
    for profile, names in (("embedded", "pocketsphinx"), ("gpu", "kokoro, pocketsphinx")):
        found = list(engine.check(settings(engine__profile=profile)))
        assert of("problem", found) == [f"profile {profile} needs packages that are missing: {names}"]
        assert "pip install" in found[-1].advice


def test_models_in_folders_and_on_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("kokoro")
    model = {"engine__profile": "gpu", "engine__voxtral__device": "cpu", "engine__kokoro__device": "cpu"}
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "model.safetensors").touch()
    for voxtral, level, said in (
        (str(full), "ok", f"engine.voxtral.model: {full}"),
        (str(empty), "problem", f"engine.voxtral.model: {empty} holds no weights"),
        ("/nowhere/voxtral", "problem", "engine.voxtral.model: there is no folder /nowhere/voxtral"),
        ("not a name!", "problem", "is neither a folder nor a name on the hub"),
        ("nobody/nothing", "problem", "nobody/nothing is not here, and HF_HUB_OFFLINE is set"),
    ):
        found = engine.check(settings(**model, engine__voxtral__model=voxtral, engine__kokoro__model=str(full)))
        assert any(said in line for line in of(level, found)), voxtral
    slow = engine.check(settings(**model, engine__voxtral__model=str(full), engine__kokoro__model=str(full)))
    assert of("warning", slow) == [
        f"engine.{part}.device: cpu; full-size models are far too slow there" for part in ("voxtral", "kokoro")
    ]


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("kokoro")
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    (tmp_path / "voices").mkdir()
    for file in ("model.safetensors", "voices/af_heart.pt"):
        (tmp_path / file).touch()
    model = {"engine__voxtral__model": str(tmp_path), "engine__kokoro__model": str(tmp_path)}
    found = of("problem", engine.check(settings(engine__profile="gpu", **model)))
    assert [line.partition(" ")[0] for line in found] == ["engine.voxtral.device", "engine.kokoro.device"]


def test_kernels_that_cannot_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kokoro")
    from agent.engine import host

    (tmp_path / "model.safetensors").touch()
    model = {"engine__voxtral__model": str(tmp_path), "engine__kokoro__model": str(tmp_path)}
    monkeypatch.setattr(host, "find_spec", lambda name: None)
    [warning] = of("warning", engine.check(settings(engine__profile="gpu", **model)))
    assert "its kernels cannot be built, without which it is slower: triton" in warning
    monkeypatch.setattr(host, "lacking_for_kernels", list)
    assert "its kernels can be built" in text(engine.check(settings(engine__profile="gpu", **model)))


def test_a_server_of_this_machine_is_knocked_at_and_others_are_not() -> None:
    def said(url: str, key: str = "") -> str:
        openai = {"engine__profile": "openai", "engine__openai__url": url, "engine__openai__api_key": key}
        return text(engine.check(settings(**openai)))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        assert f"ok: engine.openai.url: a server listens at {url}" in said(url)
    assert f"problem: engine.openai.url: no server answers at {url}: Connection refused" in said(url)
    assert "not tried" in said("https://api.example.com/v1", "secret-key")
    assert "secret-key" not in said("https://api.example.com/v1", "secret-key")
    assert "warning: engine.openai.url: https://api.example.com/v1 is used without a key" in said(
        "https://api.example.com/v1"
    )
