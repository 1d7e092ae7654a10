"""`voxline try-dialogue`: talks with an agent's dialogue by text, in the terminal."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from telephony.cli.options import Commands, add_config, add_set, overrides

if TYPE_CHECKING:  # slow to import
    from config.agent import AgentSettings


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "try-dialogue",
        help="talk with an agent's dialogue by text",
        description="Type what a caller would say, and see what the agent understands, says and does. A line such as "
        "#1234 presses keys; /silence says nothing for a while; /unreached ends a transfer that nobody has answered; "
        "/back takes the last turn back; /quit ends. Tools are not run, and are taken to work, unless --tools says "
        "otherwise. Lines may also come from a file or a pipe; the exit status is then 1 if one of them was no turn, "
        "such as words after the agent has hung up.",
    )
    parser.add_argument("agent", metavar="AGENT", help="an agent's name, or its file (NAME.yaml)")
    parser.add_argument(
        "--calls",
        metavar="FILE",
        type=Path,
        help="hold the calls of this file instead (see examples/calls), and say where the agent answers otherwise; the "
        "exit status is then 1",
    )
    parser.add_argument("--tools", action="store_true", help="run the tools: they write to the folder server.data")
    add_config(parser)
    add_set(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Talk until the lines end; 1 if they came from a pipe and one of them was no turn."""
    import asyncio
    import sys
    import time
    from uuid import uuid4

    from agent.records import Records
    from agent.text_conversation import TextConversation, pretend
    from agent.tools import Tools
    from config.agent import agent_file, load_agent
    from config.settings import load_settings
    from telephony.cli.text_terminal import TextTerminal

    settings = load_settings(options.config, overrides(options.set))
    agent = load_agent(agent_file(settings.agents_folder, options.agent))
    if options.calls:
        return rehearse_all(agent, options.calls)
    tools = Tools(agent.tools, Records(settings.server.data), timeout_s=settings.reply.tool_timeout_s)
    call = f"text-{uuid4()}"
    run_tool = (lambda tool: tools.run(call, tool)) if options.tools else pretend
    conversation = TextConversation(agent, settings.turn, settings.reply, run_tool=run_tool, started_s=time.time())
    with asyncio.Runner() as runner:
        good = TextTerminal(conversation, runner, pretends=not options.tools).talk(sys.stdin)
    return 0 if good or sys.stdin.isatty() else 1


def rehearse_all(agent: "AgentSettings", path: Path) -> int:
    """Hold the calls of a file; 1 if the agent answers otherwise in one of them."""
    import asyncio

    from agent.rehearsal import rehearse
    from config.call_script import load_calls
    from config.logging import printable

    calls = asyncio.run(rehearse(agent, load_calls(path)))
    for call in calls:
        print(printable(f"{'failed' if call.mistakes else 'good'}: {call.name}"))
        if call.mistakes:
            print("\n".join(f"  {printable(line)}" for line in (*call.transcript, *call.mistakes)))
    wrong = sum(bool(call.mistakes) for call in calls)
    print(f"{len(calls)} calls, {wrong or 'none'} of them failed")
    return 1 if wrong else 0
