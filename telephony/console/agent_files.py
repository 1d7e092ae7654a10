"""What `voxline check` finds in the agents' files as they are now. Imports little: it runs in a process of its own."""

from pathlib import Path

from agent import dialogue_check
from agent.dialogue_check.finding import Finding
from config.agent import load_agent
from config.exceptions import SettingsError

MOST = 200  # findings of one file that are shown


def look_at(folder: Path, pronounce: bool) -> dict[str, list[Finding]]:
    """What is wrong with each file of a folder."""
    return {path.name: list(_findings(path, pronounce=pronounce)) for path in sorted(folder.glob("*.yaml"))}


def _findings(path: Path, *, pronounce: bool) -> list[Finding]:
    try:
        agent = load_agent(path)
    except SettingsError as error:
        lines = str(error).removeprefix(f"{path}: ").split(f"\n{path}: ")
        return [Finding("problem", "", line, "") for line in lines[:MOST]]
    return list(dialogue_check.check(agent, pronounce=pronounce))[:MOST]
