"""The command line: serve, doctor, call, load, dial, replay, sweep, report, demo."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import uvloop
import yaml

from config import private, strict_yaml
from config.exceptions import SettingsError, VoxlineError
from config.logging import configure_logging, printable
from config.settings import Settings, load_settings

DEFAULT_URL = "http://127.0.0.1:8080"
SCRIPTS = Path(__file__).parents[1] / "simulator" / "scripts"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit status. What the user did wrong ends in one line and status 2."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except VoxlineError as error:
        lines = str(error).split("\n")  # which may hold what a peer has said
        print("voxline:", "\n".join(map(printable, lines)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="voxline", description="A self-hosted phone voice agent.")
    parser.add_argument("--version", action="version", version=f"voxline {version('voxline')}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_server(commands)
    _add_callers(commands)
    _add_dial(commands)
    _add_tape_tools(commands)
    return parser


def _add_server(commands: Commands) -> None:
    serve = commands.add_parser(
        "serve",
        help="answer calls",
        description="Answer calls until SIGTERM or Ctrl-C: then running calls may "
        "last server.drain_s more. A second signal ends them at once.",
    )
    _add_settings(serve)
    serve.set_defaults(run=_serve)

    doctor = commands.add_parser(
        "doctor",
        help="say whether calls will come in",
        description="Look at the settings and at this machine, change nothing, and say what keeps calls from coming in "
        "and being answered. Exit status 1 if there is a problem.",
    )
    _add_settings(doctor)
    doctor.add_argument("--json", action="store_true", help="print the findings as one JSON object")
    doctor.set_defaults(run=_doctor)

    demo = commands.add_parser(
        "demo", help="a server and one call to it", description="Start a server, make one call, show what happened."
    )
    demo.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the recording and the report")
    demo.set_defaults(run=_demo)


def _add_callers(commands: Commands) -> None:
    call = commands.add_parser(
        "call", help="make one simulated phone call", description="Call a running server as Twilio would, or by SIP."
    )
    _add_caller_options(call, "demo.yaml")
    call.add_argument("--out", type=Path, default=Path("out/call"), help="folder for call.wav and report.json")
    call.set_defaults(run=_call)

    load = commands.add_parser("load", help="make many simulated calls at once", description="Load a running server.")
    _add_caller_options(load, "load.yaml")
    load.add_argument("--calls", type=int, default=10, metavar="N", help="calls at once (default 10)")
    load.add_argument("--ramp", type=float, default=5.0, metavar="S", help="seconds over which they begin (default 5)")
    load.add_argument("--duration", type=float, metavar="S", help="begin calls anew until this many seconds are over")
    load.add_argument("--out", type=Path, help="write the report here as JSON")
    load.set_defaults(run=_load)


def _add_dial(commands: Commands) -> None:
    dial = commands.add_parser(
        "dial",
        help="let the running server call somebody",
        description="Let the running server call somebody by SIP, and tell how the call goes. Ctrl-C gives it up. "
        "Exit status 0: it was answered and has ended well; 1: anything else.",
    )
    dial.add_argument("to", help="a SIP address, such as sip:bob@example.com, or with --trunk a number")
    dial.add_argument("--agent", default="", help="who talks (default: the trunk's agent, else call.agent)")
    dial.add_argument("--trunk", default="", help="by which of sip.trunks, with its credentials (default: directly)")
    dial.add_argument(
        "--keys",
        default="",
        help="pressed once it is answered, before the agent speaks: 0-9 * # A-D, w waits half a second and W a whole "
        "one, such as ww104# for an extension",
    )
    dial.add_argument("--url", default=DEFAULT_URL, help=f"the server (default {DEFAULT_URL})")
    dial.add_argument("--config", type=Path, default=os.environ.get("VOXLINE_CONFIG"), help="its settings, in YAML")
    dial.add_argument("--data", type=Path, help="its data folder, with the token (default: server.data of --config)")
    dial.set_defaults(run=_dial)


def _add_tape_tools(commands: Commands) -> None:
    replay = commands.add_parser(
        "replay",
        help="feed tapes to fresh sessions and compare",
        description="Feed tapes to fresh sessions: the same decisions, or the first difference (exit status 1; "
        "2: one cannot be replayed). Many tapes get a summary, then those that differ.",
    )
    replay.add_argument("tapes", type=Path, nargs="+", metavar="TAPE", help="a tape, or a folder of them")
    replay.add_argument("--vad", action="store_true", help="compute the speech probabilities anew from the audio")
    replay.add_argument("--all", action="store_true", help="show every call, not only a summary and those that differ")
    _add_set(replay, "show what would have happened with this setting")
    replay.set_defaults(run=_replay)

    sweep = commands.add_parser(
        "sweep",
        help="try ranges of settings on tapes",
        description="Try every combination of settings on taped calls: gaps before answers against turns cut off.",
    )
    sweep.add_argument("tapes", type=Path, nargs="+", metavar="TAPE", help="a tape, or a folder of them")
    sweep.add_argument(
        "--set",
        action="append",
        required=True,
        metavar="KEY=RANGE",
        help="a setting and its values: turn.endpoint_ms=250:600:50, or turn.adapt_words=true,false",
    )
    sweep.add_argument("--plot", type=Path, metavar="FILE", help="draw gap against cut-offs (PNG, SVG or PDF)")
    sweep.set_defaults(run=_sweep)

    report = commands.add_parser(
        "report",
        help="a page of one call, or of a folder of them",
        description="Make an HTML page of a tape, or one of each tape in a folder and an index of them, calls with "
        "problems first (exit status 1: one of them cannot be read).",
    )
    report.add_argument("tape", type=Path, metavar="TAPE", help="a tape, or a folder of them")
    report.add_argument(
        "-o", "--out", type=Path, help="where to write it: a file, or a folder (default: beside the tape)"
    )
    report.set_defaults(run=_report)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=os.environ.get("VOXLINE_CONFIG"), help="a YAML file of settings")
    _add_set(parser, "one setting, e.g. --set turn.endpoint_ms=500")


def _add_set(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)


def _add_caller_options(parser: argparse.ArgumentParser, script: str) -> None:
    parser.add_argument(
        "url", nargs="?", default=DEFAULT_URL, help=f"server, webhook or SIP address (default {DEFAULT_URL})"
    )
    parser.add_argument(
        "--script",
        type=Path,
        default=SCRIPTS / script,
        help=f"what the caller does, in YAML (default: the shipped {script})",
    )
    parser.add_argument(
        "--auth-token",
        default=os.environ.get("TWILIO_AUTH_TOKEN"),
        help="sign requests with this token (default: TWILIO_AUTH_TOKEN)",
    )
    parser.add_argument("--public-url", help="sign for this address, the server's server.public_url")
    parser.add_argument("--user", default="", help="SIP: the user name, where the server asks for one")
    parser.add_argument(
        "--password", default=os.environ.get("SIP_PASSWORD", ""), help="SIP: the password (default: SIP_PASSWORD)"
    )
    parser.add_argument(
        "--codec", choices=("opus", "PCMU", "PCMA"), default="", help="SIP: the only one to offer (default: G.711)"
    )


def _serve(options: argparse.Namespace) -> int:
    from telephony.cli.welcome import welcome  # noqa: PLC0415
    from telephony.lines.descriptors import raise_limit  # noqa: PLC0415
    from telephony.server.app import App  # noqa: PLC0415 (the engine's packages are not needed by other commands)
    from telephony.server.draining import build_server  # noqa: PLC0415

    settings = load_settings(options.config, dict(map(_override, options.set)))
    configure_logging(settings.log)
    raise_limit()
    app = App(settings)
    _warn_if_open(settings)

    def greet(urls: list[str]) -> None:
        if sys.stderr.isatty():
            print(welcome(settings, urls, app.sip.ports if app.sip else {}), file=sys.stderr)

    server = build_server(app, settings, greet)
    server.run()
    return 0 if server.started else 1


def _doctor(options: argparse.Namespace) -> int:
    from telephony.doctor import diagnose  # noqa: PLC0415
    from telephony.doctor.finding import as_json, as_text  # noqa: PLC0415

    findings = diagnose(load_settings(options.config, dict(map(_override, options.set))))
    print(as_json(findings) if options.json else as_text(findings))
    return 1 if any(finding.level == "problem" for finding in findings) else 0


def _override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--set {text}: expected KEY=VALUE")
    try:
        return key, strict_yaml.load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {text}: the value is not valid YAML: {error}") from None


def _warn_if_open(settings: Settings) -> None:
    if not settings.secured:
        print(
            f"voxline: no twilio.auth_token: listening on {settings.server.host} only, callers are not checked",
            file=sys.stderr,
        )


def _call(options: argparse.Namespace) -> int:
    from telephony.simulator.call import run_call  # noqa: PLC0415
    from telephony.simulator.script import load_script  # noqa: PLC0415
    from telephony.simulator.timeline import Timeline  # noqa: PLC0415

    with Timeline(print) as timeline:
        call = run_call(
            options.url,
            load_script(options.script),
            auth_token=options.auth_token,
            public_url=options.public_url,
            user=options.user,
            password=options.password,
            codec=options.codec,
            out=options.out,
            on_line=timeline.add,
        )
        report = uvloop.run(call)
    return 0 if report.ok else 1


def _load(options: argparse.Namespace) -> int:
    from telephony.simulator.load import run_load  # noqa: PLC0415
    from telephony.simulator.script import load_script  # noqa: PLC0415

    report = uvloop.run(
        run_load(
            options.url,
            load_script(options.script),
            calls=options.calls,
            auth_token=options.auth_token,
            public_url=options.public_url,
            user=options.user,
            password=options.password,
            codec=options.codec,
            ramp_s=options.ramp,
            duration_s=options.duration,
        )
    )
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    print(text)
    if options.out:
        private.write_bytes(options.out, text.encode() + b"\n")
    return 0 if not report.failed else 1


def _dial(options: argparse.Namespace) -> int:
    from telephony.cli.dial import dial  # noqa: PLC0415
    from telephony.lines.outbound_call import CallRequest  # noqa: PLC0415

    data = options.data or load_settings(options.config).server.data
    return dial(CallRequest(options.to, options.agent, options.trunk, options.keys), options.url, data)


def _replay(options: argparse.Namespace) -> int:
    from telephony.tapes.replay import replay_all  # noqa: PLC0415

    if options.set:
        from telephony.tapes.sweep import compare  # noqa: PLC0415

        return compare(options.tapes, dict(map(_override, options.set)), everything=options.all)
    return replay_all(options.tapes, recompute=options.vad, everything=options.all)


def _sweep(options: argparse.Namespace) -> int:
    from telephony.tapes.sweep import parse_range, sweep  # noqa: PLC0415

    return sweep(options.tapes, dict(map(parse_range, options.set)), options.plot)


def _report(options: argparse.Namespace) -> int:
    from telephony.report import INDEX, page_name, write_report, write_reports  # noqa: PLC0415
    from telephony.tapes.replay import find_tapes  # noqa: PLC0415

    if options.tape.is_dir():
        folder = options.out or options.tape
        entries = write_reports(find_tapes([options.tape]), folder)
        troubled = sum(bool(entry.problems) for entry in entries)
        print(f"{len(entries)} calls, {troubled} of them with problems; written to {folder / INDEX}")
        return 1 if any(entry.error for entry in entries) else 0
    out = options.out or options.tape.with_name(page_name(options.tape))
    write_report(options.tape, out)
    print(f"written to {out}")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from telephony.cli.demo import demo  # noqa: PLC0415

    return demo(options.out, SCRIPTS / "demo.yaml")
