"""The line by SIP under load: the same server, engine and script as by Twilio's socket, over UDP and RTP.

Gaps are between a call's RTP packets as the callers' kernel stamped them on arrival, which on loopback is when the
server sent them. What a caller hears has come through a jitter buffer of 40 ms.
"""

from pathlib import Path
from typing import Any

from bench.load import Columns, show, under_load
from telephony.server.process import ServerProcess

SETTINGS = {"sip.enabled": True, "sip.port": 0}
SILENCE = Path(__file__).parent / "silence.yaml"
SAYS_NOTHING = {"engine.simulated.greeting": False, "turn.reprompt_ms": 3_600_000}


def sip_under_load(calls: int, seconds: float) -> dict[str, Any]:
    """One run: see `under_load`."""
    return under_load(calls, seconds, SETTINGS, address)


def sip_in_silence(calls: int, seconds: float) -> dict[str, Any]:
    """One run without speech: media and signalling only."""
    return under_load(calls, seconds, SETTINGS | SAYS_NOTHING, address, SILENCE)


def address(server: ServerProcess) -> str:
    """The server's address; the system chooses the port, and the log has it."""
    port = server.wait_for("listening", logger="voxline.sip")["ports"]["UDP"]
    return f"sip:front_desk@127.0.0.1:{port}"


def show_sip(runs: list[dict[str, Any]], silent: list[dict[str, Any]]) -> None:
    """The runs side by side."""
    gaps: Columns = {
        "gap p50": lambda _, report: report["arrival_gap_ms"]["p50"],
        "p99": lambda _, report: report["arrival_gap_ms"]["p99"],
        "worst ms": lambda _, report: report["arrival_gap_ms"]["max"],
    }
    heard: Columns = {
        "barge-in p50": lambda _, report: report["barge_in_to_clear_ms"]["p50"],
        "p95 ms": lambda _, report: report["barge_in_to_clear_ms"]["p95"],
        "voice to voice p50": lambda _, report: report["voice_to_voice_ms"]["p50"],
        "p95": lambda _, report: report["voice_to_voice_ms"]["p95"],
    }
    title = "The same by SIP and RTP (barge-in: onset → last audible sample, jitter buffer included)"
    show(title, runs, gaps | heard)
    show("By SIP, and nobody speaks: media and signalling only", silent, gaps)
