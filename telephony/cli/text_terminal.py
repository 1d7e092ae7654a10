"""The terminal, or the pipe, in which a person talks with a dialogue by text."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from io import TextIOWrapper
from typing import Any, TextIO

from agent.engine.embedded.understanding import Understood
from agent.text_conversation import (
    Heard,
    HungUp,
    Pressed,
    Spoke,
    TextConversation,
    TextEvent,
    ToolRan,
    Transferred,
)
from config.logging import printable

WIDTH = 12  # of what stands before each line
HELP = """\
Type what a caller would say. Besides there are:
  #1234 or /digits 1234   the caller presses these keys
  /silence                the caller says nothing until the agent asks
  /unreached              nobody answers the transfer
  /back                   take the last turn back
  /quit                   end"""

_KEYS = re.compile(r"(?:#|/digits\s+)([0-9*]+)#?")


class TextTerminal:
    """Shows one conversation. `pretends`: its tools are not run."""

    def __init__(self, conversation: TextConversation, runner: asyncio.Runner, *, pretends: bool) -> None:
        self._conversation = conversation
        self._runner = runner
        self._pretends = pretends
        self._good = True  # every line so far was a turn or a command
        self._commands: dict[str, Callable[[], None]] = {
            "/silence": self._silence,
            "/unreached": self._unreached,
            "/back": self._back,
            "/help": self._help,
        }

    def talk(self, lines: TextIO) -> bool:
        """Greet, and take line after line until they end; False if one of them was neither a turn nor a command."""
        self._do(self._conversation.greet())
        for line in _prompted() if lines.isatty() else self._echoed(lines):
            if line == "/quit":
                break
            self._take(line)
        return self._good

    def _do(self, step: Coroutine[Any, Any, list[TextEvent]]) -> None:
        """Show what a step of the conversation brings. No loop runs while lines are typed, so that Ctrl-C ends it."""
        self._show_all(self._runner.run(step))

    def _take(self, line: str) -> None:
        if command := self._commands.get(line):
            command()
        elif keys := _KEYS.fullmatch(line):
            self._turn("", keys[1])
        elif line.startswith(("/", "#")):
            what = line.split(maxsplit=1)[0]
            self._refuse(f"{what} is no command, and no keys such as #1234; /help tells what there is")
        else:
            self._turn(line)

    def _turn(self, words: str, digits: str = "") -> None:
        if self._listens():
            self._do(self._conversation.say(words, digits))

    def _silence(self) -> None:
        if self._listens():
            self._do(self._conversation.keep_silent())

    def _unreached(self) -> None:
        if self._conversation.connecting_to:
            self._do(self._conversation.fail_transfer())
        else:
            self._refuse("the caller is not being put through")

    def _back(self) -> None:
        if self._conversation.back():
            self._show("", "back before your last turn; the agent had said:")
            self._show("agent", self._conversation.said)
        else:
            self._refuse("there is no turn to take back")

    def _help(self) -> None:
        print(HELP)

    def _listens(self) -> bool:
        if self._conversation.over:
            self._refuse("the agent has hung up; /back takes your last turn back, /quit ends")
        elif to := self._conversation.connecting_to:
            self._refuse(f"you are being put through to {to}; /unreached: nobody answers; /back, /quit")
        else:
            return True
        return False

    def _refuse(self, why: str) -> None:
        self._good = False
        self._show("", why)

    # What is shown

    def _show_all(self, events: list[TextEvent]) -> None:
        for event in events:
            match event:
                case Heard():
                    self._show("understood", _meaning(event))
                case Spoke():
                    self._show("agent", event.text)
                case ToolRan():
                    self._show("tool", self._outcome(event))
                case Pressed():
                    self._show("keys", event.keys)
                case Transferred():
                    self._show("transfer", f"{event.to} ({event.number})")
                case HungUp():
                    self._show("hang-up", "")

    def _outcome(self, ran: ToolRan) -> str:
        result = ran.result
        arguments = ", ".join(f"{name} = {value}" for name, value in result.arguments.items())
        outcome = "not run, taken to work" if self._pretends else result.error or "done"
        return f"{result.name}({arguments}): {outcome}"

    def _echoed(self, lines: TextIO) -> Iterator[str]:
        """The lines of a pipe, shown as if they had been typed."""
        if isinstance(lines, TextIOWrapper):
            lines.reconfigure(errors="replace")
        for line in map(str.strip, lines):
            if line:
                self._show("caller", line)
                yield line

    @staticmethod
    def _show(what: str, text: str) -> None:
        print(printable(f"{what:{WIDTH}}{text}").rstrip(), flush=True)


def _prompted() -> Iterator[str]:
    """The lines that a person types."""
    import readline  # noqa: F401 (lets `input` edit the line)

    while True:
        try:
            line = input(f"{'caller':{WIDTH}}").strip()
        except EOFError:
            print()
            return
        if line:
            yield line


def _meaning(heard: Heard) -> str:
    """What was understood, in a line."""
    understood: Understood = heard.understood
    parts = [understood.intent, understood.built_in.replace("_", " ")]
    parts += [f"{name} = {value}" for name, value in understood.slots.items()]
    parts += [f"not {name} = {value}" for name, value in understood.denied.items()]
    parts += [f"wrong: {what}" for what in (*understood.wrong, understood.digit) if what]
    told = ", ".join(filter(None, parts)) or "nothing"
    return f"{told} (unfinished: on the phone the agent would wait for more)" if heard.unfinished else told
