"""`voxline check`: finds mistakes in agents' files before callers do."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from telephony.cli.options import Commands, add_config, add_set, overrides

if TYPE_CHECKING:
    from agent.dialogue_check.finding import Finding
    from config.agent import AgentSettings
    from config.settings import Settings


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "check",
        help="find mistakes in agents' dialogues",
        description="Find dead ends, answers that cannot be reached, phrases that two intents share, texts that are "
        "never said, words that the recognizer cannot pronounce, and languages that are not heard or spoken. One line "
        "for each, with the file, the key and what to do. Exit status 1 if there is a problem, 0 if there are only "
        "warnings.",
    )
    parser.add_argument(
        "agents", nargs="*", metavar="AGENT", help="an agent's name, or its file (NAME.yaml); default: all agents"
    )
    add_config(parser)
    add_set(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the findings; 1 if one of them is a problem."""
    from config.agent import agent_file
    from config.logging import printable
    from config.settings import load_settings

    settings = load_settings(options.config, overrides(options.set))
    folder = settings.agents_folder
    files = [agent_file(folder, name) for name in options.agents] or sorted(folder.glob("*.yaml"))
    levels: list[str] = []
    for file in files:
        for finding in _findings(settings, file):
            place = f"{finding.key}: " if finding.key else ""
            advice = f"; {finding.advice}" if finding.advice else ""
            print(printable(f"{file}: {finding.level}: {place}{finding.text}{advice}"))
            levels.append(finding.level)
    print(f"agents: {len(files)}, problems: {levels.count('problem')}, warnings: {levels.count('warning')}")
    return 1 if "problem" in levels or not files else 0


def _findings(settings: "Settings", file: Path) -> Iterator["Finding"]:
    """Whatever is wrong with one file."""
    from agent import dialogue_check
    from agent.dialogue_check.finding import Finding
    from config.agent import load_agent
    from config.exceptions import SettingsError
    from telephony.doctor.engine import needs_pronunciations

    try:
        agent = load_agent(file)
    except SettingsError as error:
        for line in str(error).removeprefix(f"{file}: ").split(f"\n{file}: "):
            yield Finding("problem", "", line, "")
        return
    yield from _languages(settings, agent)
    if agent.dialogue is None and settings.engine.profile == "embedded":
        yield Finding("problem", "dialogue", "is missing: the engine.profile embedded talks by it", "write one")
    yield from dialogue_check.check(agent, pronounce=needs_pronunciations(settings.engine))


def _languages(settings: "Settings", agent: "AgentSettings") -> Iterator["Finding"]:
    """What the doctor says of the agent's language and voice."""
    from agent.dialogue_check.finding import Finding
    from telephony.doctor import engine

    for found in engine.languages(settings.engine, {agent.name: agent}):
        if found.level != "ok":
            yield Finding(found.level, "", found.text.removeprefix(f"{agent.name}.yaml: "), found.advice)
