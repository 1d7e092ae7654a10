"""Makes one simulated phone call, and leaves a report and a recording."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from config import private
from telephony.simulator.carrier import carrier_of
from telephony.simulator.clip import Speak, line_noise, render
from telephony.simulator.identity import Identity
from telephony.simulator.phone import Caller, PhoneCall
from telephony.simulator.recording import write_recording
from telephony.simulator.report import CallReport
from telephony.simulator.script import Script
from telephony.simulator.ticker import Ticker
from telephony.simulator.voices import CallerVoice


async def run_call(
    url: str,
    script: Script,
    *,
    speak: Speak | None = None,
    auth_token: str | None = None,
    out: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    from_: str = "+15550001111",
    to: str = "+15550002222",
    public_url: str | None = None,
    user: str = "",
    password: str = "",
    codec: str = "",
    line: str = "",
    control_token: str = "",
    ticker: Ticker | None = None,
) -> CallReport:
    """Make one call and report it.

    A SIP address in `url` is called over SIP, with `user` and `password` if the server asks for them, and with `codec`
    (opus, PCMU or PCMA; "": both kinds of G.711). Anything else is called as Twilio calls: the server's base address,
    its voice webhook, or its media socket itself (ws:// or wss://). With `line` "browser" the server's base address is
    called as a web page does, with `control_token` where the server issues no token without it. `auth_token` signs
    every request of Twilio's, for `public_url` if Twilio knows the server by another address. `speak` is the caller's
    voice, if not CallerVoice. `out` is a folder that gets `call.wav` (stereo, 8 kHz: caller left, agent right, on one
    time axis) and `report.json`. `on_line` is given the story of the call as it happens. `ticker` is the caller's
    clock, if not the machine's.

    Raises ScriptError when a sound of the script cannot be made, and SettingsError for an invalid address.
    """
    identity = Identity(from_, to, auth_token, public_url, user, password, codec, control_token)
    carrier = carrier_of(url, identity, line)
    clips = await asyncio.to_thread(render, script, speak or CallerVoice())
    noise, ticker = line_noise(script.noise_floor_dbfs), ticker or Ticker()
    caller = Caller(script, clips, noise, ticker, keep_audio=out is not None, on_line=on_line)
    await carrier.open()
    try:
        call = carrier.call(caller)
        report = await call.run()
    finally:
        await carrier.close()
    if out is not None:
        await asyncio.to_thread(_write, out, call, report)
    return report


def _write(out: Path, call: PhoneCall, report: CallReport) -> None:
    private.make_folder(out)
    if call.talk is not None:
        report.recording = str(out / "call.wav")
        write_recording(out / "call.wav", call.talk)
    private.write_bytes(out / "report.json", msgspec.json.format(msgspec.json.encode(report)))
