"""The agents of one server, each in its present edition. Calls keep the edition that they began with."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from config.agent import MAX_BYTES, AgentSettings, load_agents
from config.settings import Settings

MAX_GONE = 100  # agents without a file that calls may still be connected with, as they were promised


class Edition(msgspec.Struct, frozen=True):
    """An agent as its file was read."""

    agent: AgentSettings
    known_as: str  # the engine's name for it
    file: str = ""
    read_ms: int = 0  # Unix time
    sha256: str = ""  # of the file

    @property
    def name(self) -> str:
        """What it is called."""
        return self.agent.name


class Agents(Mapping[str, AgentSettings]):
    """By name. `forgotten` is told of the engine's names that no call uses any more, nor will."""

    def __init__(self, editions: Iterable[Edition], folder: Path = Path()) -> None:
        self.folder = folder
        self.forgotten: Callable[[Collection[str]], None] = lambda _: None
        self._present = {edition.name: edition for edition in editions}
        self._gone: dict[str, Edition] = {}  # the last editions of agents whose files are gone
        self._calls: Counter[str] = Counter()  # by the engine's name

    def __getitem__(self, name: str) -> AgentSettings:
        return self._present[name].agent

    def __iter__(self) -> Iterator[str]:
        return iter(self._present)

    def __len__(self) -> int:
        return len(self._present)

    @property
    def editions(self) -> list[Edition]:
        """The present ones."""
        return list(self._present.values())

    def calls(self, edition: Edition) -> int:
        """How many calls are with it."""
        return self._calls[edition.known_as]

    def find(self, name: str) -> Edition | None:
        """The present edition, or the last one: a call may come that was promised it before its file was removed."""
        return self._present.get(name) or self._gone.get(name)

    def enter(self, edition: Edition) -> None:
        """A call begins with it."""
        self._calls[edition.known_as] += 1

    def leave(self, edition: Edition) -> None:
        """Such a call is over."""
        self._calls[edition.known_as] -= 1
        self._forget_unused([edition])

    def change(self, read: Iterable[Edition], removed: Collection[str]) -> None:
        """From now on calls begin with these editions, and with none of the agents that are removed."""
        new = {edition.name: edition for edition in read}
        present = self._present
        gone = self._gone | {name: present[name] for name in removed}
        replaced = [edition for agents in (present, gone) for name, edition in agents.items() if name in new]
        gone = {name: edition for name, edition in gone.items() if name not in new}
        dropped = list(gone)[:-MAX_GONE]
        replaced += [gone.pop(name) for name in dropped]
        self._present = {name: edition for name, edition in (present | new).items() if name not in removed}
        self._gone = gone
        self._forget_unused(replaced)

    def _forget_unused(self, editions: Iterable[Edition]) -> None:
        unused = [each.known_as for each in editions if self._calls[each.known_as] <= 0 and not self._awaits(each)]
        for known_as in unused:
            del self._calls[known_as]
        if unused:
            self.forgotten(unused)

    def _awaits(self, edition: Edition) -> bool:
        """Whether calls may still begin with it."""
        return self.find(edition.name) is edition


def fingerprint(path: Path) -> str:
    """SHA-256 of a file that is not too large for an agent's, else of its beginning. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.sha256(file.read(MAX_BYTES + 1)).hexdigest()


def read_agents(folder: Path, now_ms: int) -> Agents:
    """The agents in a folder, read at this Unix time in ms. Raises SettingsError."""
    agents = load_agents(folder)
    files = {name: folder / f"{name}.yaml" for name in agents}
    return Agents(
        (Edition(agent, name, str(files[name]), now_ms, fingerprint(files[name])) for name, agent in agents.items()),
        folder,
    )


def named_agents(settings: Settings) -> dict[str, str]:
    """The agents that must be there, each with the key of a setting that names it."""
    named = {agent: f"routes.{pattern}" for pattern, agent in settings.routes.items()}
    if settings.sip.enabled:
        trunks = settings.sip.trunks.items()
        named |= {trunk.agent: f"sip.trunks.{name}.agent" for name, trunk in trunks if trunk.agent}
    return named | {settings.call.agent: "call.agent"}
