"""`voxline serve`: answers calls."""

import argparse
import sys
from typing import TYPE_CHECKING

from telephony.cli.options import Commands, add_config, add_set, overrides

if TYPE_CHECKING:
    from config.settings import Settings


def add_parser(commands: Commands) -> None:
    """Its options."""
    parser = commands.add_parser(
        "serve",
        help="answer calls",
        description="Answer calls until SIGTERM or Ctrl-C. Running calls may then "
        "last server.drain_s more; a second signal ends them at once.",
    )
    add_config(parser)
    add_set(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from config.logging import configure_logging
    from config.settings import from_sources, read_sources
    from telephony.cli.welcome import welcome
    from telephony.console import console
    from telephony.lines.descriptors import raise_limit
    from telephony.server.app import App
    from telephony.server.draining import build_server

    sources = read_sources(options.config, overrides(options.set))
    settings = from_sources(sources)
    configure_logging(settings.log)
    raise_limit()
    app = App(settings)
    console.mount(app, settings, sources)
    _warn_if_open(settings)

    def greet(urls: list[str]) -> None:
        link = console.link(app, settings, urls[0])
        if link:
            console.keep_link(settings.server.data, link)
        if sys.stderr.isatty():
            print(welcome(settings, urls, app.sip.ports if app.sip else {}, link), file=sys.stderr)

    server = build_server(app, settings, greet)
    server.run()
    return 0 if server.started else 1


def _warn_if_open(settings: "Settings") -> None:
    if not settings.secured:
        print(
            f"voxline: no twilio.auth_token: listening on {settings.server.host} only, callers are not checked",
            file=sys.stderr,
        )
