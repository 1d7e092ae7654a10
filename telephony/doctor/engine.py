"""The engine: agents, the packages of its profile, its models, a GPU. It loads nothing."""

import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from agent import dialogue_check
from agent.engine.languages import WORD, check_hearing, deaf_without_models
from agent.exceptions import EngineError
from agent.listening import silero
from config.agent import AgentSettings, load_agents
from config.engine import EngineSettings, KokoroSettings
from config.exceptions import SettingsError
from config.extras import install_command
from config.settings import Settings, is_loopback
from telephony.doctor.finding import Finding, Level
from telephony.server.agents import named_agents

PACKAGES = {
    "embedded": ("pocketsphinx", "espeakng_loader"),
    "voxtral": ("torch", "transformers", "mistral_common"),
    "realtime": ("torch", "transformers", "mistral_common"),
    "kokoro": ("torch", "kokoro", "misaki"),
    "openai": (),
}
WEIGHTS = ("*.safetensors", "*.pth", "*.pt")
CONNECT_S = 1.0


def check(settings: Settings) -> Iterator[Finding]:
    """Check all of the engine."""
    engine = settings.engine
    try:
        agents = load_agents(settings.agents_folder)
    except SettingsError as error:
        yield _found("problem", str(error))
        agents = {}
    else:
        yield from _agents(settings, agents)
    yield _voice_detector()
    parts = parts_of(engine)
    missing = sorted({name for part in parts for name in PACKAGES[part] if find_spec(name) is None})
    if missing:
        advice = install_command("embedded", "gpu")
        yield _found(
            "problem", f"profile {engine.profile} needs packages that are missing: {', '.join(missing)}", advice
        )
        return
    yield _found("ok", f"profile {engine.profile}: its packages are installed")
    yield from _hearing(engine, agents)
    yield from _dialogues(engine, agents)
    for part in parts:
        yield from _part(engine, part, list(agents.values()))


def parts_of(engine: EngineSettings) -> list[str]:
    """The parts of a profile that hear, think and speak, and those that calls fall back on."""
    match engine.profile:
        case "gpu":
            realtime = ["realtime"] if engine.voxtral.transcripts == "realtime" else []
            return ["voxtral", *realtime, "kokoro", "embedded"]
        case "cascade":
            return list(dict.fromkeys(["openai", engine.cascade.recognizer, engine.cascade.synthesizer, "embedded"]))
        case "openai":
            return ["openai", "embedded"]
        case "embedded":
            return ["embedded"]
        case _:
            return []


def _part(engine: EngineSettings, part: str, agents: list[AgentSettings]) -> Iterator[Finding]:
    match part:
        case "voxtral":
            yield from _model(engine.voxtral.model, engine.voxtral.device, "engine.voxtral")
            if engine.voxtral.device == "cuda":
                yield _kernels()
        case "realtime":
            yield from _model(engine.realtime.model, engine.realtime.device, "engine.realtime")
        case "kokoro":
            yield from _model(engine.kokoro.model, engine.kokoro.device, "engine.kokoro")
        case "openai":
            yield _api(engine)
    yield from _voices(engine, part, agents)


def languages(engine: EngineSettings, agents: dict[str, AgentSettings]) -> Iterator[Finding]:
    """Whether the callers of these agents are heard, and are spoken to in their language, as far as it is installed."""
    yield from _hearing(engine, agents)
    for part in parts_of(engine):
        if all(map(find_spec, PACKAGES[part])):
            yield from _voices(engine, part, list(agents.values()))


def _voices(engine: EngineSettings, part: str, agents: list[AgentSettings]) -> Iterator[Finding]:
    if part == "kokoro":
        yield from _kokoro(engine.kokoro, agents)
    elif part == "embedded":
        chosen = engine.profile == "embedded" or engine.cascade.synthesizer == "embedded"
        yield _espeak(agents if chosen else [agent.model_copy(update={"voice": ""}) for agent in agents])


def _agents(settings: Settings, agents: dict[str, AgentSettings]) -> Iterator[Finding]:
    there = ", ".join(agents)
    lost = {name: key for name, key in named_agents(settings).items() if name not in agents}
    for name, key in lost.items():
        yield _found("problem", f"{key}: no agent {name!r}; there are {there}")
    if not lost:
        routes = f"; routes: {len(settings.routes)}" if settings.routes else ""
        yield _found("ok", f"agents: {there}; {settings.call.agent} answers{routes}")


def _hearing(engine: EngineSettings, agents: dict[str, AgentSettings]) -> Iterator[Finding]:
    try:
        check_hearing(engine, agents)
    except EngineError as error:
        yield _found("problem", str(error))
    if engine.profile in ("gpu", "cascade", "openai"):
        for agent in deaf_without_models(agents):
            text = f"{agent.name}.yaml: language: {agent.language!r} is not understood without the models"
            yield _found("warning", text, "if they are lost, its callers are transferred")


def _dialogues(engine: EngineSettings, agents: dict[str, AgentSettings]) -> Iterator[Finding]:
    for agent in agents.values():
        found = dialogue_check.check(agent, pronounce=needs_pronunciations(engine))
        if count := sum(finding.level == "problem" for finding in found):
            text = f"{agent.name}.yaml: problems in the dialogue: {count}"
            yield _found("warning", text, f"voxline check {agent.name} names them")


def needs_pronunciations(engine: EngineSettings) -> bool:
    """Whether words that pocketsphinx cannot pronounce cannot be heard."""
    return engine.embedded.recognizer != "moonshine"


def _voice_detector() -> Finding:
    try:
        return _found("ok", f"voice detector: {silero.model_path()}")
    except EngineError as error:
        return _found("problem", str(error))


def _espeak(agents: list[AgentSettings]) -> Finding:
    from agent.engine.embedded.synthesizer import say  # noqa: PLC0415 (an extra)

    for agent in agents:
        try:
            say(WORD, agent.voice, agent.speed, language=agent.language)
        except OSError as error:
            return _found("problem", f"espeak-ng cannot be loaded: {error}", "reinstall espeakng_loader")
        except EngineError as error:
            return _found("problem", f"{agent.name}.yaml: {error}")
    return _found("ok", "espeak-ng: speaks the languages of all agents")


def _kokoro(kokoro: KokoroSettings, agents: list[AgentSettings]) -> Iterator[Finding]:
    """Only looks at its files; they are tried when the server starts, since its packages take many seconds to load."""
    from agent.engine.kokoro.phonemes import LANGUAGES  # noqa: PLC0415 (an extra)

    folder = _locate(kokoro.model, "engine.kokoro")
    if isinstance(folder, Finding):
        return
    voices = {path.stem for path in (folder / "voices").glob("*.pt")}
    for agent in agents:
        for key, value, known in (
            ("voice", agent.voice or kokoro.voice, voices),
            ("language", agent.language, LANGUAGES),
        ):
            if value not in known:
                there = ", ".join(sorted(known)) or "none"
                yield _found("problem", f"{agent.name}.yaml: {key}: {value!r}: Kokoro has only {there}")
                return
    yield _found("ok", "Kokoro: has the voices and the languages of all agents")


def _model(model: str, device: str, setting: str) -> Iterator[Finding]:
    from agent.engine.host import require_gpu  # noqa: PLC0415 (imports torch)

    yield _weights(model, setting)
    try:
        require_gpu(device, setting)
    except EngineError as error:
        yield _found("problem", str(error))
    else:
        slow = "; full-size models are far too slow there" if device == "cpu" else ""
        yield _found("warning" if slow else "ok", f"{setting}.device: {device}{slow}")


def _kernels() -> Finding:
    from agent.engine.host import lacking_for_kernels  # noqa: PLC0415 (imports torch)

    if lacking := lacking_for_kernels():
        text = f"engine.voxtral: its kernels cannot be built, without which it is slower: {', '.join(lacking)} missing"
        return _found("warning", text, "install what is missing")
    return _found("ok", "engine.voxtral: its kernels can be built")


def _weights(model: str, setting: str) -> Finding:
    folder = _locate(model, setting)
    if isinstance(folder, Finding):
        return folder
    if not any(next(folder.glob(pattern), None) for pattern in WEIGHTS):
        return _found("problem", f"{setting}.model: {folder} holds no weights ({', '.join(WEIGHTS)})")
    return _found("ok", f"{setting}.model: {folder}")


def _locate(model: str, setting: str) -> Path | Finding:
    """A model's folder, or why there is none."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 (an extra)
    from huggingface_hub.constants import HF_HUB_OFFLINE  # noqa: PLC0415
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or model.startswith((".", "~")):
        return _found("problem", f"{setting}.model: there is no folder {folder}", "name the folder with the weights")
    try:
        return Path(snapshot_download(model, local_files_only=True))
    except HFValidationError:
        return _found("problem", f"{setting}.model: {model!r} is neither a folder nor a name on the hub")
    except LocalEntryNotFoundError:
        if HF_HUB_OFFLINE:
            return _found("problem", f"{setting}.model: {model} is not here, and HF_HUB_OFFLINE is set")
        text = f"{setting}.model: {model} is not here yet; the first start fetches it, which takes a while"
        return _found("warning", text, f"fetch it beforehand: hf download {model}")


def _api(engine: EngineSettings) -> Finding:
    """Try to connect to a server on this machine, but not to one elsewhere."""
    url = urlsplit(engine.openai.url)
    host = url.hostname or ""
    if not is_loopback(host):
        if not engine.openai.api_key.get_secret_value():
            return _found("warning", f"engine.openai.url: {engine.openai.url} is used without a key (api_key)")
        return _found("ok", f"engine.openai.url: {engine.openai.url}, not tried")
    try:
        socket.create_connection((host, url.port or (443 if url.scheme == "https" else 80)), CONNECT_S).close()
    except OSError as error:
        text = f"engine.openai.url: no server answers at {engine.openai.url}: {error.strerror or error}"
        return _found("problem", text, "start that server first; deploy/vllm.md shows one")
    return _found("ok", f"engine.openai.url: a server listens at {engine.openai.url}")


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "engine", text, advice)
