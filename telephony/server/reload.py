"""Reads the agents' files anew while calls are on. What is wrong with one file leaves its agent as it was."""

import asyncio
import logging
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import msgspec

from agent.engine.base import Engine
from agent.engine.languages import check_hearing, check_voices
from agent.exceptions import EngineError
from config.agent import load_agent
from config.engine import EngineSettings
from config.exceptions import SettingsError
from telephony.server.agents import Agents, Edition, fingerprint

MAX_AGENTS = 1000  # files in a folder

logger = logging.getLogger("voxline.agents")


class RefusedFile(msgspec.Struct, frozen=True):
    """A file that was not taken; its agent stays as it was."""

    file: str
    error: str


class Outcome(msgspec.Struct, frozen=True):
    """What came of one reading: names of agents, and the files that were refused."""

    read: list[str] = []
    unchanged: list[str] = []
    removed: list[str] = []
    refused: list[RefusedFile] = []
    at_ms: int = 0  # Unix time


class Reload:
    """Of one server. `needed` says of agents that must stay which setting names them."""

    def __init__(self, agents: Agents, engine: Engine, settings: EngineSettings, needed: Mapping[str, str]) -> None:
        self.last: Outcome | None = None
        self._agents = agents
        self._engine = engine
        self._settings = settings
        self._needed = needed
        self._numbers = count(2)
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def soon(self) -> None:
        """Read them in the background, once more if that is being done."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep_reading(), name="reload")

    async def close(self) -> None:
        """Stop what was begun by `soon`."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def read(self) -> Outcome:
        """Read the files. When all that is new is ready, calls begin with it; those that are on keep what they have."""
        async with self._turn:
            try:
                files = await asyncio.to_thread(_files, self._agents.folder)
            except OSError as error:
                outcome = _refusal(self._agents.folder, f"cannot be read: {error.strerror}")
            else:
                outcome = await self._read(files)
            self.last = outcome
        self._log(outcome)
        return outcome

    async def _keep_reading(self) -> None:
        while self._again:
            self._again = False
            try:
                await self.read()
            except Exception:
                logger.exception("the agents cannot be read anew")

    async def _read(self, files: dict[Path, str]) -> Outcome:
        if not files:
            return _refusal(self._agents.folder, "holds no agent")
        if len(files) > MAX_AGENTS:
            return _refusal(self._agents.folder, f"holds more than {MAX_AGENTS} agents")
        outcome = Outcome(at_ms=round(1000 * time.time()))
        new: list[Edition] = []
        for path, sha256 in files.items():
            known = self._agents.find(path.stem) if path.stem in self._agents else None
            if known and known.sha256 == sha256:
                outcome.unchanged.append(path.stem)
                continue
            try:
                new.append(await self._edition(path, sha256, outcome.at_ms))
                outcome.read.append(path.stem)
            except (SettingsError, EngineError) as error:
                outcome.refused.append(RefusedFile(str(path), str(error)))
        for name in sorted(self._agents.keys() - {path.stem for path in files}):
            if setting := self._needed.get(name):
                path = self._agents.folder / f"{name}.yaml"
                outcome.refused.append(RefusedFile(str(path), f"{path}: is gone, but {setting} names this agent"))
            else:
                outcome.removed.append(name)
        self._agents.change(new, outcome.removed)
        return outcome

    async def _edition(self, path: Path, sha256: str, at_ms: int) -> Edition:
        """A file's agent, ready for calls. Raises SettingsError or EngineError."""
        agent = await asyncio.to_thread(load_agent, path)
        check_hearing(self._settings, {agent.name: agent})
        known_as = f"{agent.name}#{next(self._numbers)}"
        await self._engine.learn({known_as: agent})
        try:
            await check_voices(self._engine.synthesizer, [agent])
        except BaseException:
            self._engine.forget([known_as])
            raise
        return Edition(agent, known_as, str(path), at_ms, sha256)

    def _log(self, outcome: Outcome) -> None:
        for refused in outcome.refused:
            logger.error("an agent's file is refused: %s", refused.error)
        names = {"read": outcome.read, "removed": outcome.removed}
        logger.info("agents read anew", extra=names | {"unchanged": len(outcome.unchanged)})


def _files(folder: Path) -> dict[Path, str]:
    """The files of a folder's agents, each with its fingerprint. Raises OSError."""
    return {path: fingerprint(path) for path in sorted(folder.glob("*.yaml"))[: MAX_AGENTS + 1]}


def _refusal(folder: Path, why: str) -> Outcome:
    return Outcome(refused=[RefusedFile(str(folder), f"{folder}: {why}")], at_ms=round(1000 * time.time()))
